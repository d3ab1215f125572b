/**
 * A share of the requests for an expert goes to the version that is to take its place.
 *
 *  1 during the probation, by an even share: no chance is in it, so a replay gives the same requests to the same version
 *  2 not vectors: those of two versions do not belong into one index
 *  3 what the candidate does not answer, the old version does (stand-ins.ts): no request fails because of a rollout
 *  4 a failure counts against the candidate when the old version has answered what it could not
 */
import type { Draft } from './draft.ts';
import type { Rollout, Tally } from './rollout.ts';
import type { Expert, ExpertId, Lease, Request } from './types.ts';

/** Newest run times that are kept of each version. */
const KEPT_RUNS = 200;
/** Tenths do not add up to 1 exactly. */
const ROUNDING = 1e-9;

/** Who answers a request for `expert` now: itself, or its candidate. */
export function versionFor(draft: Draft, request: Request, expert: Expert): Expert {
  const rollout = draft.state.rollouts.get(expert.id);
  if (rollout?.phase !== 'probation' || rollout.canary === null || request.failedBy !== null) return expert;
  const candidate = draft.entry(rollout.candidate);
  if (candidate === undefined || candidate.fate !== null || expert.task === 'feature-extraction')
    return expert; // 2
  const credit = rollout.credit + rollout.canary.share;
  const isIts = credit >= 1 - ROUNDING && candidate.residency.state !== 'quarantined';
  putRollout(draft, expert.id, { credit: isIts ? credit - 1 : credit }); // 1
  if (!isIts) return expert;
  draft.putRequest(request.id, { insteadOf: expert.id });
  draft.because(`${candidate.expert.id} is to answer for ${expert.id}: it is on probation`);
  return candidate.expert;
}

/** An expert, or its candidate, has answered a request. */
export function noteAnswer(draft: Draft, lease: Lease, stages: Readonly<Record<string, number>>): void {
  const request = lease.request === null ? undefined : draft.state.requests.get(lease.request);
  const own = draft.entry(lease.expert)?.expert.candidateOf ?? lease.expert;
  const rollout = draft.state.rollouts.get(own);
  if (request === undefined || rollout?.phase !== 'probation') return;
  const runMs = stages['cell'] ?? null;
  if (lease.expert === rollout.candidate)
    return putRollout(draft, own, { fresh: answeredIn(rollout.fresh, runMs) });
  const { fresh } = rollout;
  const isBetter = request.failedBy === rollout.candidate; // 4
  putRollout(draft, own, {
    old: answeredIn(rollout.old, runMs),
    fresh: isBetter ? { ...fresh, failed: fresh.failed + 1 } : fresh,
  });
}

export function putRollout(draft: Draft, expert: ExpertId, change: Partial<Rollout>): void {
  const rollout = draft.state.rollouts.get(expert);
  if (rollout !== undefined) draft.setRollout(expert, { ...rollout, ...change });
}

function answeredIn(tally: Tally, runMs: number | null): Tally {
  const all = runMs === null ? tally.runMs : [...tally.runMs, runMs];
  return { ...tally, answered: tally.answered + 1, runMs: all.slice(-KEPT_RUNS) };
}
