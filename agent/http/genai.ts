/**
 * What requests to experts took, in the words of OpenTelemetry's conventions for generative AI
 * (`gen_ai.server.request.duration` and its neighbours), written as Prometheus writes them. Classifiers and tensors are
 * counted there too: a reader asks the same of them.
 */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Reply } from '../service.ts';
import type { Want } from '../types.ts';

/** The conventions' own boundaries, and finer ones below: small models answer in a few milliseconds. */
const REQUEST_BUCKETS = [
  0.00125, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96,
  81.92,
];
const FIRST_TOKEN_BUCKETS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];
const NEXT_TOKEN_BUCKETS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];

/** What an expert can be asked to do. */
export type Work = Exclude<Want, 'load'>;

/** `infer` is ours: the conventions have no word for it. */
const OPERATIONS = { chat: 'chat', embeddings: 'embeddings', tensors: 'infer' } as const satisfies Record<
  Work,
  string
>;
const PROVIDER = 'expertd';

const SUBJECT = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_response_model'] as const;
const ENDED = [...SUBJECT, 'error_type'] as const;

/** How one request ended. */
export interface Ended {
  readonly want: Work;
  /** The expert that answered, or was named; empty where there is none. Names that nobody installed have no bound. */
  readonly expert: string;
  readonly seconds: number;
  /** From the request to the first piece of text; null where no text was generated. */
  readonly firstTokenSeconds: number | null;
  readonly answer: Reply['answer'];
  /** A failure's code; null where it was answered. */
  readonly error: string | null;
}

export class GenAiMetrics {
  readonly #durations: Histogram<(typeof ENDED)[number]>;
  readonly #firstToken: Histogram<(typeof SUBJECT)[number]>;
  readonly #nextToken: Histogram<(typeof SUBJECT)[number]>;
  readonly #tokens: Counter<'expert' | 'type'>;
  readonly #cachedTokens: Counter<'expert'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#durations = new Histogram({
      name: 'gen_ai_server_request_duration_seconds',
      help: 'Time from a request to an expert to the end of its answer.',
      labelNames: ENDED,
      buckets: REQUEST_BUCKETS,
      registers,
    });
    this.#firstToken = new Histogram({
      name: 'gen_ai_server_time_to_first_token_seconds',
      help: 'Time from a request for generated text to its first piece.',
      labelNames: SUBJECT,
      buckets: FIRST_TOKEN_BUCKETS,
      registers,
    });
    this.#nextToken = new Histogram({
      name: 'gen_ai_server_time_per_output_token_seconds',
      help: 'Time for each generated token after the first.',
      labelNames: SUBJECT,
      buckets: NEXT_TOKEN_BUCKETS,
      registers,
    });
    this.#tokens = new Counter({
      name: 'expertd_tokens_total',
      help: 'Tokens that experts read (input) and generated (output).',
      labelNames: ['expert', 'type'],
      registers,
    });
    this.#cachedTokens = new Counter({
      name: 'expertd_cached_tokens_total',
      help: 'Input tokens that did not have to be read again: an earlier request began with them.',
      labelNames: ['expert'],
      registers,
    });
  }

  ended({ want, expert, seconds, firstTokenSeconds, answer, error }: Ended): void {
    const subject = {
      gen_ai_operation_name: OPERATIONS[want],
      gen_ai_provider_name: PROVIDER,
      gen_ai_response_model: expert,
    };
    this.#durations.observe({ ...subject, error_type: error ?? '' }, seconds);
    if (answer === null) return;
    this.#tokens.inc({ expert, type: 'input' }, answer.inputTokens);
    if (answer.kind !== 'text') return;
    const { outputTokens, cachedTokens } = answer;
    this.#tokens.inc({ expert, type: 'output' }, outputTokens);
    this.#cachedTokens.inc({ expert }, cachedTokens);
    if (firstTokenSeconds === null) return;
    this.#firstToken.observe(subject, firstTokenSeconds);
    if (outputTokens > 1)
      this.#nextToken.observe(subject, (seconds - firstTokenSeconds) / (outputTokens - 1));
  }
}
