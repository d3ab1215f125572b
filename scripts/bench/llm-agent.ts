/** A language model behind a started agent, as its clients see it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ROOT } from '../bundle.mjs';
import { launchArguments, launchEnvironment } from '../launch.mjs';
import { StartedAgent } from '../started-agent.ts';
import { processMemory } from './process-memory.ts';

export interface Streamed {
  /** From before the request is sent to the first piece of text. */
  readonly firstTokenMs: number;
  /** Tokens a second between the first piece and the last. */
  readonly decode: number;
  readonly inputTokens: number;
  /** As the cell measured them. */
  readonly stages: Readonly<Record<string, number>>;
  readonly outputTokens: number;
}

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string } }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  readonly expertd?: { readonly stages: Readonly<Record<string, number>> };
}

const run = promisify(execFile);
const LOOK_MS = 5;
const MOST_LOOKS = 6_000;

export interface LlmAgentOptions {
  /** Beside an agent without an embedder, that never finds an expert idle. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Names of the experts, each with the folder of its hub repository. */
  readonly models: Readonly<Record<string, string>>;
}

export class LlmAgent {
  /** Names of its models. */
  readonly models: readonly string[];
  readonly #agent: StartedAgent;
  readonly #folder: string;

  private constructor(agent: StartedAgent, folder: string, models: readonly string[]) {
    this.#agent = agent;
    this.#folder = folder;
    this.models = models;
  }

  /** An agent to which the folders are added as its user would do it. */
  static async start(bundle: string, { config = {}, models }: LlmAgentOptions): Promise<LlmAgent> {
    const folder = mkdtempSync(join(tmpdir(), 'expertd-bench-llm-'));
    const path = join(folder, 'config.json');
    const usual = { embedder: null, languageDetector: null, limits: { idleMs: 0 } };
    writeFileSync(path, JSON.stringify({ ...usual, ...config }));
    const env = { ...launchEnvironment(ROOT, process.env), EXPERTD_CONFIG: path };
    const args = launchArguments(ROOT, bundle, []);
    const agent = await StartedAgent.start(process.execPath, args, env);
    for (const [id, hubFolder] of Object.entries(models)) {
      const options = ['--id', id, '--state-dir', agent.stateDir];
      await run(process.execPath, [...args, 'add', hubFolder, ...options], { env });
    }
    return new LlmAgent(agent, folder, Object.keys(models));
  }

  get url(): string {
    return this.#agent.url;
  }

  get stateDir(): string {
    return this.#agent.stateDir;
  }

  /** The folder of what was prepared for the model; null where nothing was. */
  get preparedFolder(): string | null {
    const all = join(this.#agent.stateDir, 'prepared');
    if (!statSync(all, { throwIfNoEntry: false })?.isDirectory()) return null;
    const [first] = readdirSync(all, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return first === undefined ? null : join(all, first.name);
  }

  /** The folder into which a model was added. */
  packageFolder(model: string): string {
    const versions = join(this.#agent.stateDir, 'added', model);
    const [first] = readdirSync(versions, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return join(versions, first?.name ?? '');
  }

  /** One streamed answer of exactly `tokens` tokens, if the model does not end it before. */
  async stream(model: string, prompt: string, tokens: number): Promise<Streamed> {
    const startMs = performance.now();
    const response = await fetch(`${this.#agent.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model,
        // What comes first is new each time: nothing of the prompt is kept from an earlier one.
        messages: [
          { role: 'system', content: `${process.hrtime.bigint()}` },
          { role: 'user', content: prompt },
        ],
        stream: true,
        stream_options: { include_usage: true },
        temperature: 0,
        max_tokens: tokens,
      }),
    });
    if (!response.ok || response.body === null)
      throw new Error(`${response.status}: ${await response.text()}`);
    return await timed(response.body, startMs);
  }

  /** PSS of the agent and its cells, in bytes. */
  async pssBytes(): Promise<number> {
    const pids = [this.#agent.pid, ...(await this.cellPids())];
    return pids.reduce((sum, pid) => sum + processMemory(pid).pssBytes, 0);
  }

  /** Of the cells that are up. */
  async cellPids(): Promise<number[]> {
    const response = await fetch(`${this.#agent.url}/expertd/v1/state`);
    const { cells } = (await response.json()) as { cells: readonly { pid: number | null }[] };
    return cells.flatMap(({ pid }) => (pid === null ? [] : [pid]));
  }

  /** A command of its own API, as `load` or `park`; resolves when the expert is in the state that it leads to. */
  async command(command: 'load' | 'park' | 'unload', model: string): Promise<void> {
    const path = `${this.#agent.url}/expertd/v1/experts/${model}`;
    await fetch(`${path}/${command}`, { method: 'POST' });
    const wanted = { load: 'resident', park: 'parked', unload: 'absent' }[command];
    for (let look = 0; look < MOST_LOOKS; look++) {
      const { state } = (await (await fetch(path)).json()) as { state: string };
      if (state === wanted) return;
      await sleep(LOOK_MS);
    }
    throw new Error(`${model} did not come to be ${wanted}`);
  }

  async stop(): Promise<void> {
    await this.#agent.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function timed(body: ReadableStream<Uint8Array>, startMs: number): Promise<Streamed> {
  let firstMs: number | null = null;
  let lastMs = startMs;
  let usage: Chunk['usage'] = null;
  let stages: Readonly<Record<string, number>> = {};
  for await (const chunk of chunksOf(body)) {
    if ((chunk.choices[0]?.delta.content ?? '') !== '') {
      lastMs = performance.now();
      firstMs ??= lastMs;
    }
    usage = chunk.usage ?? usage;
    stages = chunk.expertd?.stages ?? stages;
  }
  const outputTokens = usage?.completion_tokens ?? Number.NaN;
  return {
    firstTokenMs: (firstMs ?? Number.NaN) - startMs,
    decode: (outputTokens - 1) / ((lastMs - (firstMs ?? lastMs)) / 1_000),
    inputTokens: usage?.prompt_tokens ?? Number.NaN,
    outputTokens,
    stages,
  };
}

async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Chunk> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('data: {')) continue;
      const value = JSON.parse(line.slice('data: '.length)) as Chunk & { error?: unknown };
      if (value.error !== undefined) throw new Error(`the stream broke: ${line}`);
      yield value;
    }
  }
}
