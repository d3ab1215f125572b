/**
 * Waits for what Node cannot wait for: priority events of files (poll(2)) and counters of events (eventfd(2)). The wait
 * lies in one thread of Node's pool, which sleeps in the kernel meanwhile.
 */
import { closeSync, readSync, writeSync } from 'node:fs';
import { endianness } from 'node:os';
import type { Foreign, WaitingFunction } from './foreign.ts';

/** Kinds of events, from asm-generic/poll.h; the same numbers on x64 and arm64. */
export const POLL = { in: 0x01, priority: 0x02, error: 0x08, hangUp: 0x10, invalid: 0x20 } as const;

/** A file, and the kinds of events that are waited for; an error, a hang-up or a file that is not open always are. */
export interface Watched {
  readonly file: number;
  readonly events: number;
}

/** From linux/eventfd.h: EFD_CLOEXEC and EFD_NONBLOCK. */
const COUNTER_FLAGS = 0o2_000_000 | 0o4_000;
/** `struct pollfd`: a file as an int, the events to wait for and those that came as shorts. */
const ENTRY = { bytes: 8, events: 4, came: 6 } as const;
const FOREVER = -1;
const ONE = new BigUint64Array([1n]);

export class Poller {
  readonly #poll: WaitingFunction<['int', 'void *', 'size_t', 'int']>;
  readonly #newCounter: () => number;
  /** Counts the wishes to stop. */
  readonly #wake: number;
  readonly #wakeAtExit = (): void => void writeSync(this.#wake, ONE);
  #stopped = false;
  #waiting = false;

  private constructor(
    poll: WaitingFunction<['int', 'void *', 'size_t', 'int']>,
    newCounter: () => number,
    wake: number,
  ) {
    this.#poll = poll;
    this.#newCounter = newCounter;
    this.#wake = wake;
    // At its end a process waits for the threads of its pool.
    process.on('exit', this.#wakeAtExit);
  }

  /** null where the C library lacks one of the functions, or the process may not open more files. */
  static open(foreign: Foreign): Poller | null {
    const [poll, eventfd] = (['poll', 'eventfd'] as const).map((name) => foreign.find(null, name));
    if (!poll || !eventfd || endianness() !== 'LE') return null;
    const makeCounter = foreign.functionAt(eventfd, ['int', 'int', 'int']);
    const newCounter = (): number => makeCounter(0, COUNTER_FLAGS);
    const wake = newCounter();
    return wake < 0
      ? null
      : new Poller(foreign.waitingAt(poll, ['int', 'void *', 'size_t', 'int']), newCounter, wake);
  }

  /** A file that the kernel can be told to add to, and that can be read from then on; the caller closes it. null: none. */
  openCounter(): number | null {
    const file = this.#newCounter();
    return file < 0 ? null : file;
  }

  /**
   * Resolves with the kinds of events that came of each file, in the same order, as soon as there is one; with null when
   * the poller is stopped, or cannot wait. One wait at a time.
   */
  async wait(files: readonly Watched[]): Promise<readonly number[] | null> {
    if (this.#stopped || this.#waiting) return null;
    const entries = entriesOf([...files, { file: this.#wake, events: POLL.in }]);
    this.#waiting = true;
    let ready = await this.#poll(entries, files.length + 1, FOREVER);
    // A signal that was handled in that thread: it does not happen twice in a row.
    if (ready < 0 && !this.#stopped) ready = await this.#poll(entries, files.length + 1, FOREVER);
    this.#waiting = false;
    if (this.#stopped) closeSync(this.#wake);
    if (this.#stopped || ready < 0) return null;
    return files.map((_, at) => entries.readInt16LE(at * ENTRY.bytes + ENTRY.came));
  }

  /** Ends a wait at once, and all later ones. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    process.off('exit', this.#wakeAtExit);
    if (this.#waiting) writeSync(this.#wake, ONE);
    else closeSync(this.#wake);
  }
}

/** Takes what a counter has counted: until then it stays ready. */
export function drainCounter(file: number): void {
  try {
    readSync(file, new Uint8Array(ONE.byteLength));
  } catch {
    // It has counted nothing.
  }
}

function entriesOf(files: readonly Watched[]): Buffer {
  const entries = Buffer.alloc(files.length * ENTRY.bytes);
  files.forEach(({ file, events }, at) => {
    entries.writeInt32LE(file, at * ENTRY.bytes);
    entries.writeInt16LE(events, at * ENTRY.bytes + ENTRY.events);
  });
  return entries;
}
