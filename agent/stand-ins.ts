/**
 * Who answers where another does not.
 *
 * For a candidate the version before it does, which is in use: no request fails because of a rollout.
 *
 * Where memory is short: the expert that the configuration names as another's `fallback`, smaller as a rule.
 * The reply says so. It must be in memory already, but where the refusal is for good; and it has no stand-in itself.
 */
import { beginAnswer } from './assistants.ts';
import type { Draft } from './draft.ts';
import { failures } from './failures.ts';
import type { Entry, Expert, ExpertId, Failure, Loading, Request, RequestId, State } from './types.ts';

/** Refusals that say: not enough memory, for now or for ever. */
const FOR_NOW: readonly string[] = ['pressure', 'loading'];
const FOR_GOOD: readonly string[] = ['too_large', 'all_pinned'];

/** A shortage of memory is not the candidate's fault: two versions are here instead of one. */
const NOBODYS_FAULT: readonly string[] = ['pressure', 'loading', 'hung_up', 'model_not_found'];

/** What `x-expertd-degraded` says of such an answer. */
export const STOOD_IN = 'smaller-expert';

/** Refuses a request, or lets another expert answer it: the version before a candidate, or a stand-in. */
export function refuseOrReplace(
  draft: Draft,
  id: RequestId,
  failure: Failure,
  retryAfterMs: number | null = null,
  loading: Loading | null = null,
): void {
  if (returned(draft, id, failure)) return;
  const request = draft.state.requests.get(id);
  const other = request === undefined ? null : standInFor(draft.state, request, failure);
  if (request === undefined || other === null) return draft.reject(id, failure, retryAfterMs, loading);
  const { nowMs, settings } = draft.state;
  draft.because(`${other} answers ${id} instead: ${failure.message}`);
  draft.putRequest(id, {
    degraded: STOOD_IN,
    waitUntilMs: Math.max(request.waitUntilMs, nowMs + settings.loadWaitMs),
    phase: { name: 'waiting', purpose: 'answer', expert: other },
  });
}

/**
 * True for a request that its candidate does not answer: it went to the version before it, or was refused as that one
 * would have refused it. `isItsFault`: it counts against the candidate if the old version answers.
 */
export function returned(draft: Draft, id: RequestId, failure: Failure, isItsFault = true): boolean {
  const request = draft.state.requests.get(id);
  if (request === undefined || request.insteadOf === null) return false;
  const old = draft.entry(request.insteadOf);
  const refusal = whyGone(draft.state, request.insteadOf, old);
  if (old === undefined || refusal !== null) {
    draft.reject(id, refusal ?? failure);
    return true;
  }
  const { rollouts, nowMs, settings } = draft.state;
  const rollout = rollouts.get(old.expert.id);
  // One that came before the probation was another candidate's, which this one has followed.
  const isIts = rollout?.phase === 'probation' && request.sinceMs >= rollout.sinceMs;
  const counts = isIts && isItsFault && !NOBODYS_FAULT.includes(failure.code);
  draft.because(`${old.expert.id} answers ${id} instead of its candidate: ${failure.message}`);
  draft.putRequest(id, {
    ...begun(draft, request, old.expert),
    insteadOf: null,
    failedBy: counts ? rollout.candidate : null,
    attempt: 0,
    waitUntilMs: Math.max(request.waitUntilMs, nowMs + settings.loadWaitMs),
  });
  return true;
}

/** What a base says is what was asked of it; whoever was asked himself begins anew. */
function begun(draft: Draft, { assistant }: Request, old: Expert): Partial<Request> {
  if (assistant === null) return beginAnswer(draft, old);
  return { phase: { name: 'waiting', purpose: 'answer', expert: old.id } };
}

/** Why an expert would have refused a request itself; null: it can be asked. */
function whyGone({ rollouts }: State, id: ExpertId, entry: Entry | undefined): Failure | null {
  if (entry === undefined || entry.fate?.kind === 'remove') return failures.removed(id);
  const { residency, fate } = entry;
  // Another version is about to take its place, and that one is not in quarantine.
  const isFollowed = fate?.kind === 'replace' || rollouts.get(id)?.phase === 'committed';
  return residency.state === 'quarantined' && !isFollowed ? failures.quarantined(id, residency.reason) : null;
}

function standInFor(state: State, request: Request, { code }: Failure): ExpertId | null {
  const { phase, want, assistant, degraded } = request;
  if (want !== 'chat' || phase.name !== 'waiting' || phase.purpose !== 'answer') return null;
  if (assistant !== null || degraded !== null) return null;
  const isForGood = FOR_GOOD.includes(code);
  if (!isForGood && !FOR_NOW.includes(code)) return null;
  const other = state.experts.get(state.experts.get(phase.expert)?.expert.fallback ?? '');
  if (other === undefined || other.fate !== null) return null;
  const { expert, residency } = other;
  if (expert.task === 'feature-extraction' || expert.task === 'tensor') return null;
  if (residency.state === 'quarantined') return null;
  return residency.state === 'resident' || isForGood ? expert.id : null;
}
