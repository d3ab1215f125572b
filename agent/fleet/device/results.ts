/**
 * What is said of commands on `R/v1/D/res`: in parts that every broker carries, in the order in which it was said, and
 * again after each connection until the broker has it.
 */
import { toFailure } from '../../errors.ts';
import type { CommandState, Result } from '../documents/shapes.ts';

/** What is said of one command. */
export interface Said {
  readonly id: string;
  readonly state: CommandState;
  readonly reason: string | null;
  /** Any text; it is cut into parts. */
  readonly detail: string | null;
}

/** Of a whole message: AWS IoT Core carries 128 KiB, and others are set to less. */
const MAX_BODY_BYTES = 100_000;
/** Everything of a message but its detail: the longest id, state and reason, and what is around them. */
const HEAD_BYTES = 1_024;
const MAX_REASON_CHARS = 128;
/** While the link is down no commands come; more than a few waits only for a broker that refuses. */
const MAX_WAITING = 1_024;

/** The messages that say it. Their details, one after the other, are the detail: no character is cut. */
export function partsOf({ id, state, reason, detail }: Said): readonly Result[] {
  const pieces = detail === null ? [null] : cut(detail.toWellFormed(), MAX_BODY_BYTES - HEAD_BYTES);
  return pieces.map((piece, index) => ({
    id,
    part: index + 1,
    parts: pieces.length,
    state,
    reason: reason === null ? null : reason.slice(0, MAX_REASON_CHARS).toWellFormed(),
    detail: piece,
  }));
}

/** Pieces of at most so many bytes as JSON has them, quotes aside; one that is empty for an empty text. */
function cut(text: string, maxBytes: number): readonly string[] {
  const pieces: string[] = [];
  let [from, at, bytes] = [0, 0, 0];
  for (const character of text) {
    const more = jsonBytes(character);
    if (bytes + more > maxBytes) {
      pieces.push(text.slice(from, at));
      [from, bytes] = [at, 0];
    }
    at += character.length;
    bytes += more;
  }
  return [...pieces, text.slice(from)];
}

/** What a character of a well-formed text takes as `JSON.stringify` writes it, in UTF-8. */
function jsonBytes(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (character === '"' || character === '\\') return 2;
  if (code < 0x20) return '\b\f\n\r\t'.includes(character) ? 2 : 6;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x1_0000 ? 3 : 4;
}

export interface OutgoingOptions {
  /** To `res`. Resolves when the broker has it. */
  readonly publish: (body: string) => Promise<void>;
  /** The broker has all of it: now it may be said elsewhere too, before what comes after it. Never rejects. */
  readonly sayElsewhere: (said: Said, bodies: readonly string[]) => Promise<void>;
  /** The broker has all of it. */
  readonly onSent: (said: Said) => void;
  /** It will never be sent: the broker refuses it, or too much waits. */
  readonly onLost: (said: Said, why: string) => void;
}

interface Letter {
  readonly said: Said;
  readonly bodies: readonly string[];
  /** Parts that the broker has. */
  sent: number;
  readonly settled: () => void;
}

const GOING: ReadonlySet<CommandState> = new Set(['ACCEPTED', 'IN_PROGRESS']);

/** Nothing comes after it. */
export function isLastWord(state: CommandState): boolean {
  return !GOING.has(state);
}

/** Failures of the connection, after which the same message is sent again. */
const LINK_FAILURES: ReadonlySet<string> = new Set(['not_connected', 'link_lost']);

export class Outgoing {
  readonly #options: OutgoingOptions;
  #waiting: Letter[] = [];
  #isSending = false;
  /** There was a new connection while a message of the old one was not settled. */
  #isUpAgain = false;
  #isStopped = false;

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** Nothing waits. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Says it after everything before it. Resolves when the broker has it, or it is given up. */
  send(said: Said): Promise<void> {
    if (this.#isStopped || this.#isWaiting(said)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const bodies = partsOf(said).map((part) => JSON.stringify(part));
    this.#waiting.push({ said, bodies, sent: 0, settled: resolve });
    if (this.#waiting.length > MAX_WAITING) this.#dropOne();
    void this.#pump();
    return promise;
  }

  onUp(): void {
    this.#isUpAgain = this.#isSending;
    void this.#pump();
  }

  stop(): void {
    this.#isStopped = true;
    for (const letter of this.#waiting) letter.settled();
    this.#waiting = [];
  }

  /** The same is about to be said, or the last word of this command: it is repeated while the link is down. */
  #isWaiting({ id, state }: Said): boolean {
    return this.#waiting.some(
      ({ said }) => said.id === id && (said.state === state || isLastWord(said.state)),
    );
  }

  /** Never rejects. */
  async #pump(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    for (let letter = this.#waiting[0]; letter !== undefined; letter = this.#waiting[0]) {
      const isUp = await this.#deliver(letter);
      if (!isUp && !this.#isUpAgain) break;
      this.#isUpAgain = false;
    }
    this.#isSending = false;
  }

  /** False where the link was lost, and the letter waits for the next one. */
  async #deliver(letter: Letter): Promise<boolean> {
    const { said, bodies } = letter;
    try {
      for (let body = bodies[letter.sent]; body !== undefined; body = bodies[letter.sent]) {
        await this.#options.publish(body);
        letter.sent += 1;
        if (this.#isStopped) return true;
      }
    } catch (error) {
      const { code, message } = toFailure(error);
      if (LINK_FAILURES.has(code)) return false;
      if (this.#remove(letter)) this.#options.onLost(said, message);
      return true;
    }
    await this.#options.sayElsewhere(said, bodies);
    if (this.#remove(letter)) this.#options.onSent(said);
    return true;
  }

  /** False where it was removed before. */
  #remove(letter: Letter): boolean {
    const index = this.#waiting.indexOf(letter);
    if (index < 0) return false;
    this.#waiting.splice(index, 1);
    letter.settled();
    return true;
  }

  /** The oldest goes, but not the one under way. */
  #dropOne(): void {
    const oldest = this.#waiting[1];
    if (oldest !== undefined && this.#remove(oldest))
      this.#options.onLost(oldest.said, `more than ${MAX_WAITING} results wait for the broker`);
  }
}
