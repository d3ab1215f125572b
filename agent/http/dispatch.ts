/** Puts a request to the service on behalf of an HTTP call: model names, hang-ups, counting, headers. */
import type { FastifyReply } from 'fastify';
import { AgentError } from '../errors.ts';
import type { Piece } from '../generation.ts';
import { didYouMean } from '../nearest.ts';
import type { AskRequest, Chosen, ExpertView, Listeners, Reply, Service } from '../service.ts';
import type { ExpertId, Failure } from '../types.ts';
import { FieldError, type FieldRefusal, problemOf } from './errors.ts';
import type { Metrics } from './metrics.ts';

/** The model name that lets the router choose. */
export const AUTO = 'auto';
const EXPERT_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** Which field of a request is at fault for a failure of the core; null: none, or nobody knows. */
export type Blame = (failure: Failure) => string | null;
const NOBODY: Blame = () => null;

export class Dispatch {
  readonly service: Service;
  readonly metrics: Metrics;

  constructor(service: Service, metrics: Metrics) {
    this.service = service;
    this.metrics = metrics;
  }

  /** Expert's id, or null for `auto`. Throws a FieldError where the name cannot be an expert's. */
  modelOf(name: string): string | null {
    if (name === AUTO) return null;
    if (EXPERT_ID.test(name)) return name;
    const shown = name.length > 80 ? `${name.slice(0, 80)}...` : name;
    throw new FieldError(
      'model_not_found',
      'model',
      `no expert "${shown}" is installed`,
      this.modelHint(name),
    );
  }

  /** Asks, counts how it ended, and says which field is at fault; an unknown model's failure gets the nearest names. */
  async ask(
    request: AskRequest,
    listeners: Listeners,
    signal: AbortSignal,
    blame: Blame = NOBODY,
  ): Promise<Reply> {
    const byDefault = request.model === null ? AUTO : 'named';
    const watch = new Watch(this.metrics, request.want);
    try {
      const reply = await this.service.ask(request, watch.listening(listeners), signal);
      this.metrics.decided(reply.router ?? byDefault, reply.expert === null ? 'abstained' : 'answered');
      watch.ended(reply.expert, reply.answer, null);
      return reply;
    } catch (error) {
      const { failure, decision, retryAfterMs, loading } = problemOf(error, 0);
      const outcome = signal.aborted ? 'hung_up' : failure.code;
      this.metrics.decided(byDefault, outcome);
      watch.ended(this.#installed(request.model), null, outcome);
      const unknown = failure.code === 'model_not_found' && request.model !== null;
      const param = unknown ? 'model' : blame(failure);
      if (param === null) throw error;
      const told = unknown ? { ...failure, hint: this.modelHint(request.model ?? AUTO) } : failure;
      throw { failure: told, param, decision, retryAfterMs, loading } satisfies FieldRefusal;
    }
  }

  viewOf(id: ExpertId | null): ExpertView | null {
    return this.service.experts().find((expert) => expert.id === id) ?? null;
  }

  /** The expert of that id; null where a client made the name up. */
  #installed(model: string | null): string | null {
    return this.viewOf(model)?.id ?? null;
  }

  /** `listing` is where the API that was called lists names. */
  modelHint(name: string, listing = '/v1/models'): string {
    const names = this.service.experts().map(({ id }) => id);
    const guess = didYouMean(name, [AUTO, ...names]).trim();
    return `${guess} GET ${listing} lists what is installed; "${AUTO}" lets the router choose.`.trim();
  }
}

/** Times one request. */
class Watch {
  readonly #metrics: Metrics;
  readonly #want: AskRequest['want'];
  readonly #sinceMs = performance.now();
  #firstTokenSeconds: number | null = null;

  constructor(metrics: Metrics, want: AskRequest['want']) {
    this.#metrics = metrics;
    this.#want = want;
  }

  /** `listeners`, whose first piece of text is noticed. */
  listening(listeners: Listeners): Listeners {
    const onDelta = (piece: Piece): void => {
      this.#firstTokenSeconds ??= this.#seconds();
      listeners.onDelta?.(piece);
    };
    return { ...listeners, onDelta };
  }

  ended(expert: string | null, answer: Reply['answer'], error: string | null): void {
    // Only to have an expert in memory is no work of its.
    if (this.#want === 'load') return;
    this.#metrics.genAi.ended({
      want: this.#want,
      expert: expert ?? '',
      seconds: this.#seconds(),
      firstTokenSeconds: this.#firstTokenSeconds,
      answer,
      error,
    });
  }

  #seconds(): number {
    return (performance.now() - this.#sinceMs) / 1_000;
  }
}

/** Aborts when the client closes its connection before the reply is complete. */
export function hangUpSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableEnded)
      controller.abort(new AgentError('hung_up', 'the client closed its connection'));
  });
  return controller.signal;
}

/** What a reply says about who answered; a header whose value is not known is left out. */
export function replyHeaders(reply: Chosen & Pick<Reply, 'degraded'>): Record<string, string> {
  const headers: Record<string, string> = { 'x-expertd-decision': String(reply.decision) };
  if (reply.expert !== null) headers['x-expertd-expert'] = reply.expert;
  if (reply.confidence !== null) headers['x-expertd-confidence'] = reply.confidence.toFixed(3);
  if (reply.residency !== null) headers['x-expertd-residency'] = reply.residency;
  if (reply.degraded !== undefined) headers['x-expertd-degraded'] = reply.degraded;
  if (reply.expert === null) headers['x-expertd-abstained'] = 'true';
  return headers;
}

/** The same as a part of the body, for clients that cannot see headers, and for streams. */
export function replyNote(reply: Reply): object {
  const { decision, expert, confidence, residency, stages, degraded, sources } = reply;
  return {
    decision,
    expert,
    confidence,
    residency,
    stages,
    ...(degraded === undefined ? {} : { degraded }),
    ...(sources === undefined ? {} : { sources }),
  };
}
