/** Replies of `/api/generate` and `/api/chat`: one object, or a line of JSON for each piece and one at the end. */
import type { Piece, SaidToken } from '../../generation.ts';
import type { Reply } from '../../service.ts';
import { finishOf } from '../content.ts';
import { replyNote } from '../dispatch.ts';
import { ollamaBodyOf, type Problem } from '../errors.ts';
import type { Framing } from '../streaming.ts';

const NS_PER_MS = 1_000_000;

export interface LinesOptions {
  /** The name that the reply bears. */
  readonly model: () => string;
  /** Where the text stands: `{response}`, or `{message}`. */
  readonly textOf: (text: string) => object;
  readonly wantsLogprobs: boolean;
  /** When the request came, on the clock of `performance.now()`. */
  readonly sinceMs: number;
}

export class Lines implements Framing {
  readonly headers = {
    'content-type': 'application/x-ndjson',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  } as const;
  readonly #options: LinesOptions;
  #pieces = 0;

  constructor(options: LinesOptions) {
    this.#options = options;
  }

  /** An answer in one object. */
  whole(reply: Reply, content: string): object {
    const tokens = reply.answer?.kind === 'text' ? reply.answer.tokens : [];
    return { ...this.#part(content, tokens), ...this.#ending(reply) };
  }

  opening(): string {
    return '';
  }

  piece({ text, tokens }: Piece): string {
    this.#pieces += 1;
    return line({ ...this.#part(text, tokens), done: false });
  }

  closing(reply: Reply, rest: string): string {
    const { answer } = reply;
    const tokens = this.#pieces === 0 && answer?.kind === 'text' ? answer.tokens : [];
    const last = rest === '' ? '' : this.piece({ text: rest, tokens });
    return last + line({ ...this.#part('', []), ...this.#ending(reply) });
  }

  /** The last line is the error: clients throw at it. */
  failure(problem: Problem): string {
    return line(ollamaBodyOf(problem));
  }

  #part(text: string, tokens: readonly SaidToken[]): object {
    const { model, textOf, wantsLogprobs } = this.#options;
    return {
      ...headOf(model()),
      ...textOf(text),
      ...(wantsLogprobs && tokens.length > 0 ? { logprobs: tokens.map(logprobOf) } : {}),
    };
  }

  #ending(reply: Reply): object {
    const totalMs = performance.now() - this.#options.sinceMs;
    return {
      done: true,
      done_reason: finishOf(reply.answer),
      ...durationsOf(reply, totalMs),
      expertd: replyNote(reply),
    };
  }
}

export function headOf(model: string): object {
  return { model, created_at: new Date().toISOString() };
}

/** Counts of tokens, and durations in ns; those that are 0 are left out, as Ollama does: clients divide by them. */
export function durationsOf({ answer, stages }: Reply, totalMs: number): object {
  const all = {
    total_duration: nanoseconds(totalMs),
    // Until the expert could begin: in the queue, and while it was loaded.
    load_duration: nanoseconds(stages['cell'] === undefined ? 0 : Math.max(0, totalMs - stages['cell'])),
    prompt_eval_count: answer?.inputTokens ?? 0,
    prompt_eval_duration: nanoseconds(stages['prefill'] ?? stages['run'] ?? 0),
    eval_count: answer?.kind === 'text' ? answer.outputTokens : 0,
    eval_duration: nanoseconds(stages['decode'] ?? 0),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value > 0));
}

function nanoseconds(ms: number): number {
  return Math.round(ms * NS_PER_MS);
}

function logprobOf({ text, logprob, bytes, top }: SaidToken): object {
  const alternatives = top.map((other) => ({
    token: other.text,
    logprob: other.logprob,
    bytes: Array.from(other.bytes),
  }));
  return {
    token: text,
    logprob,
    bytes: Array.from(bytes),
    ...(top.length === 0 ? {} : { top_logprobs: alternatives }),
  };
}

function line(data: object): string {
  return `${JSON.stringify(data)}\n`;
}
