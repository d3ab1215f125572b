/**
 * Keys and values of conversations, those under way and those that may go on, inside one number of bytes. A new prompt
 * begins with what one of them begins with, as far as it goes, and only the rest is computed.
 */
import type { Model, Sequence } from './model.ts';

/**
 * Tokens of a prompt in one step: bounds how late a cancel is seen. Pieces end at multiples of it, counted from the
 * first token: the int8 kernels quantise what goes through a step with one scale, so where a prompt is cut is seen in
 * its keys and values, and two prompts that begin alike have the same only where they were cut alike.
 */
export const PIECE_TOKENS = 128;
/** Fewer tokens in common are not worth a copy, nor another conversation's loss. */
const LEAST_SHARED_TOKENS = 16;

export class Conversation {
  /** null before the first step, and once it was given up for others. */
  sequence: Sequence | null = null;
  /** The tokens that went through `sequence`. */
  ids: number[] = [];
  /** So many tokens at the beginning went through in whole pieces: a multiple of PIECE_TOKENS. */
  wholeTokens = 0;
  /** Tokens of the prompt that it was begun with, or went on with. */
  readonly promptTokens: number;
  /** What it may grow to without asking. */
  reservedBytes = 0;

  constructor(promptTokens: number) {
    this.promptTokens = promptTokens;
  }

  get bytes(): number {
    return Math.max(this.sequence?.bytes ?? 0, this.reservedBytes);
  }

  /** Puts tokens through the model; the logits after the last of them where they are wanted. */
  async put(ids: readonly number[], wanted: boolean, model: Model): Promise<Float32Array | null> {
    this.sequence ??= model.begin();
    const from = this.ids.length;
    let logits: Float32Array | null = null;
    if (wanted) logits = await this.sequence.predict(ids);
    else await this.sequence.append(ids);
    for (const id of ids) this.ids.push(id);
    if (from === this.wholeTokens && ids.length === PIECE_TOKENS) this.wholeTokens += PIECE_TOKENS;
    return logits;
  }

  forgetAfter(tokens: number): void {
    this.sequence?.truncate(tokens);
    this.ids.length = tokens;
    this.wholeTokens = Math.min(this.wholeTokens, wholePieces(tokens));
  }

  giveUp(): void {
    this.sequence?.release();
    this.sequence = null;
    this.ids = [];
    this.wholeTokens = 0;
    this.reservedBytes = 0;
  }
}

/** One per model. Everything happens between two steps; nothing waits. */
export class Conversations {
  readonly #model: Model;
  readonly #capacityBytes: number;
  /** Under way, oldest first. */
  readonly #active: Conversation[] = [];
  /** Least recently used first. */
  readonly #kept: Conversation[] = [];

  constructor(model: Model, capacityBytes: number) {
    this.#model = model;
    this.#capacityBytes = capacityBytes;
  }

