/** Loop, executor, desk and a fake runtime, joined as the agent joins them; what experts do is up to the test. */

import { chatAbout } from '../agent/asks.ts';
import { initialState } from '../agent/decide.ts';
import { Desk } from '../agent/desk.ts';
import { AgentError } from '../agent/errors.ts';
import type { Event } from '../agent/events.ts';
import { Executor } from '../agent/execute.ts';
import { Loop } from '../agent/loop.ts';
import { perceive } from '../agent/perception.ts';
import type { Answer, Ask } from '../agent/ports.ts';
import { committedBytes } from '../agent/residency.ts';
import type { Refusal, Reply } from '../agent/service.ts';
import type { Settings } from '../agent/tuning.ts';
import type { Expert, Step } from '../agent/types.ts';
import { policyOf } from '../policies/index.ts';
import { expert, MB, names, settings } from './core/made.ts';
import { FakeStore } from './fakes/log.ts';
import { FakeRuntime } from './fakes/runtime.ts';
import { ManualClock } from './store/clock.ts';

export type Told = { readonly reply: Reply } | { readonly refusal: Refusal };

/** A client, and all that it was told. */
export interface Caller {
  readonly id: string;
  readonly told: Told[];
  readonly deltas: string[];
  hungUp: boolean;
}

/** A run or a load that goes on until the test ends it. */
export interface Work {
  readonly kind: 'run' | 'load' | 'verify';
  readonly expert: string;
  readonly onDelta: (text: string) => void;
  /** Ends it well; a run with this answer. */
  readonly end: (answer?: Answer) => void;
  readonly fail: (error: Error) => void;
}

export interface EngineOptions {
  readonly experts: readonly Expert[];
  /** That the runtime knows, and the test tells the loop of. */
  readonly later?: readonly Expert[];
  readonly settings?: Partial<Settings>;
  /** Experts whose runs, loads and checks end by themselves, and well. */
  readonly eager?: readonly string[];
  /** What the embedder `e` answers with. */
  readonly embedding?: (texts: readonly string[]) => Promise<Answer>;
}

export const WORDS: Answer = {
  kind: 'text',
  text: 'words',
  finish: 'stop',
  inputTokens: 1,
  outputTokens: 1,
  cachedTokens: 0,
  tokens: [],
};

export function chat(question: string): Ask {
  return chatAbout(question);
}

export function unitVectors(texts: readonly string[]): Promise<Answer> {
  const vectors = texts.map(() => Float32Array.from({ length: 8 }, (_, index) => (index === 0 ? 1 : 0)));
  return Promise.resolve({ kind: 'embeddings', vectors, inputTokens: 1 });
}

export const EMBEDDER = expert('e', {
  task: 'feature-extraction',
  routing: { languages: ['*'], rules: [], vocabulary: new Uint32Array(), prototypes: [] },
});

export class Engine {
  readonly clock = new ManualClock();
  readonly log = new FakeStore(committedBytes);
  readonly desk = new Desk();
  readonly runtime: FakeRuntime;
  readonly loop: Loop;
  readonly callers: Caller[] = [];
  /** What has begun and not ended. */
  readonly works = new Set<Work>();
  readonly faults: Event[] = [];
  /** What experts were asked. */
  readonly asks: Ask[] = [];
  /** How long each preparation was allowed to take. */
  readonly preparingMs: number[] = [];
  /** Loads that were counted, and what the catalog was told of rollouts. */
  readonly attempts: string[] = [];
  readonly rollouts: Extract<Step, { type: 'rollout' }>[] = [];
  /** What experts that are eager answer; words, where nothing is said here. */
  readonly answers = new Map<string, Answer>();
  /** Of which the catalog has no package any more. */
  readonly gone = new Set<string>();
  /** What every expert is to answer in a self-test. */
  goldens: readonly { readonly input: string; readonly output: unknown }[] = [];
  readonly #executor: Executor;
  readonly #options: EngineOptions;

