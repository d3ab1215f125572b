/**
 * How a new version of an expert comes to take the place of the old one, which answers meanwhile.
 *
 *  1 it is staged: an expert of its own, in a cell of its own where the budget has room for one
 *  2 self-test: it is loaded inside the budget, when no request waits, and asked for its golden answers
 *  3 probation: it answers a share of the requests (canary.ts), until it has given so many answers or so much time
 *  4 it is rolled back where it does not fit, its process ends, the kernel kills it for want of memory, a golden answer is
 *    another, it fails what the old version can, or it is slower than that one
 *  5 else it is committed; the catalog, which keeps what counts on the disk, then lets it take the place
 */
import { fitBound, refuseWaiters } from './admission.ts';
import { putRollout } from './canary.ts';
import { blame } from './crashes.ts';
import type { Draft } from './draft.ts';
import type { Event } from './events.ts';
import { failures } from './failures.ts';
import { isSense } from './language.ts';
import { leastBudgetBesidePinned, leastBudgetBytes, newEntry, pinnedEntries } from './residency.ts';
import type { Progress, Rollout, Tally } from './rollout.ts';
import { lend } from './routing.ts';
import type { Entry, Expert, ExpertId, Failure, State, Step } from './types.ts';

type Of<T extends Event['type']> = Extract<Event, { type: T }>;

const NO_TALLY: Tally = { answered: 0, failed: 0, runMs: [] };
const NO_PROGRESS: Progress = { answered: 0, elapsedMs: 0 };
/** A process that ends once may have been killed by somebody; twice it is the version's. */
const MOST_CRASHES = 2;
/** Of its requests; one alone counts when the probation ends. */
const MOST_FAILED_SHARE = 0.02;
const LEAST_FAILURES = 2;
/** Answers of both without which nothing is said of their speed. */
const LEAST_RUNS = 20;
const SLOW_FACTOR = 1.5;
const SLOW_EXTRA_MS = 20;
const PERCENTILE = 0.95;
/**
 * Of a probation, after which the catalog is told: a write to the disk each. By time as well: a tenth of a long one may be
 * more than a device ever sees between two nights.
 */
const TOLD_SHARE = 0.1;
const TOLD_MS = 600_000;

// ---- what the catalog tells -----------------------------------------------------------------------------------

export function staged(draft: Draft, { expert, of, canary, progress }: Of<'staged'>): void {
  const known = draft.entry(expert.id);
  const before = draft.state.rollouts.get(of);
  const isSame = known?.expert.digest === expert.digest && known.fate === null;
  if (isSame && before?.candidate === expert.id) return putRollout(draft, of, { canary });
  draft.setPending(of, null);
  dismiss(draft, of, expert.id);
  // What comes under the same name is another, and has to show what it can before anybody waits for it.
  refuseWaiters(draft, expert.id, failures.removed(expert.id));
  const candidate = inCellOfItsOwn(draft.state, asCandidate(expert));
  if (known === undefined) draft.addEntry(newEntry(candidate));
  else draft.putEntry(expert.id, { fate: { kind: 'replace', by: candidate } });
  draft.setRollout(of, {
    candidate: expert.id,
    version: expert.version,
    phase: 'selfTest',
    canary,
    sinceMs: draft.state.nowMs,
    before: progress,
    credit: 0,
    old: NO_TALLY,
    fresh: NO_TALLY,
    told: progress,
    why: null,
  });
  draft.because(`${expert.id} is here: it is to show that it can take the place of ${of}`);
}

/** Lets the candidates for a place go, but for one. */
export function dismiss(draft: Draft, of: ExpertId, kept: ExpertId | null): void {
  for (const { expert } of [...draft.state.experts.values()])
    if (expert.candidateOf === of && expert.id !== kept)
      draft.putEntry(expert.id, { fate: { kind: 'remove' }, wanted: false });
}

/** The catalog knows of an earlier process that this version is not to be tried. */
export function rolledBack(draft: Draft, { expert, version, why }: Of<'rolledBack'>): void {
  draft.setPending(expert, null);
  dismiss(draft, expert, null);
  draft.because(`${expert} ${version} was rolled back before: ${why.message}`);
  draft.setRollout(expert, {
    candidate: `${expert}@${version}`,
    version,
    phase: 'rolledBack',
    canary: null,
    sinceMs: draft.state.nowMs,
    before: NO_PROGRESS,
    credit: 0,
    old: NO_TALLY,
    fresh: NO_TALLY,
    told: NO_PROGRESS,
    why,
  });
}

/** One that leaves before it is over was not wanted any more. */
export function candidateLeaves(draft: Draft, { expert }: Entry): void {
  const of = expert.candidateOf;
  const rollout = of === null ? undefined : draft.state.rollouts.get(of);
  if (of !== null && rollout?.candidate === expert.id && isUnderWay(rollout)) draft.setRollout(of, null);
}

