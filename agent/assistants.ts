/**
 * Assistants: experts that find the sources and let a language model speak. The model is one for all of them, so that
 * another assistant costs no memory of its own.
 *
 *  1 an assistant whose base can be used is leased for `retrieve`, and its base for `answer` once sources were found
 *  2 a base that is named and cannot be used leaves the answer to the assistant itself, and the reply says so
 *  3 without a base, named by it or by the configuration, it is an expert like any other
 *  4 a base that does not come in time, or fails, leaves the answer to what was found: step `fallback`
 */
import { versionFor } from './canary.ts';
import type { Draft } from './draft.ts';
import type { Event } from './events.ts';
import { failures } from './failures.ts';
import type { Entry, Expert, ExpertId, Lease, Phase, State } from './types.ts';

type Voice =
  | { readonly kind: 'own' }
  | { readonly kind: 'base'; readonly base: ExpertId }
  | { readonly kind: 'missing'; readonly why: 'base-not-installed' | 'base-failed' };

/** Who would speak for an expert now. */
function voiceOf(state: State, expert: Expert): Voice {
  if (expert.assistant === null) return { kind: 'own' };
  const base = expert.assistant.base ?? state.settings.generalist;
  if (base === null || base === (expert.candidateOf ?? expert.id)) return { kind: 'own' }; // 3
  const entry = state.experts.get(base);
  if (entry === undefined || entry.fate?.kind === 'remove')
    return { kind: 'missing', why: 'base-not-installed' }; // 2
  if (entry.expert.task !== 'text-generation') return { kind: 'own' }; // 3
  if (entry.residency.state === 'quarantined') return { kind: 'missing', why: 'base-failed' }; // 2
  return { kind: 'base', base }; // 1
}

/** What a request for this expert waits for first, and in what way its answer is going to be less than it could be. */
export function beginAnswer(
  draft: Draft,
  expert: Expert,
): { readonly phase: Phase; readonly degraded: string | null } {
  const voice = voiceOf(draft.state, expert);
  const purpose = voice.kind === 'base' ? 'retrieve' : 'answer';
  if (voice.kind === 'missing') draft.because(`${expert.id} answers itself: ${voice.why}`);
  return {
    phase: { name: 'waiting', purpose, expert: expert.id },
    degraded: voice.kind === 'missing' ? voice.why : null,
  };
}

/** A `retrieve` has ended. True where the request goes on: to the base, or to what was found. */
export function retrieved(
  draft: Draft,
  lease: Lease,
  { ok, error, sources }: Extract<Event, { type: 'released' }>['outcome'],
): boolean {
  const { request } = lease;
  if (request === null || lease.cancelled || !draft.state.requests.has(request)) return false;
  if (!ok) {
    if (error !== null) draft.reject(request, error);
    return true;
  }
  if (sources === 0) return false;
  draft.putRequest(request, { assistant: lease.expert });
  const base = draft.entry(baseOf(draft, draft.entry(lease.expert)) ?? '')?.expert;
  const known = draft.state.requests.get(request);
  if (base === undefined || known === undefined) {
    draft.reject(request, failures.unvoiced(lease.expert));
    return true;
  }
  draft.because(`${base.id} is to speak for ${lease.expert}, from ${sources} sources`);
  // Who found them has answered his part: only the base may still fail it.
  draft.putRequest(request, { insteadOf: null });
  const speaker = versionFor(draft, known, base);
  draft.putRequest(request, { phase: { name: 'waiting', purpose: 'answer', expert: speaker.id } });
  return true;
}

function baseOf(draft: Draft, entry: Entry | undefined): ExpertId | null {
  if (entry === undefined) return null;
  const voice = voiceOf(draft.state, entry.expert);
  return voice.kind === 'base' ? voice.base : null;
}
