/** An answer that is sent piece by piece, whatever the protocol: server-sent events or lines of JSON. */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Piece } from '../generation.ts';
import type { AskRequest, Chosen, Reply } from '../service.ts';
import { AUTO, type Blame, type Dispatch, hangUpSignal, replyHeaders } from './dispatch.ts';
import { type Problem, problemOf } from './errors.ts';

/** How the parts of one answer are written. Each method gives bytes of the body; one that has nothing to say gives ''. */
export interface Framing {
  readonly headers: Readonly<Record<string, string>>;
  /** Before the first piece. */
  opening(): string;
  piece(piece: Piece): string;
  /** The end of a good answer; `rest` is what no piece has sent: all of an answer that came whole. */
  closing(reply: Reply, rest: string): string;
  /** The end of one that broke off: no client may take it for complete. */
  failure(problem: Problem): string;
}

export interface StreamedCall {
  readonly dispatch: Dispatch;
  readonly reply: FastifyReply;
  readonly asked: AskRequest;
  readonly blame: Blame;
  /** `model` names who answers; it is known by the first piece. */
  readonly framing: (model: () => string) => Framing;
  /** The text of an answer that came whole. What it throws is a refusal. */
  readonly contentOf: (reply: Reply) => string;
  /** Told of what goes wrong when the status is sent already. */
  readonly onLateProblem: (problem: Problem) => void;
}

/**
 * Asks, and answers in pieces. The head of the reply waits for the first piece or the whole answer, so that a refusal
 * keeps its status; by then it is known who answers.
 */
export async function sendStream(call: StreamedCall): Promise<FastifyReply> {
  const { dispatch, reply, asked, blame, framing, contentOf, onLateProblem } = call;
  const signal = hangUpSignal(reply);
  let chosen: Chosen | null = null;
  const model = (): string => chosen?.expert ?? asked.model ?? AUTO;
  const frames = framing(model);
  const stream = new PieceStream(frames);
  const listeners = {
    onChosen: (one: Chosen): void => {
      chosen = one;
    },
    onDelta: (piece: Piece): void => stream.piece(piece),
  };
  const answer = dispatch
    .ask(asked, listeners, signal, blame)
    .then((answered) => ({ answered, rest: stream.isOpen ? '' : contentOf(answered) }));
  const first = await Promise.race([answer, stream.started]);
  void answer
    .then(({ answered, rest }) => stream.finish(answered, rest))
    .catch((error: unknown) => {
      const problem = problemOf(error, 0);
      stream.fail(problem);
      if (!signal.aborted) onLateProblem(problem);
    });
  const head: Chosen | null = first?.answered ?? chosen;
  return reply.headers({ ...frames.headers, ...(head === null ? {} : replyHeaders(head)) }).send(stream.body);
}

class PieceStream {
  /** Resolves with the first piece of text: from then on the status is sent and cannot change. */
  readonly started: Promise<null>;
  /** Pieces are pushed as they come; how many there are is bounded by the longest answer. */
  readonly body = new Readable({ read() {} });
  readonly #framing: Framing;
  readonly #start: (nothing: null) => void;
  #open = false;

  constructor(framing: Framing) {
    this.#framing = framing;
    const { promise, resolve } = Promise.withResolvers<null>();
    this.started = promise;
    this.#start = resolve;
  }

  /** True once a piece was sent. */
  get isOpen(): boolean {
    return this.#open;
  }

  piece(piece: Piece): void {
    this.#begin();
    this.#push(this.#framing.piece(piece));
  }

  finish(reply: Reply, rest: string): void {
    this.#begin();
    this.#end(this.#framing.closing(reply, rest));
  }

  fail(problem: Problem): void {
    this.#end(this.#framing.failure(problem));
  }

  #begin(): void {
    if (this.#open) return;
    this.#open = true;
    this.#push(this.#framing.opening());
    this.#start(null);
  }

  #end(text: string): void {
    this.#push(text);
    if (!this.body.destroyed) this.body.push(null);
  }

  /** A client that hung up has destroyed the body; what still comes is dropped. */
  #push(text: string): void {
    if (text !== '' && !this.body.destroyed) this.body.push(text);
  }
}
