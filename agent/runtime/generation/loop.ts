/** One answer: the prompt goes in in pieces, tokens come out one by one, and somebody may end it between two steps. */
import type { Answer } from '../../ports.ts';
import type { TaskRun } from '../task.ts';
import type { Choice, Chooser } from './chooser.ts';
import { type Conversation, type Conversations, PIECE_TOKENS } from './conversations.ts';
import type { Model } from './model.ts';
import type { Speech } from './speech.ts';
import type { Turn, Turns } from './turns.ts';

/** What the generations of a model share. */
export interface Stage {
  readonly model: Model;
  readonly conversations: Conversations;
  readonly turns: Turns;
  /** Most tokens of prompt and answer together. */
  readonly contextTokens: number;
}

export interface Generating {
  readonly chooser: Chooser;
  readonly speech: Speech;
  /** At least one token. */
  readonly prompt: readonly number[];
  /** Most tokens of the answer. */
  readonly limit: number;
  /** The answer must not depend on what was asked before. */
  readonly alike: boolean;
}

type TextAnswer = Extract<Answer, { kind: 'text' }>;

/**
 * Resolves with the whole answer; its pieces went out through `speech`. Tokens that end it are not counted. The keys
 * and values of all but the last token stay with the conversations, however it ends, unless it fails.
 */
export async function generate(stage: Stage, generating: Generating, run: TaskRun): Promise<TextAnswer> {
  const { prompt, speech, limit } = generating;
  if (limit <= 0) return answerOf(generating, { finish: 'length', outputTokens: 0 }, 0);
  const turn = stage.turns.join(run.cancelled);
  const talk = new Talk(stage, generating, turn, run);
  try {
    const end = await talk.speak();
    speech.end(end.finish !== 'stop');
    talk.close();
    return answerOf({ prompt, speech }, end, talk.cachedTokens);
  } catch (error) {
    talk.drop();
    throw error;
  } finally {
    turn.leave();
  }
}

function answerOf(
  { prompt, speech }: Pick<Generating, 'prompt' | 'speech'>,
  { finish, outputTokens }: Ending,
  cachedTokens: number,
): TextAnswer {
  return { kind: 'text', finish, inputTokens: prompt.length, outputTokens, cachedTokens, ...speech.whole() };
}

type Ending = Pick<TextAnswer, 'finish' | 'outputTokens'>;
/** What a step came to: the next token, more to put in, no room at present, or the end. */
type Outcome = Choice | 'more' | 'no-room' | 'cancelled';

class Talk {
  readonly #stage: Stage;
  readonly #generating: Generating;
  readonly #turn: Turn;
  readonly #run: TaskRun;
  /** Prompt and answer. */
  readonly #ids: number[];
  /** Opened with the first step: what others have computed by then is there to share. */
  #conversation: Conversation | null = null;
  cachedTokens = 0;

  constructor(stage: Stage, generating: Generating, turn: Turn, run: TaskRun) {
    this.#stage = stage;
    this.#generating = generating;
    this.#turn = turn;
    this.#run = run;
    this.#ids = [...generating.prompt];
  }

  async speak(): Promise<Ending> {
    const { chooser, speech, limit } = this.#generating;
    for (let outputTokens = 0; ; outputTokens += 1) {
      if (chooser.isComplete) return { finish: 'stop', outputTokens };
      if (outputTokens === limit) return { finish: 'length', outputTokens };
      const choice = await this.#next(limit - outputTokens);
      if (choice === null) return { finish: 'cancelled', outputTokens };
      const { id, isEnd, told } = choice;
      if (isEnd) return { finish: 'stop', outputTokens };
      this.#ids.push(id);
      speech.push(id, told);
      if (speech.stopped) return { finish: 'stop', outputTokens: outputTokens + 1 };
    }
  }

  close(): void {
    if (this.#conversation !== null) this.#stage.conversations.close(this.#conversation);
  }

  drop(): void {
    if (this.#conversation !== null) this.#stage.conversations.drop(this.#conversation);
  }

  /** The next token, where `left` may still be said; null where the run was cancelled. */
  async #next(left: number): Promise<Choice | null> {
    for (;;) {
      const outcome = await this.#turn.step(() => this.#step(left));
      if (typeof outcome === 'object') return outcome;
      if (outcome === 'cancelled') return null;
      if (outcome === 'no-room') this.#turn.yieldOnce();
    }
  }

  /** To choose is a part of it: what a grammar takes counts as time of the run that asked for it. */
  async #step(left: number): Promise<Outcome> {
    if (this.#run.cancelled()) return 'cancelled';
    const { model, conversations, contextTokens } = this.#stage;
    const conversation = this.#open();
    const from = conversation.ids.length;
    const to = this.#endOfStep(from);
    // One that begins, or begins again, asks for all of its room: else it would be given up again and again.
    const tokens = from > 0 ? to : Math.min(this.#ids.length + PIECE_TOKENS, contextTokens);
    if (!conversations.reserve(conversation, tokens)) return 'no-room';
    const startMs = performance.now();
    const logits = await conversation.put(this.#ids.slice(from, to), to === this.#ids.length, model);
    const isPrompt = from < this.#generating.prompt.length;
    this.#run.spent(isPrompt ? 'prefill' : 'decode', performance.now() - startMs);
    return logits === null ? 'more' : this.#generating.chooser.choose(logits, left);
  }

  #open(): Conversation {
    if (this.#conversation !== null) return this.#conversation;
    const { prompt, alike } = this.#generating;
    this.#conversation = this.#stage.conversations.open(prompt, alike);
    this.cachedTokens = this.#conversation.ids.length;
    return this.#conversation;
  }

  /**
   * Pieces end at multiples of their size and at the end of the prompt. What was said before its keys and values were
   * given up goes in as it did the first time where answers must be alike, token by token, else in pieces.
   */
  #endOfStep(from: number): number {
    const { prompt, alike } = this.#generating;
    const piece = Math.min(from + PIECE_TOKENS - (from % PIECE_TOKENS), this.#ids.length);
    if (!alike) return piece;
    return from < prompt.length ? Math.min(piece, prompt.length) : from + 1;
  }
}
