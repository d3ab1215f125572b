/** Clients of `/v1/embeddings` against a started agent, and the raw embedder that they are compared with. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'undici';
import { cellEnvironment } from '../../agent/cells/environment.ts';
import type { RawTimes } from './raw-embedding.ts';
import { sentence } from './texts.ts';

export interface Served {
  readonly latencyMs: number;
  /** Number of its decision, for `/expertd/v1/decisions/ID`. */
  readonly decision: string;
}

export class EmbeddingClient {
  readonly #url: string;
  readonly #dispatcher: Agent;

  constructor(url: string, connections: number) {
    this.#url = url;
    this.#dispatcher = new Agent({ connections, pipelining: 1 });
  }

  /** One request, from before it is sent to the last byte of its answer. Throws if it is not answered with 200. */
  async embed(index: number): Promise<Served> {
    const body = JSON.stringify({ model: 'embedder', input: sentence(index) });
    const startMs = performance.now();
    const {
      statusCode,
      headers,
      body: reply,
    } = await request(`${this.#url}/v1/embeddings`, {
      dispatcher: this.#dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const text = await reply.text();
    const latencyMs = performance.now() - startMs;
    if (statusCode !== 200) throw new Error(`/v1/embeddings answered ${statusCode}: ${text.slice(0, 300)}`);
    return { latencyMs, decision: String(headers['x-expertd-decision']) };
  }

  /** `count` requests by as many clients as there are connections, each waiting for its answer; requests a second. */
  async saturate(count: number, clients: number): Promise<number> {
    let next = 0;
    const startMs = performance.now();
    const client = async () => {
      while (next < count) await this.embed(next++);
    };
    await Promise.all(Array.from({ length: clients }, client));
    return count / ((performance.now() - startMs) / 1_000);
  }

  async json<T>(path: string): Promise<T> {
    const { statusCode, body } = await request(`${this.#url}${path}`, { dispatcher: this.#dispatcher });
    if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}: ${await body.text()}`);
    return (await body.json()) as T;
  }

  async close(): Promise<void> {
    await this.#dispatcher.close();
  }
}

/** The raw embedder in a process of its own, with the environment of a cell. */
export class RawEmbedder {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(script: string, directory: string): Promise<RawEmbedder> {
    const execArgv = ['--disable-warning=ExperimentalWarning'];
    const child = fork(script, [directory], { execArgv, env: cellEnvironment(process.env) });
    const first = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    if (first[0] !== 'ready') throw new Error(`the raw embedder ended with ${first[0]}`);
    return new RawEmbedder(child);
  }

  async embed(index: number): Promise<RawTimes> {
    const answer = once(this.#child, 'message');
    this.#child.send(sentence(index));
    const [times] = (await answer) as [RawTimes];
    return times;
  }

  stop(): void {
    this.#child.disconnect();
  }
}
