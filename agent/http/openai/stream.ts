/** One completion as server-sent events: role, pieces of text, finish, `[DONE]`. */
import { Readable } from 'node:stream';
import type { Reply } from '../../service.ts';
import type { Problem } from '../errors.ts';
import { bodyOf } from '../errors.ts';
import { chunk, finishReason, type Head, usageChunk } from './completion.ts';
import { AUTO, replyNote } from './dispatch.ts';

export interface StreamOptions {
  readonly head: Head;
  /** Asked before each chunk: who answers is known by the first, not when the stream is made. */
  readonly model: () => string;
  readonly includeUsage: boolean;
}

export class CompletionStream {
  /** Resolves with the first piece of text: from then on the status is sent and cannot change. */
  readonly started: Promise<void>;
  readonly body: Readable;
  readonly #options: StreamOptions;
  #start: () => void = () => {};
  #open = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    // Pieces are pushed as they come; how many there are is bounded by the longest answer.
    this.body = new Readable({ read() {} });
    this.started = new Promise((resolve) => {
      this.#start = resolve;
    });
  }

  /** True once a piece of text was sent. */
  get isOpen(): boolean {
    return this.#open;
  }

  piece(text: string): void {
    this.#begin();
    this.#chunk({ content: text }, null);
  }

  /** Ends the stream; `content` is what no piece has sent yet. */
  finish(reply: Reply, content: string): void {
    this.#begin();
    const { head, includeUsage } = this.#options;
    const model = reply.expert ?? AUTO;
    if (content !== '') this.#chunk({ content }, null);
    const last = chunk(head, model, {}, finishReason(reply.answer), includeUsage);
    this.#send({ ...last, expertd: replyNote(reply) });
    if (includeUsage) this.#send(usageChunk(head, model, reply.answer));
    this.#end('data: [DONE]\n\n');
  }

  /** Ends it in the middle: an `error` event, and no `[DONE]`, so that no client takes it for complete. */
  fail(problem: Problem): void {
    this.#end(`event: error\ndata: ${JSON.stringify(bodyOf(problem))}\n\n`);
  }

  #begin(): void {
    if (this.#open) return;
    this.#open = true;
    this.#chunk({ role: 'assistant', content: '' }, null);
    this.#start();
  }

  #chunk(delta: { role?: string; content?: string }, finish: string | null): void {
    const { head, model, includeUsage } = this.#options;
    this.#send(chunk(head, model(), delta, finish, includeUsage));
  }

  #send(data: object): void {
    this.#push(`data: ${JSON.stringify(data)}\n\n`);
  }

  #end(text: string): void {
    this.#push(text);
    this.#push(null);
  }

  /** A client that hung up has destroyed the body; what still comes is dropped. */
  #push(text: string | null): void {
    if (!this.body.destroyed) this.body.push(text);
  }
}