export function tested(draft: Draft, event: Of<'tested'>): void {
  const { lease, expert, error, given, unjudged } = event;
  const isKnown = draft.state.leases.has(lease);
  draft.dropLease(lease);
  const entry = draft.entry(expert);
  const of = entry?.expert.candidateOf ?? null;
  const rollout = of === null ? undefined : draft.state.rollouts.get(of);
  // Without its lease it is about a cell that is gone; and a version that is to go has nothing to show any more.
  if (!isKnown || entry === undefined || isAnother(entry)) return;
  if (of === null || rollout?.phase !== 'selfTest') return;
  // What may pass counts as a crash does: it is asked once more.
  if (error?.retryable === true) return blame(draft, expert, error.message);
  if (error !== null) return conclude(draft, of, error);
  const others = unjudged === 0 ? '' : `; ${unjudged} more could not be judged`;
  draft.because(`${expert} gave ${given} golden answers${others}`);
  if (rollout.canary === null || !isAsked(draft, of)) return conclude(draft, of, null);
  putRollout(draft, of, { phase: 'probation', sinceMs: draft.state.nowMs });
  tell(draft, of, 'probation');
}

// ---- what follows from the state ------------------------------------------------------------------------------

/** Takes each rollout one step further, if it can be. True where one ended: requests may have come back from it. */
export function prove(draft: Draft): boolean {
  let hasEnded = false;
  for (const [of, rollout] of [...draft.state.rollouts]) {
    const candidate = draft.entry(rollout.candidate);
    if (!isUnderWay(rollout) || candidate === undefined || isAnother(candidate)) continue;
    const fault = faultOf(draft, candidate);
    if (fault !== null) conclude(draft, of, fault);
    else if (rollout.phase === 'selfTest') test(draft, candidate);
    else judge(draft, of, rollout);
    if (draft.state.rollouts.get(of)?.phase !== rollout.phase) hasEnded = true;
  }
  return hasEnded;
}

/** True while the version that was here before, under the same name, has not left yet. */
function isAnother({ fate }: Entry): boolean {
  return fate?.kind === 'replace' || fate?.kind === 'remove';
}

/** When a probation is over though nobody asks; Infinity: never. */
export function probationEndsMs(state: State): number {
  let endsMs = Number.POSITIVE_INFINITY;
  for (const { phase, canary, sinceMs, before } of state.rollouts.values()) {
    if (phase !== 'probation' || canary?.ms == null) continue;
    endsMs = Math.min(endsMs, sinceMs + Math.max(0, canary.ms - before.elapsedMs));
  }
  return endsMs;
}

export function progressOf(rollout: Rollout, nowMs: number): Progress {
  const { phase, before, fresh, sinceMs } = rollout;
  if (phase === 'selfTest') return before;
  return { answered: before.answered + fresh.answered, elapsedMs: before.elapsedMs + (nowMs - sinceMs) };
}

export function isUnderWay({ phase }: Rollout): boolean {
  return phase === 'selfTest' || phase === 'probation';
}

function test(draft: Draft, candidate: Entry): void {
  const { expert, residency } = candidate;
  if (residency.state === 'absent') {
    const fitted = fitBound(draft, candidate, pinnedEntries(draft.state));
    draft.putEntry(expert.id, { expert: fitted.expert, wanted: true });
    return;
  }
  if ([...draft.state.leases.values()].some((one) => one.purpose === 'test' && one.expert === expert.id))
    return;
  const lease = lend(draft, expert.id, 'test', null, null);
  if (lease === null) return;
  const embedder = expert.needsEmbedding ? embedderFor(draft, expert.id) : null;
  draft.steps.push({ type: 'test', lease: lease.id, expert: expert.id, cell: lease.cell, embedder });
  draft.because(`${expert.id} is asked for its golden answers`);
}

/** Its lease ends with the test, which it is for. */
function embedderFor(draft: Draft, candidate: ExpertId): Extract<Step, { type: 'test' }>['embedder'] {
  const { embedder } = draft.state.settings;
  const lease = embedder === null ? null : lend(draft, embedder, 'test', null, candidate);
  return lease === null || embedder === null ? null : { lease: lease.id, expert: embedder, cell: lease.cell };
}

/** What speaks against a candidate, whatever it answers (4); null: nothing. */
function faultOf(draft: Draft, candidate: Entry): Failure | null {
  const { residency, crashesMs, lastError } = candidate;
  const { expert } = fitBound(draft, candidate, pinnedEntries(draft.state));
  if (residency.state === 'quarantined')
    return lastError ?? fault('load_failed', `it went to quarantine: ${residency.reason}`);
  if (expert.marginBytes > 0)
    return fault('out_of_memory', 'the kernel killed its process for want of memory');
  if (crashesMs.length >= MOST_CRASHES)
    return fault('cell_exited', `it failed ${crashesMs.length} times to load, to answer or to end in time`);
  const { state } = draft;
  const { budgetBytes } = state.settings;
  const alone = leastBudgetBytes(state, expert);
  if (alone > budgetBytes) return failures.tooLarge(expert, alone, budgetBytes);
  const beside = leastBudgetBesidePinned(state, expert, pinnedEntries(state));
  return beside > budgetBytes ? failures.allPinned(expert, beside, budgetBytes) : null;
}

