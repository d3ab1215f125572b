/**
 * What the router would choose, without choosing: `decide` is pure, so asking it costs nothing, and its steps are not
 * carried out. Holds no lease: where the embedder leaves meanwhile, words decide.
 */
import { decide } from './decide.ts';
import { AgentError, toFailure } from './errors.ts';
import type { Event } from './events.ts';
import { detectorIn } from './language.ts';
import type { Loop } from './loop.ts';
import { perceive, quantize } from './perception.ts';
import type { Clock, Runtime } from './ports.ts';
import { cellOf } from './residency.ts';
import { look, type Seen } from './senses.ts';
import type { SplitMessage } from './service.ts';
import type { CellId, Choice, ExpertId, Failure, Features } from './types.ts';

/** Leases of dry runs have numbers that no lease of the loop, and no detector beside one, will have. */
const FIRST_LEASE = 2 ** 40;

export interface DryRunOptions {
  readonly runtime: Pick<Runtime, 'run' | 'cancel'>;
  readonly loop: Pick<Loop, 'state' | 'policy'>;
  readonly clock: Clock;
  /** Told why the embedder did not answer. */
  readonly onTrouble: (failure: Failure) => void;
}

type Sight = Pick<Features, 'embedding' | 'language'>;
const BLIND: Sight = { embedding: null, language: null };

export class DryRuns {
  readonly #options: DryRunOptions;
  #count = 0;

  constructor(options: DryRunOptions) {
    this.#options = options;
  }

  /** The choice for a message as things are now, or why there would be none. */
  async choose({ question, focus }: SplitMessage): Promise<Choice | Failure> {
    const request = `dry-run-${++this.#count}`;
    const features = { ...perceive(question, focus), ...(await this.#see(question)) };
    const { state, policy } = this.#options.loop;
    const atMs = state.nowMs;
    const asked: Event = {
      type: 'request',
      request,
      want: 'chat',
      model: null,
      features,
      waitMs: 0,
      keepAliveMs: null,
      atMs,
    };
    const first = decide(state, asked, policy);
    if (first.choice !== null) return first.choice;
    for (const step of first.steps) {
      if (step.type === 'reject' && step.request === request) return step.failure;
    }
    // The embedder is here and did not answer: a request would go on by words, and so does this.
    const step = first.steps.find((one) => one.type === 'embed' && one.request === request);
    const lease = step?.type === 'embed' ? step.lease : null;
    const blind: Event = { type: 'features', request, lease, ...BLIND, error: null, atMs };
    return decide(first.state, blind, policy).choice ?? NO_CHOICE;
  }

  async #see(question: string): Promise<Sight> {
    const { state } = this.#options.loop;
    const { embedder } = state.settings;
    const entry = embedder === null ? undefined : state.experts.get(embedder);
    const cell = entry === undefined || entry.residency.state !== 'resident' ? null : cellOf(entry);
    if (embedder === null || cell === null) return BLIND;
    try {
      const { vector, language } = await this.#lookInTime(cell, embedder, question);
      return { embedding: quantize(vector), language };
    } catch (error) {
      this.#options.onTrouble(toFailure(error));
      return BLIND;
    }
  }

  /** What holds no lease has no deadline: this gives it one. */
  async #lookInTime(cell: CellId, embedder: ExpertId, question: string): Promise<Seen> {
    const { runtime, loop, clock } = this.#options;
    const lease = -(FIRST_LEASE + this.#count);
    const late = Promise.withResolvers<never>();
    const disarm = clock.at(clock.nowMs() + loop.state.settings.runDeadlineMs.fast, () => {
      runtime.cancel(cell, lease);
      late.reject(new AgentError('deadline', 'the embedder did not answer in time', { retryable: true }));
    });
    const run: Runtime['run'] = (call, onDelta) => runtime.run(call, onDelta);
    const looking = look(run, { cell, lease, embedder, detector: detectorIn(loop.state, cell), question });
    try {
      return await Promise.race([looking, late.promise]);
    } finally {
      disarm();
    }
  }
}

const NO_CHOICE: Failure = {
  code: 'internal',
  message: 'a dry run ended without a choice',
  hint: null,
  retryable: false,
};
