/** Puts the parts of a device's answers to one command together. What is not of this command is passed over. */
import { type CommandState, type Result, readResult } from '../documents/shapes.ts';

export interface Answer {
  readonly state: CommandState;
  readonly reason: string | null;
  /** Of all parts; null where there is none. */
  readonly detail: string | null;
  /** Nothing comes after it. */
  readonly isFinal: boolean;
}

/** Of an answer, so that a device cannot fill the memory of who asked: 100 MB in parts of 100 kB. */
const mostParts = 1_000;
const going: ReadonlySet<CommandState> = new Set(['ACCEPTED', 'IN_PROGRESS']);

export class Answers {
  readonly #id: string;
  readonly #parts = new Map<string, Map<number, Result>>();
  readonly #said = new Set<string>();

  /** `id` of the command. */
  constructor(id: string) {
    this.#id = id;
  }

  /** The answer that this payload completes; null where it completes none, or one that was given already. */
  take(payload: Uint8Array): Answer | null {
    const result = parse(payload);
    if (result === null || result.id !== this.#id || result.parts > mostParts) return null;
    const key = `${result.state} ${result.reason ?? ''} ${result.parts}`;
    if (this.#said.has(key)) return null;
    const parts = this.#parts.get(key) ?? new Map<number, Result>();
    this.#parts.set(key, parts.set(result.part, result));
    if (parts.size < result.parts) return null;
    this.#said.add(key);
    this.#parts.delete(key);
    return whole(result, [...parts.values()]);
  }
}

function parse(payload: Uint8Array): Result | null {
  try {
    return readResult(payload);
  } catch {
    return null;
  }
}

function whole({ state, reason }: Result, parts: readonly Result[]): Answer {
  const details = parts.toSorted((a, b) => a.part - b.part).flatMap(({ detail }) => detail ?? []);
  const detail = details.length === 0 ? null : details.join('');
  return { state, reason, detail, isFinal: !going.has(state) };
}
