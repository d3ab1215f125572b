/**
 * Who answers where memory is short: the expert that the configuration names as another's `fallback`, smaller as a rule.
 * The reply says so. It must be in memory already, but where the refusal is for good; and it has no stand-in itself.
 */
import type { Draft } from './draft.ts';
import type { ExpertId, Failure, Loading, Request, RequestId, State } from './types.ts';

/** Refusals that say: not enough memory, for now or for ever. */
const FOR_NOW: readonly string[] = ['pressure', 'loading'];
const FOR_GOOD: readonly string[] = ['too_large', 'all_pinned'];

/** What `x-expertd-degraded` says of such an answer. */
export const STOOD_IN = 'smaller-expert';

/** Refuses a request that waits for an expert, or lets another expert answer it. */
export function refuseOrReplace(
  draft: Draft,
  id: RequestId,
  failure: Failure,
  retryAfterMs: number | null = null,
  loading: Loading | null = null,
): void {
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
