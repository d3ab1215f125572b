/** What decisions leave behind for people: counters, and one line in the log each. The record has them all. */

import type { Event } from './events.ts';
import type { Logger } from './logging.ts';
import type { Decision } from './types.ts';
import type { Counts } from './views.ts';

/** Every request has these: only somebody who debugs wants to read them. */
const QUIET: ReadonlySet<Event['type']> = new Set(['request', 'features', 'released', 'sample']);
const WORRYING: ReadonlySet<Event['type']> = new Set(['loadFailed', 'cellExited']);

export class Chronicle {
  readonly #log: Logger;
  #counts: Counts = { loads: 0, loadFailures: 0, evictions: 0, cellExits: 0 };

  constructor(log: Logger) {
    this.#log = log;
  }

  get counts(): Counts {
    return this.#counts;
  }

  note(event: Event, { reasons, steps }: Decision, sequence: number): void {
    const { loads, loadFailures, evictions, cellExits } = this.#counts;
    this.#counts = {
      loads: loads + Number(event.type === 'loaded'),
      loadFailures: loadFailures + Number(event.type === 'loadFailed'),
      evictions: evictions + steps.filter((step) => step.type === 'unload').length,
      cellExits: cellExits + Number(event.type === 'cellExited'),
    };
    if (reasons.length === 0) return;
    const acts = steps.some((step) => step.type === 'load' || step.type === 'unload' || step.type === 'stop');
    const level = WORRYING.has(event.type) ? 'warn' : QUIET.has(event.type) && !acts ? 'debug' : 'info';
    this.#log[level]({ decision: sequence }, reasons.join('; '));
  }
}