function judge(draft: Draft, of: ExpertId, rollout: Rollout): void {
  const progress = progressOf(rollout, draft.state.nowMs);
  const isOver = shareDone(rollout, progress) >= 1;
  const fault = failedTooOften(rollout, isOver) ?? (isOver ? slowness(rollout) : null);
  const isAlone = draft.entry(of)?.residency.state === 'quarantined';
  if (fault !== null || isOver || isAlone) return conclude(draft, of, fault);
  const isMuch = shareDone(rollout, progress) >= shareDone(rollout, rollout.told) + TOLD_SHARE;
  if (isMuch || progress.elapsedMs >= rollout.told.elapsedMs + TOLD_MS) tell(draft, of, 'probation');
}

function shareDone({ canary }: Rollout, { answered, elapsedMs }: Progress): number {
  if (canary?.decisions != null) return answered / canary.decisions;
  return canary?.ms == null ? 1 : elapsedMs / canary.ms;
}

function failedTooOften({ fresh }: Rollout, isOver: boolean): Failure | null {
  const asked = fresh.answered + fresh.failed;
  if (fresh.failed <= asked * MOST_FAILED_SHARE || (fresh.failed < LEAST_FAILURES && !isOver)) return null;
  return fault(
    'canary_failed',
    `it failed ${fresh.failed} of ${asked} requests that the old version answered`,
  );
}

function slowness({ old, fresh }: Rollout): Failure | null {
  if (Math.min(old.runMs.length, fresh.runMs.length) < LEAST_RUNS) return null;
  const [oldMs, freshMs] = [highOf(old.runMs), highOf(fresh.runMs)];
  if (freshMs <= oldMs * SLOW_FACTOR + SLOW_EXTRA_MS) return null;
  const [now, before] = [Math.round(freshMs), Math.round(oldMs)];
  return fault('canary_slow', `its 95th percentile is ${now} ms, that of the old version ${before} ms`);
}

/** Nearest rank. */
function highOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * PERCENTILE) - 1] ?? 0;
}

function conclude(draft: Draft, of: ExpertId, why: Failure | null): void {
  const phase = why === null ? 'committed' : 'rolledBack';
  const candidate = draft.state.rollouts.get(of)?.candidate ?? '';
  draft.because(
    why === null
      ? `${candidate} takes the place of ${of}`
      : `${candidate} is rolled back, ${of} stays as it is: ${why.message}`,
  );
  tell(draft, of, phase, why);
  putRollout(draft, of, { phase, sinceMs: draft.state.nowMs, why });
  if (why === null) return;
  draft.putEntry(candidate, { wanted: false });
  refuseWaiters(draft, candidate, why);
}

function tell(
  draft: Draft,
  of: ExpertId,
  phase: 'probation' | 'committed' | 'rolledBack',
  why: Failure | null = null,
): void {
  const rollout = draft.state.rollouts.get(of);
  const digest = draft.entry(rollout?.candidate ?? '')?.expert.digest;
  if (rollout === undefined || digest === undefined) return;
  const { candidate } = rollout;
  const progress = progressOf(rollout, draft.state.nowMs);
  draft.steps.push({ type: 'rollout', expert: of, candidate, digest, phase, progress, why });
  putRollout(draft, of, { told: progress });
}

// ---- the candidate --------------------------------------------------------------------------------------------

/**
 * Requests come to it by the old version's words: it is not ranked beside it. It is not parked either: what comes back
 * at once could be driven out again before it was asked anything, over and over.
 */
function asCandidate(expert: Expert): Expert {
  const routing = { ...expert.routing, rules: [], vocabulary: new Uint32Array(), prototypes: [] };
  return { ...expert, routing, pinned: false, parkable: false };
}

/** So that what it does to its process is done to nobody else (1). */
function inCellOfItsOwn(state: State, expert: Expert): Expert {
  const alone: Expert = { ...expert, isolation: 'own' };
  const least = leastBudgetBesidePinned(state, alone, pinnedEntries(state));
  return least <= state.settings.budgetBytes ? alone : expert;
}

/** False where no request could go to its candidate: vectors of two versions do not mix, and a detector is asked with the embedder. */
function isAsked({ state }: Draft, expert: ExpertId): boolean {
  const isEmbedder = state.experts.get(expert)?.expert.task === 'feature-extraction';
  return !isEmbedder && !isSense(state, expert);
}

function fault(code: string, message: string): Failure {
  const hint = 'Send another version; or clear the expert, and this one is tried again.';
  return { code, message, hint, retryable: false };
}
