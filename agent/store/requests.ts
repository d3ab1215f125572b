/**
 * Which row brought which request. Ids of requests come from outside and may repeat over the years; the sequence
 * number of the event that brought a request does not, and it is what rows refer to.
 */

import type { Event } from '../events.ts';
import type { LogEntry } from '../ports.ts';
import type { Lease, RequestId, State } from '../types.ts';

export interface Live {
  readonly id: RequestId;
  /** Sequence number of its `request` event. */
  readonly sequence: number;
  readonly sinceMs: number;
  /** Sequence number of its row in `choices`. */
  readonly choice: number | null;
}

/** One request as one entry finds it and leaves it. */
export interface Concern {
  readonly request: Live;
  /** It was chosen for, or ended without a choice, in this entry: the entry has a row in `choices` about it. */
  readonly chosenHere: boolean;
  readonly endedHere: boolean;
}

/** The requests under way. The first end counts: what a cancelled run does afterwards is nobody's answer. */
export class LiveRequests {
  readonly #live = new Map<RequestId, Live>();

  get size(): number {
    return this.#live.size;
  }

  /** What an entry means for the requests under way, each once; the one with a row in `choices` first. */
  follow(entry: LogEntry, sequence: number): readonly Concern[] {
    const { before, event, decision } = entry;
    if (event.type === 'request' && !before.requests.has(event.request)) {
      const { request: id, atMs: sinceMs } = event;
      this.#live.set(id, { id, sequence, sinceMs, choice: null });
    }
    const chosen = decision.choice?.request ?? this.#endsUnchosen(entry);
    const concerns: Concern[] = [];
    for (const id of concernedBy(entry, chosen)) {
      const request = this.#live.get(id);
      if (request === undefined) continue;
      const chosenHere = id === chosen;
      const endedHere = !decision.state.requests.has(id);
      concerns.push({ request, chosenHere, endedHere });
      if (endedHere) this.#live.delete(id);
      else if (chosenHere) this.#live.set(id, { ...request, choice: sequence });
    }
    return concerns;
  }

  /** An entry has one row in `choices` at most, so one request at most that ends without a choice is listed. */
  #endsUnchosen(entry: LogEntry): RequestId | null {
    for (const id of concernedBy(entry, null)) {
      if (this.#live.get(id)?.choice === null && !entry.decision.state.requests.has(id)) return id;
    }
    return null;
  }
}

function concernedBy({ before, event, decision }: LogEntry, first: RequestId | null): ReadonlySet<RequestId> {
  const ids = new Set<RequestId>(first === null ? [] : [first]);
  if ('request' in event) ids.add(event.request);
  for (const lease of leasesEndedBy(before, event)) if (lease.request !== null) ids.add(lease.request);
  for (const step of decision.steps) if ('request' in step) ids.add(step.request);
  return ids;
}

/** The leases that an event ends. */
export function leasesEndedBy(before: State, event: Event): readonly Lease[] {
  if (event.type === 'cellExited') {
    return [...before.leases.values()].filter((lease) => lease.cell === event.cell);
  }
  if (!('lease' in event) || event.lease === null) return [];
  const lease = before.leases.get(event.lease);
  return lease === undefined ? [] : [lease];
}
