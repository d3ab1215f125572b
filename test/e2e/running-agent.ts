/** A real agent for end-to-end tests: the bundle that `npm start` runs, in a process of its own, with its own state. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExpertView, Explanation, StateView } from '../../agent/service.ts';
import { ensureBundle, ROOT } from '../../scripts/bundle.mjs';
import { launchArguments } from '../../scripts/launch.mjs';

const START_MS = 20_000;
const POLL_MS = 25;

export interface AgentOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** An existing state directory; else a new one that goes with the agent. */
  readonly stateDir?: string;
  /** From the command that starts it to another one, which ends in that one. */
  readonly command?: (argv: readonly string[]) => readonly string[];
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'expertd-e2e-'));
}

export class RunningAgent {
  readonly stateDir: string;
  readonly #folder: string;
  readonly #process: ChildProcess;
  #output = '';
  url = '';

  private constructor(process: ChildProcess, folder: string, stateDir: string) {
    this.#process = process;
    this.#folder = folder;
    this.stateDir = stateDir;
    for (const stream of [process.stdout, process.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
    }
  }

  /** Starts an agent and waits until it says where it listens. */
  static async start(options: AgentOptions = {}): Promise<RunningAgent> {
    const agent = await RunningAgent.spawn(options);
    await agent.untilUp();
    return agent;
  }

  /** Starts an agent that may well refuse to: `exit` tells how it ended. */
  static async spawn(options: AgentOptions = {}): Promise<RunningAgent> {
    const { config = {}, env = {}, stateDir, command = (argv) => argv } = options;
    const bundle = await ensureBundle();
    const folder = temporaryFolder();
    const configPath = join(folder, 'edge.config.json');
    writeFileSync(configPath, JSON.stringify({ http: { port: 0 }, ...config }));
    const state = stateDir ?? join(folder, 'state');
    const args = ['start', '--config', configPath, '--state-dir', state];
    const [file = '', ...rest] = command([process.execPath, ...launchArguments(ROOT, bundle, args)]);
    const child = spawn(file, rest, {
      env: { PATH: process.env['PATH'] ?? '', HOME: folder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new RunningAgent(child, folder, state);
  }

  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  writeConfig(config: Readonly<Record<string, unknown>> | string): void {
    const text = typeof config === 'string' ? config : JSON.stringify({ http: { port: 0 }, ...config });
    writeFileSync(join(this.#folder, 'edge.config.json'), text);
  }

  /** Whoever read its log is gone. */
  closeOutput(): void {
    this.#process.stdout?.destroy();
  }

  removeConfig(): void {
    rmSync(join(this.#folder, 'edge.config.json'));
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Resolves with the exit code, or the signal that ended it. */
  async exit(): Promise<number | string> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return exitCode ?? signalCode ?? -1;
    const [code, signal] = (await once(this.#process, 'exit')) as [number | null, string | null];
    return code ?? signal ?? -1;
  }

  /** Ends the agent politely and removes what it left. */
  async stop(): Promise<void> {
    this.signal('SIGTERM');
    await this.exit();
    this.remove();
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.url + path);
    assert.equal(response.status, 200, `${path} answered ${response.status}`);
    return (await response.json()) as T;
  }

  post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    return fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...init,
    });
  }

  ask(content: string, model = 'auto', more: Readonly<Record<string, unknown>> = {}): Promise<Response> {
    return this.post('/v1/chat/completions', { model, messages: [{ role: 'user', content }], ...more });
  }

  async text(response: Response): Promise<string> {
    const body = (await response.json()) as { choices?: { message: { content: string } }[] };
    assert.equal(response.status, 200, JSON.stringify(body));
    return body.choices?.[0]?.message.content ?? assert.fail('no choice');
  }

  experts = async (): Promise<ExpertView[]> =>
    (await this.get<{ experts: ExpertView[] }>('/expertd/v1/experts')).experts;
  state = (): Promise<StateView> => this.get<StateView>('/expertd/v1/state');
  explain = (id: string | number): Promise<Explanation> =>
    this.get<Explanation>(`/expertd/v1/decisions/${id}`);

  /** Looks until `test` holds; fails with what it saw last. */
  async until<T>(look: () => Promise<T>, test: (value: T) => boolean, timeoutMs = START_MS): Promise<T> {
    const endMs = Date.now() + timeoutMs;
    for (;;) {
      const value = await look();
      if (test(value)) return value;
      if (Date.now() > endMs)
        assert.fail(`it did not come to that: ${JSON.stringify(value)}\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async untilResident(...ids: readonly string[]): Promise<void> {
    await this.until(
      () => this.experts(),
      (experts) => ids.every((id) => experts.some((one) => one.id === id && one.state === 'resident')),
    );
  }

  /** Resolves when it answers, and has its URL then: an agent that starts again may have another. */
  async untilUp(): Promise<void> {
    const path = join(this.stateDir, 'agent.json');
    const endMs = Date.now() + START_MS;
    for (;;) {
      const found = readAgentFile(path);
      if (found?.pid === this.pid) {
        this.url = found.url;
        const ready = await fetch(`${found.url}/readyz`).catch(() => null);
        if (ready?.status === 200) return;
      }
      if (this.#process.exitCode !== null) assert.fail(`the agent ended:\n${this.#output}`);
      if (Date.now() > endMs) assert.fail(`the agent did not start:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

function readAgentFile(path: string): { pid: number; url: string } | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { pid: number; url: string };
  } catch {
    return null;
  }
}
