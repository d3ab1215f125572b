/** An agent with generated language models that are parked, broken and asked: each answers with its name and the words. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ExpertView } from '../../agent/service.ts';
import { signatureOf, writeTinyLm } from '../experts-made/tiny-lm.ts';
import { type AgentOptions, RunningAgent, temporaryFolder } from './running-agent.ts';

/** Below what is prepared, and enough to be worth parking. */
const SMALL_BYTES = 8_000_000;
export const DATA_FILE = 'onnx/model.onnx_data';

export interface FleetOptions extends Pick<AgentOptions, 'config' | 'env'> {
  readonly ids: readonly string[];
  readonly payloadBytes?: number;
  /** As that of `AgentOptions`. */
  readonly command?: (argv: readonly string[], fleet: Fleet) => readonly string[];
}

/** What a client was told: an answer, or an error. */
export interface Told {
  readonly status: number;
  readonly text: string;
  readonly code: string | null;
  /** Sequence number of the decision. */
  readonly decision: string;
}

export class Fleet {
  readonly folder: string;
  readonly #options: FleetOptions;
  #agent: RunningAgent | null = null;

  private constructor(folder: string, options: FleetOptions) {
    this.folder = folder;
    this.#options = options;
  }

  /** Writes the experts and starts the agent. */
  static async open(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(temporaryFolder(), options);
    const { ids, payloadBytes = SMALL_BYTES } = options;
    for (const [at, id] of ids.entries())
      writeTinyLm(join(fleet.expertsDir, id), { id, seed: at + 1, payloadBytes });
    mkdirSync(fleet.stateDir);
    await fleet.start();
    return fleet;
  }

  get agent(): RunningAgent {
    return this.#agent ?? assert.fail('it was not started');
  }

  get stateDir(): string {
    return join(this.folder, 'state');
  }

  get expertsDir(): string {
    return join(this.folder, 'experts');
  }

  get config(): Readonly<Record<string, unknown>> {
    const { config = {} } = this.#options;
    return { expertsDir: this.expertsDir, embedder: null, languageDetector: null, ...config };
  }

  /** Also after the agent has ended: with the same experts and the same state. */
  async start(): Promise<void> {
    const { env, command } = this.#options;
    this.#agent = await RunningAgent.start({
      config: this.config,
      stateDir: this.stateDir,
      ...(env === undefined ? {} : { env }),
      ...(command === undefined ? {} : { command: (argv: readonly string[]) => command(argv, this) }),
    });
  }

  async close(): Promise<void> {
    await this.#agent?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  dataFile(id: string): string {
    return join(this.expertsDir, id, DATA_FILE);
  }

  /** Asks, and holds whatever is answered against what is right: an error is none of this. */
  async ask(id: string, words = 'The sea is wide.'): Promise<Told> {
    const response = await this.agent.ask(words, id);
    const decision = response.headers.get('x-expertd-decision') ?? '';
    if (response.status === 200) {
      const text = await this.agent.text(response);
      assert.equal(text, signatureOf(id) + words, `${id} gave a wrong answer`);
      return { status: 200, text, code: null, decision };
    }
    const { error } = (await response.json()) as { error: { message: string; code: string } };
    return { status: response.status, text: error.message, code: error.code, decision };
  }

  /** Asks and is answered. */
  async say(id: string, words?: string): Promise<void> {
    const { status, text } = await this.ask(id, words);
    assert.equal(status, 200, `${id}: ${text}`);
  }

  async expert(id: string): Promise<ExpertView> {
    return (await this.agent.experts()).find((one) => one.id === id) ?? assert.fail(`there is no ${id}`);
  }

  async untilState(id: string, ...states: readonly ExpertView['state'][]): Promise<ExpertView> {
    return await this.agent.until(
      () => this.expert(id),
      ({ state }) => states.includes(state),
    );
  }

  async command(id: string, command: 'park' | 'unload' | 'clear'): Promise<void> {
    const response = await this.agent.post(`/expertd/v1/experts/${id}/${command}`, {});
    assert.equal(response.status, 200, await response.text());
  }

  /** Loads it if need be, and parks it. */
  async park(id: string): Promise<void> {
    await this.say(id);
    await this.command(id, 'park');
    await this.untilState(id, 'parked');
  }

  /** Process of the cell that hosts an expert. */
  async pidOf(id: string): Promise<number> {
    const { cells } = await this.agent.state();
    return cells.find(({ experts }) => experts.includes(id))?.pid ?? assert.fail(`${id} is in no cell`);
  }

  /** All reasons in the decision log, oldest first. */
  async reasons(): Promise<string> {
    const { log } = await this.agent.state();
    const stories: string[] = [];
    for (let id = 1; id <= log.lastSequence; id += 1) {
      const { decision } = await this.agent.explain(id);
      stories.push(...decision.reasons);
    }
    return stories.join('\n');
  }

  /** The reasons along the story of one decision: what `expertd explain` shows. */
  async story(decision: string): Promise<string> {
    const { timeline } = await this.agent.explain(decision);
    return timeline.flatMap(({ reasons }) => reasons).join('\n');
  }
}
