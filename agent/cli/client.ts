/** The running agent as commands see it: found through `agent.json`, asked over HTTP. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliError, EXIT, type Io } from './io.ts';
import { stateDirOf } from './options.ts';

/** What the agent writes into its state directory while it runs. */
export const AGENT_FILE = 'agent.json';

export interface AgentFlags {
  readonly url?: string | undefined;
  readonly 'state-dir'?: string | undefined;
}

export class AgentClient {
  readonly #url: string;
  readonly #token: string | undefined;

  constructor(url: string, token: string | undefined) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
  }

  /** The parsed body and its text. Rejects with a CliError whose exit code says who is at fault. */
  async get<T>(path: string, signal?: AbortSignal): Promise<{ readonly value: T; readonly text: string }> {
    return readJson<T>(await this.#send('GET', path, signal === undefined ? {} : { signal }));
  }

  async post<T>(path: string, body?: object): Promise<{ readonly value: T; readonly text: string }> {
    return readJson<T>(await this.#send('POST', path, bodyOf(body)));
  }

  /** The reply as it comes, for streams; its status was good. Rejects with the signal's reason once that aborts. */
  stream(path: string, body: object, signal?: AbortSignal): Promise<Response> {
    return this.#send('POST', path, { ...bodyOf(body), ...(signal === undefined ? {} : { signal }) });
  }

  /** The agent's events after the decision `lastId`, empty for none, until `signal` aborts. */
  events(lastId: string, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = lastId === '' ? {} : { 'last-event-id': lastId };
    return this.#send('GET', '/expertd/v1/events', { headers, signal });
  }

  async #send(method: string, path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token) headers.set('authorization', `Bearer ${this.#token}`);
    let response: Response;
    try {
      response = await fetch(this.#url + path, { ...init, method, headers });
    } catch (error) {
      throw new CliError(EXIT.notRunning, `no agent answers at ${this.#url} (${causeOf(error)})`, START_HINT);
    }
    if (!response.ok) throw new RefusedError(response, await response.text());
    return response;
  }
}

const START_HINT = 'Start one with "expertd start", or name its address with --url or its --state-dir.';

/** Finds the running agent. Throws a CliError where there is none. */
export function findAgent(flags: AgentFlags, io: Io): AgentClient {
  const token = io.env['EXPERTD_HTTP_TOKEN'];
  if (flags.url === undefined)
    return new AgentClient(urlFromFile(stateDirOf(flags['state-dir'], io.env)), token);
  if (!URL.canParse(flags.url) || !/^https?:/.test(flags.url)) {
    throw new CliError(EXIT.usage, `--url must be an http address, not "${flags.url}"`);
  }
  return new AgentClient(flags.url, token);
}

function urlFromFile(stateDir: string): string {
  const path = join(stateDir, AGENT_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code !== 'ENOENT') throw new CliError(EXIT.notRunning, `${path} cannot be read: ${code}`);
    throw new CliError(EXIT.notRunning, `no agent is running: there is no ${path}`, START_HINT);
  }
  const { pid, url } = parseAgentFile(text, path);
  if (isAlive(pid)) return url;
  throw new CliError(
    EXIT.notRunning,
    `no agent is running: the one in ${path} (pid ${pid}) is gone`,
    START_HINT,
  );
}

function parseAgentFile(text: string, path: string): { pid: number; url: string } {
  try {
    const { pid, url } = JSON.parse(text) as { pid: unknown; url: unknown };
    if (
      typeof pid === 'number' &&
      Number.isInteger(pid) &&
      pid > 0 &&
      typeof url === 'string' &&
      URL.canParse(url)
    ) {
      return { pid, url };
    }
  } catch {
    // Falls through: not JSON is as bad as the wrong JSON.
  }
  throw new CliError(
    EXIT.notRunning,
    `${path} is not what an agent writes: {"pid": ..., "url": ...}`,
    START_HINT,
  );
}

/** A process of another user counts as alive: asking for it is what is not permitted. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function readJson<T>(response: Response): Promise<{ value: T; text: string }> {
  const text = await response.text();
  try {
    return { value: JSON.parse(text) as T, text };
  } catch {
    throw new CliError(EXIT.failed, `what answers at ${response.url} is not an expertd agent`);
  }
}

function bodyOf(body: object | undefined): RequestInit {
  if (body === undefined) return {};
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

/** What an expert that is on its way is doing, as the agent tells it with a 503. */
export interface LoadingNote {
  readonly state: string;
  /** 0 to 1. */
  readonly progress: number | null;
}

/** A failed reply, with what it says about trying again. */
export class RefusedError extends CliError {
  readonly status: number;
  /** Number of the decision that refused. */
  readonly decision: string | null;
  readonly retryAfterMs: number | null;
  readonly loading: LoadingNote | null;

  constructor(response: Response, text: string) {
    const decision = response.headers.get('x-expertd-decision');
    const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
    // 500s are failures, everything else is a refusal that the user can do something about.
    super(
      response.status === 500 ? EXIT.failed : EXIT.refused,
      errorMessage(text) ?? `the agent answered ${response.status}`,
      decision === null ? null : `Why: expertd explain ${decision}`,
    );
    this.status = response.status;
    this.decision = decision;
    this.retryAfterMs = Number.isFinite(retryAfter) ? retryAfter * 1_000 : null;
    this.loading = loadingIn(text);
  }
}

function loadingIn(text: string): LoadingNote | null {
  try {
    const { loading } = JSON.parse(text) as { loading?: { state?: unknown; progress?: unknown } };
    if (typeof loading?.state !== 'string') return null;
    const { state, progress } = loading;
    return { state, progress: typeof progress === 'number' ? progress : null };
  } catch {
    return null;
  }
}

export function errorMessage(text: string): string | null {
  try {
    const body = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof body.error?.message === 'string' ? body.error.message : null;
  } catch {
    return null;
  }
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message;
  return error instanceof Error ? error.message : String(error);
}
