/** What happens in a world: events before they have a time, and the failures in them. */
import type { Event } from '../../agent/events.ts';
import type { Failure } from '../../agent/types.ts';

type Untimed<E> = E extends unknown ? Omit<E, 'atMs'> : never;
export type Happening = Untimed<Event>;

/** How an operation ends: well, for a reason that passes, for good, or because the disk takes no record of it. */
export type Fault = 'none' | 'fail' | 'broken' | 'full';

export const CRASH: Failure = { code: 'cell_exited', message: 'gone', hint: null, retryable: true };
export const BAD: Failure = { code: 'bad_expert', message: 'broken file', hint: null, retryable: false };
export const FULL: Failure = { code: 'not_kept', message: 'the disk is full', hint: null, retryable: true };
