/**
 * What the router learns of the experts: their example requests as vectors of the embedder. Lessons belong to one version
 * of an expert and to the space of one embedder; when either changes, they are learned again.
 */
import type { Draft } from './draft.ts';
import type { Event } from './events.ts';
import { lend, wantOf } from './routing.ts';
import type { Entry, ExpertId } from './types.ts';

/** Learns the examples of one expert when the embedder has nothing else to do. */
export function learn(draft: Draft): void {
  const { embedder } = draft.state.settings;
  if (embedder === null || draft.state.requests.size > 0) return;
  for (const lease of draft.state.leases.values()) if (lease.purpose === 'learn') return;
  for (const entry of draft.state.experts.values()) {
    if (!isPupil(entry)) continue;
    const subject = entry.expert.id;
    const lease = lend(draft, embedder, 'learn', null, subject);
    if (lease === null) return;
    draft.steps.push({ type: 'learn', subject, lease: lease.id, expert: embedder, cell: lease.cell });
    draft.because(`the router learns the examples of ${subject}`);
    return;
  }
}

function isPupil({ expert, residency }: Entry): boolean {
  // Requests come to a candidate by the lessons of the version that it is to follow.
  if (expert.candidateOf !== null) return false;
  if (wantOf(expert.task) !== 'chat' || residency.state === 'quarantined') return false;
  return expert.routing.prototypes === null;
}

/**
 * Keeps what a lesson brought. One that failed is not begun again, so that it cannot keep the device busy: until the
 * expert or the embedder changes, the router knows that expert by its words.
 */
export function learned(draft: Draft, event: Extract<Event, { type: 'learned' }>): void {
  const lease = draft.state.leases.get(event.lease);
  draft.dropLease(event.lease);
  const entry = draft.entry(event.expert);
  // Without its lease, or without a subject, it is about a cell, a version or an embedder that is gone.
  if (lease === undefined || lease.subject === null || entry === undefined) return;
  if (event.error !== null)
    draft.because(`${event.expert}: its examples were not learned: ${event.error.message}`);
  const routing = { ...entry.expert.routing, prototypes: event.prototypes ?? [] };
  draft.putEntry(event.expert, { expert: { ...entry.expert, routing } });
}

/** An expert leaves, or comes in another version: its lessons go, and if it was the embedder, those of all. */
export function forgetLessons(draft: Draft, expert: ExpertId): void {
  if (expert === draft.state.settings.embedder) return forgetAllLessons(draft);
  for (const lease of draft.state.leases.values()) {
    if (lease.subject === expert) draft.putLease(lease.id, { subject: null });
  }
}

/** The embedder changes, and with it the space of all vectors. */
export function forgetAllLessons(draft: Draft): void {
  for (const lease of draft.state.leases.values()) {
    if (lease.purpose === 'learn') draft.putLease(lease.id, { subject: null });
  }
  for (const { expert } of draft.state.experts.values()) {
    if (wantOf(expert.task) !== 'chat' || expert.routing.prototypes === null) continue;
    draft.putEntry(expert.id, { expert: { ...expert, routing: { ...expert.routing, prototypes: null } } });
  }
}
