/** The agent under test: a real process, inside the memory group, that reads its configuration anew when it is told to. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ExpertView, StateView } from '../../agent/service.ts';
import { ensureBundle, ROOT } from '../bundle.mjs';
import { launchArguments, launchEnvironment } from '../launch.mjs';
import { StartedAgent } from '../started-agent.ts';
import type { Member } from './fleet.ts';
import type { MemoryGroup } from './memory-group.ts';

/** Both may change while it runs. */
export interface Tunable {
  readonly budgetBytes: number;
  readonly parking: boolean;
}

const run = promisify(execFile);
/** Cache of a language model: enough for every prompt here, so that experts are small beside their weights. */
const CONTEXT_TOKENS = 256;
const SAMPLE_MS = 250;
const INSTALL_MS = 180_000;
const LOOK_MS = 50;

export class SoakedAgent {
  readonly #agent: StartedAgent;
  readonly #members: readonly Member[];
  readonly #configPath: string;
  #settings: Tunable;

  private constructor(
    agent: StartedAgent,
    members: readonly Member[],
    configPath: string,
    settings: Tunable,
  ) {
    this.#agent = agent;
    this.#members = members;
    this.#configPath = configPath;
    this.#settings = settings;
  }

  /** Starts it in `folder` with all members installed. `group` null: without a hard limit. */
  static async start(
    folder: string,
    members: readonly Member[],
    settings: Tunable,
    group: MemoryGroup | null,
  ): Promise<SoakedAgent> {
    const bundle = await ensureBundle();
    const configPath = join(folder, 'config.json');
    mkdirSync(folder, { recursive: true });
    writeConfig(configPath, members, settings);
    const env = { ...launchEnvironment(ROOT, process.env), EXPERTD_CONFIG: configPath };
    const args = launchArguments(ROOT, bundle, []);
    const { file, args: all } = group?.inside(process.execPath, args) ?? { file: process.execPath, args };
    const agent = await StartedAgent.start(file, all, env);
    const soaked = new SoakedAgent(agent, members, configPath, settings);
    try {
      for (const { id, folder: hubFolder } of members.filter(({ kind }) => kind === 'copied')) {
        const options = ['--id', id, '--state-dir', agent.stateDir];
        await run(process.execPath, [...args, 'add', hubFolder, ...options], { env });
      }
      await soaked.#untilInstalled();
      return soaked;
    } catch (error) {
      await agent.stop();
      throw error;
    }
  }

  get url(): string {
    return this.#agent.url;
  }

  get pid(): number {
    return this.#agent.pid;
  }

  get stateDir(): string {
    return this.#agent.stateDir;
  }

  /** False once its process has ended. */
  get lives(): boolean {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${this.pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  }

  state = (): Promise<StateView> => this.#get<StateView>('/expertd/v1/state');

  experts = async (): Promise<readonly ExpertView[]> =>
    (await this.#get<{ experts: ExpertView[] }>('/expertd/v1/experts')).experts;

  /** What is told of a decision, for a report. */
  story = (decision: number): Promise<unknown> => this.#get(`/expertd/v1/decisions/${decision}`);

  async command(command: 'park' | 'unload' | 'clear', expert: string): Promise<void> {
    await fetch(`${this.url}/expertd/v1/experts/${expert}/${command}`, { method: 'POST' });
  }

  /** Writes its configuration and has it read. */
  async tune(change: Partial<Tunable>): Promise<void> {
    this.#settings = { ...this.#settings, ...change };
    writeConfig(this.#configPath, this.#members, this.#settings);
    const response = await fetch(`${this.url}/expertd/v1/reload`, { method: 'POST' });
    if (!response.ok) throw new Error(`reload: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }

  /** Throws where it does not end as it should. */
  stop(): Promise<void> {
    return this.#agent.stop();
  }

  async #untilInstalled(): Promise<void> {
    for (const endMs = performance.now() + INSTALL_MS; ; await sleep(LOOK_MS)) {
      const experts = await this.experts();
      const missing = this.#members.filter(
        ({ id }) => !experts.some((one) => one.id === id && one.task !== null),
      );
      if (missing.length === 0) return;
      if (performance.now() > endMs) throw new Error(`not installed in time: ${missing.map(({ id }) => id)}`);
    }
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }
}

function writeConfig(path: string, members: readonly Member[], { budgetBytes, parking }: Tunable): void {
  const config = {
    // None of those that ship with it.
    expertsDir: dirname(path),
    embedder: null,
    languageDetector: null,
    memory: { budget: budgetBytes, parking, sampleMs: SAMPLE_MS },
    // Nothing leaves memory for being idle: all that leaves it does so for another.
    limits: { idleMs: 0 },
    experts: members.map((member) => ({
      id: member.id,
      ...(member.kind === 'classifier' ? {} : { contextTokens: CONTEXT_TOKENS }),
      ...(member.kind === 'copied' ? {} : { sources: [{ uri: `file:${member.folder}` }] }),
    })),
  };
  writeFileSync(path, JSON.stringify(config));
}