  /** Bytes of what nobody is talking in. */
  get keptBytes(): number {
    return sumOfBytes(this.#kept);
  }

  get usedBytes(): number {
    return sumOfBytes(this.#kept) + sumOfBytes(this.#active);
  }

  /**
   * A conversation that holds a beginning of `prompt`, as long a one as is there, and never all of it: the last token
   * has to be run for its logits. `alike` takes only what was computed as it would be without any of this: whole
   * pieces of prompts, no tokens that were said.
   *
   * The conversation that has it goes on, if no more than its answer (or a piece of its prompt) is lost by that; else
   * it is kept as it is and its beginning is copied: two assistants share a system prompt and nothing more.
   */
  open(prompt: readonly number[], alike: boolean): Conversation {
    const conversation = new Conversation(prompt.length);
    const found = this.#findBeginning(prompt, alike);
    if (found !== null) this.#begin(conversation, found.source, found.tokens);
    this.#active.push(conversation);
    return conversation;
  }

  /**
   * Makes sure that there is room for `tokens` tokens in all. Gives up kept conversations first, least recently used
   * first, then those under way that began later, the youngest first: they are computed again when there is room
   * (vLLM's preemption by recomputation). False where that is not enough: never for the oldest one under way.
   */
  reserve(conversation: Conversation, tokens: number): boolean {
    const neededBytes = Math.max(conversation.bytes, this.#model.bytesFor(tokens));
    const missingBytes = neededBytes - conversation.bytes;
    while (!this.#makeRoom(missingBytes, conversation)) {
      const victim = this.#youngestAfter(conversation);
      if (victim === null) return false;
      victim.giveUp();
    }
    conversation.reservedBytes = neededBytes;
    return true;
  }

  /** It is over, and kept for what may follow. */
  close(conversation: Conversation): void {
    this.#leave(conversation);
    conversation.reservedBytes = 0;
    if (conversation.ids.length < LEAST_SHARED_TOKENS) conversation.giveUp();
    else this.#kept.push(conversation);
  }

  /** It is over, and what it holds is of no use. */
  drop(conversation: Conversation): void {
    this.#leave(conversation);
    conversation.giveUp();
  }

  /** Gives back all that nobody is talking in. */
  trim(): void {
    for (const conversation of this.#kept.splice(0)) conversation.giveUp();
  }

  #findBeginning(
    prompt: readonly number[],
    alike: boolean,
  ): { readonly source: Conversation; readonly tokens: number } | null {
    let best: { source: Conversation; tokens: number } | null = null;
    // The most recently used of equals; one that is under way only where no other has as much.
    for (const source of [...this.#active, ...this.#kept].reverse()) {
      const shared = sharedTokens(source.ids, prompt);
      const tokens = alike ? wholePieces(Math.min(shared, source.wholeTokens)) : shared;
      if (tokens > (best?.tokens ?? 0)) best = { source, tokens };
    }
    return best !== null && best.tokens >= LEAST_SHARED_TOKENS ? best : null;
  }

  #begin(conversation: Conversation, source: Conversation, tokens: number): void {
    const isKept = this.#kept.includes(source);
    const isCopied =
      !(isKept && goesOn(source, tokens)) && this.#makeRoom(this.#model.bytesFor(tokens), source);
    if (!isCopied) {
      if (isKept) this.#takeOver(conversation, source, tokens);
      return;
    }
    conversation.sequence = source.sequence?.fork(tokens) ?? null;
    conversation.ids = source.ids.slice(0, tokens);
    conversation.wholeTokens = Math.min(source.wholeTokens, wholePieces(tokens));
    this.#touch(source);
  }

  #takeOver(conversation: Conversation, source: Conversation, tokens: number): void {
    this.#kept.splice(this.#kept.indexOf(source), 1);
    conversation.sequence = source.sequence;
    conversation.ids = source.ids;
    conversation.wholeTokens = source.wholeTokens;
    conversation.forgetAfter(tokens);
  }

  /** Gives up kept conversations, `spared` excepted, until so many bytes are free. */
  #makeRoom(bytes: number, spared: Conversation): boolean {
    while (this.usedBytes + bytes > this.#capacityBytes) {
      const place = this.#kept.findIndex((kept) => kept !== spared);
      if (place < 0) return false;
      for (const victim of this.#kept.splice(place, 1)) victim.giveUp();
    }
    return true;
  }

  /** Of those under way that hold something and began after this one, the youngest. */
  #youngestAfter(conversation: Conversation): Conversation | null {
    const younger = this.#active.slice(this.#active.indexOf(conversation) + 1);
    return younger.findLast(({ bytes }) => bytes > 0) ?? null;
  }

  #touch(conversation: Conversation): void {
    const place = this.#kept.indexOf(conversation);
    if (place >= 0) this.#kept.push(...this.#kept.splice(place, 1));
  }

  #leave(conversation: Conversation): void {
    const place = this.#active.indexOf(conversation);
    if (place >= 0) this.#active.splice(place, 1);
  }
}

/**
 * Whether a prompt that has so many tokens in common with a conversation is the same one, as good as: all of its
 * prompt, the last token of which is run anyway, or nearly all of it.
 */
function goesOn({ ids, promptTokens }: Conversation, tokens: number): boolean {
  return tokens >= promptTokens - 1 || ids.length - tokens <= PIECE_TOKENS;
}

function sharedTokens(ids: readonly number[], prompt: readonly number[]): number {
  const most = Math.min(ids.length, prompt.length - 1);
  let shared = 0;
  while (shared < most && ids[shared] === prompt[shared]) shared += 1;
  return shared;
}

function wholePieces(tokens: number): number {
  return tokens - (tokens % PIECE_TOKENS);
}

function sumOfBytes(conversations: readonly Conversation[]): number {
  return conversations.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Most tokens that a sequence may have within `capacityBytes`; `most` is what the model was made for. */
export function contextWithin(model: Model, capacityBytes: number, most: number): number {
  let fits = 0;
  let over = Math.min(most, Math.floor(capacityBytes / model.bytesPerToken)) + 1;
  while (over - fits > 1) {
    const middle = (fits + over) >> 1;
    if (model.bytesFor(middle) <= capacityBytes) fits = middle;
    else over = middle;
  }
  return fits;
}
