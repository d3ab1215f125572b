/** What completions are made of: one object, or the chunks of a stream, of a chat or of a text. */
import { randomUUID } from 'node:crypto';
import type { Piece, SaidToken } from '../../generation.ts';
import type { Answer } from '../../ports.ts';
import type { Reply } from '../../service.ts';
import { finishOf } from '../content.ts';
import { AUTO, replyNote } from '../dispatch.ts';
import { bodyOf, type Problem } from '../errors.ts';
import { EVENT_STREAM } from '../sse.ts';
import type { Framing } from '../streaming.ts';

/** One text, as a chat or a text completion writes it. */
export interface Dialect {
  /** Of ids. */
  readonly prefix: string;
  /** `object` of a whole and of a chunk. */
  readonly whole: string;
  readonly chunk: string;
  /** What comes before the first piece, as choices; null: nothing. */
  opening(): object | null;
  /** The part of a choice that holds text. */
  textOf(text: string): object;
  /** ... and in a chunk; '' is the last one. */
  deltaOf(text: string): object;
  /** Of these tokens; null where nobody asked. */
  logprobsOf(tokens: readonly SaidToken[]): object | null;
}

/** What all parts of one completion have in common. */
interface Head {
  readonly id: string;
  /** Unix time in seconds. */
  readonly created: number;
}

function newHead({ prefix }: Dialect): Head {
  return { id: `${prefix}-${randomUUID().replaceAll('-', '')}`, created: Math.floor(Date.now() / 1_000) };
}

export function completion(dialect: Dialect, reply: Reply, content: string): object {
  const { answer } = reply;
  const logprobs = answer?.kind === 'text' ? dialect.logprobsOf(answer.tokens) : null;
  const choice = { index: 0, ...dialect.textOf(content), logprobs, finish_reason: finishOf(answer) };
  return {
    ...newHead(dialect),
    object: dialect.whole,
    model: reply.expert ?? AUTO,
    choices: [choice],
    usage: usage(answer),
    expertd: replyNote(reply),
  };
}

export interface ChunksOptions {
  readonly dialect: Dialect;
  /** Asked before each chunk: who answers is known by the first, not when the stream is made. */
  readonly model: () => string;
  readonly includeUsage: boolean;
}

/** Server-sent events: chunks, the usage where it is asked for, `[DONE]`. */
export class Chunks implements Framing {
  readonly headers = EVENT_STREAM;
  readonly #head: Head;
  readonly #options: ChunksOptions;
  #pieces = 0;

  constructor(options: ChunksOptions) {
    this.#options = options;
    this.#head = newHead(options.dialect);
  }

  opening(): string {
    const opening = this.#options.dialect.opening();
    return opening === null ? '' : this.#chunk(opening);
  }

  piece({ text, tokens }: Piece): string {
    const { dialect } = this.#options;
    this.#pieces += 1;
    return this.#chunk({ ...dialect.deltaOf(text), logprobs: dialect.logprobsOf(tokens) });
  }

  closing(reply: Reply, rest: string): string {
    const { dialect, includeUsage } = this.#options;
    const { answer } = reply;
    const tokens = this.#pieces === 0 && answer?.kind === 'text' ? answer.tokens : [];
    const parts = rest === '' ? [] : [this.piece({ text: rest, tokens })];
    const last = this.#chunkOf({ ...dialect.deltaOf(''), finish_reason: finishOf(answer) });
    parts.push(line({ ...last, expertd: replyNote(reply) }));
    if (includeUsage) parts.push(line({ ...last, choices: [], usage: usage(answer) }));
    return `${parts.join('')}data: [DONE]\n\n`;
  }

  /** An `error` event, and no `[DONE]`: OpenAI's clients throw at it. */
  failure(problem: Problem): string {
    return `event: error\n${line(bodyOf(problem))}`;
  }

  #chunk(choice: object): string {
    return line(this.#chunkOf(choice));
  }

  /** `usage: null` on every chunk but the last is what `include_usage` promises. */
  #chunkOf(choice: object): object {
    const { dialect, model, includeUsage } = this.#options;
    return {
      ...this.#head,
      object: dialect.chunk,
      model: model(),
      choices: [{ index: 0, logprobs: null, finish_reason: null, ...choice }],
      ...(includeUsage ? { usage: null } : {}),
    };
  }
}

function line(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function usage(answer: Answer | null): object {
  const prompt = answer?.inputTokens ?? 0;
  const [written, cached] = answer?.kind === 'text' ? [answer.outputTokens, answer.cachedTokens] : [0, 0];
  return {
    prompt_tokens: prompt,
    completion_tokens: written,
    total_tokens: prompt + written,
    prompt_tokens_details: { cached_tokens: cached },
  };
}
