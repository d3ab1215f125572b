/** A started agent of this checkout or build, as scripts see it: its process, its address, its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 30_000;
const STOP_MS = 15_000;
const KEPT_ERRORS = 4_000;

export class StartedAgent {
  readonly url: string;
  readonly pid: number;
  /** From exec to the first good answer of `/readyz`. */
  readonly readyMs: number;
  readonly #child: ChildProcess;
  readonly stateDir: string;

  private constructor(child: ChildProcess, pid: number, stateDir: string, url: string, readyMs: number) {
    this.#child = child;
    this.pid = pid;
    this.stateDir = stateDir;
    this.url = url;
    this.readyMs = readyMs;
  }

  /**
   * Starts `file args... start` on a free port with a state folder of its own, and waits until it is ready. Throws
   * with what it wrote to standard error if it is not within 30 s.
   */
  static async start(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<StartedAgent> {
    const stateDir = mkdtempSync(join(tmpdir(), 'expertd-script-'));
    const sinceMs = performance.now();
    const argv = [...args, 'start', '--port', '0', '--state-dir', stateDir];
    const child = spawn(file, argv, { stdio: ['ignore', 'ignore', 'pipe'], env, cwd: stateDir });
    const errors = lastWords(child);
    try {
      const url = await untilReady(child, join(stateDir, 'agent.json'));
      const { pid } = child;
      if (pid === undefined) throw new Error(`${file} did not start`);
      return new StartedAgent(child, pid, stateDir, url, performance.now() - sinceMs);
    } catch (cause) {
      child.kill('SIGKILL');
      rmSync(stateDir, { recursive: true, force: true });
      throw new Error(`${file}: ${(cause as Error).message}\n${errors()}`, { cause });
    }
  }

  /** Asks it to end; throws if it does not, or ends badly. */
  async stop(): Promise<void> {
    const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
      const { exitCode, signalCode } = this.#child;
      if (exitCode !== null || signalCode !== null) resolve(exitCode ?? signalCode);
      this.#child.once('exit', (code, signal) => resolve(code ?? signal));
    });
    this.#child.kill('SIGTERM');
    const how = await Promise.race([ended, sleep(STOP_MS, 'nothing' as const, { ref: false })]);
    if (how === 'nothing') this.#child.kill('SIGKILL');
    rmSync(this.stateDir, { recursive: true, force: true });
    if (how !== 0) throw new Error(`after SIGTERM the agent ended with ${how} instead of 0`);
  }
}

function lastWords(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-KEPT_ERRORS);
  });
  return () => text;
}

/** `agent.json` appears once the agent listens. */
async function untilReady(child: ChildProcess, agentFile: string): Promise<string> {
  for (const endMs = performance.now() + START_MS; performance.now() < endMs; await sleep(1)) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`it ended with ${child.exitCode ?? child.signalCode} before it was ready`);
    }
    const url = readUrl(agentFile);
    if (url !== null && (await isReady(url))) return url;
  }
  throw new Error(`it was not ready within ${START_MS} ms`);
}

function readUrl(agentFile: string): string | null {
  try {
    return (JSON.parse(readFileSync(agentFile, 'utf8')) as { url: string }).url;
  } catch {
    return null;
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(new URL('/readyz', url))).ok;
  } catch {
    return false;
  }
}