  constructor(options: EngineOptions) {
    this.#options = options;
    const { experts, later = [], embedding = unitVectors } = options;
    this.runtime = new FakeRuntime({
      experts: new Map(
        [...experts, ...later].map(({ id, task }) => [
          id,
          {
            residentBytes: 20 * MB,
            load: () => this.#work('load', id, () => undefined).then(() => undefined),
            run: (ask, { onDelta }) => {
              this.asks.push(ask);
              const embeds = ask.kind === 'embeddings' && task === 'feature-extraction';
              return embeds
                ? embedding(ask.texts)
                : this.#work('run', id, (text) => onDelta({ text, tokens: [] }));
            },
          },
        ]),
      ),
      onExit: (cell, cause, oomKilled) => this.#executor.cellExited(cell, cause, oomKilled),
    });
    this.loop = new Loop({
      state: initialState(settings({ budgetBytes: 500 * MB, idleMs: 0, ...options.settings }), 60 * MB),
      policy: policyOf(names),
      log: this.log,
      clock: this.clock,
      onDecision: (event, decision, sequence) => this.#executor.carryOut(event, decision, sequence),
      onFault: (event) => this.faults.push(event),
    });
    this.#executor = new Executor({
      runtime: this.runtime,
      catalog: {
        verify: (id) => this.#work('verify', id, () => undefined).then(() => undefined),
        prepare: async (_, limitMs) => void this.preparingMs.push(limitMs),
        examples: () => [],
        golden: () => this.goldens,
        beginAttempt: (id) => void this.attempts.push(id),
        rollout: (step) => void this.rollouts.push(step),
        systemPrompt: (id) => (this.gone.has(id) ? null : `I am ${id}.`),
      },
      memory: this.log,
      desk: this.desk,
      clock: this.clock,
      push: (happening) => this.loop.push(happening),
      state: () => this.loop.state,
    });
    for (const one of experts) this.loop.push({ type: 'installed', expert: one });
  }

  ask(question: string, model: string | null, waitMs: number | null = null): Caller {
    const caller: Caller = { id: `r${this.callers.length + 1}`, told: [], deltas: [], hungUp: false };
    this.callers.push(caller);
    this.desk.open(caller.id, {
      ask: chat(question),
      listeners: { onDelta: ({ text }) => caller.deltas.push(text) },
      answer: (reply) => caller.told.push({ reply }),
      refuse: (refusal) => caller.told.push({ refusal }),
    });
    const features = perceive(question);
    this.loop.push({
      type: 'request',
      request: caller.id,
      want: 'chat',
      model,
      features,
      waitMs,
      keepAliveMs: null,
    });
    return caller;
  }

  hangUp(caller: Caller): void {
    caller.hungUp = true;
    this.desk.drop(caller.id);
    this.loop.push({ type: 'hungUp', request: caller.id });
  }

  /** Lets everything happen that needs no time and nobody else. */
  async settled(): Promise<void> {
    for (let turn = 0; turn < 6; turn++) {
      await this.loop.decided();
      await new Promise(setImmediate);
    }
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settled();
  }

  /** The oldest work of this kind that goes on. */
  work(kind: Work['kind'], expertId?: string): Work {
    const found = [...this.works].find(
      (one) => one.kind === kind && (expertId === undefined || one.expert === expertId),
    );
    if (found === undefined) throw new Error(`no ${kind} goes on`);
    return found;
  }

  #work(kind: Work['kind'], id: string, onDelta: (text: string) => void): Promise<Answer> {
    if (this.#options.eager?.includes(id)) return Promise.resolve(this.answers.get(id) ?? WORDS);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const work: Work = {
      kind,
      expert: id,
      onDelta,
      end: (answer = WORDS) => {
        this.works.delete(work);
        resolve(answer);
      },
      fail: (error) => {
        this.works.delete(work);
        reject(error);
      },
    };
    this.works.add(work);
    return promise;
  }
}

export const failing = (retryable: boolean): AgentError =>
  new AgentError('load_failed', 'it does not load', { retryable });
