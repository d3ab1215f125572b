/**
 * What expertd itself costs: `npm run bench -- spine [--starts 7] [--samples 2000] [--requests 25000] [--experts 1000]`.
 *
 * - overhead of `/v1/embeddings`: latency at the client less `session.run` of that very request, as its cell measured
 *   it (read from the decision log afterwards); so HTTP, validation, decision row, IPC and tokenizer are in it
 * - the same model in a bare process, in turns with the client, is the baseline of the latency
 * - requests a second with 8 clients, and the agent's RSS after all of them
 * - `decide` alone; exec to `/readyz`; PSS at boot of the agent and the cell with the embedder
 *
 * Client and server share the machine; PSS is lower while other Node processes run.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ensureBundle, ROOT } from '../bundle.mjs';
import { launchArguments, launchEnvironment } from '../launch.mjs';
import { StartedAgent } from '../started-agent.ts';
import type { Bench } from './bench.ts';
import { timeDecide } from './decide-time.ts';
import { EmbeddingClient, RawEmbedder, type Served } from './embedding-load.ts';
import { processMemory } from './process-memory.ts';
import type { Report } from './report.ts';
import { interleave, median, quantile } from './stats.ts';

const WARM_UP = 300;
const BLOCK = 50;
const CLIENTS = 8;
const SETTLE_MS = 2_000;
const LOAD_MS = 60_000;
const MB = 1e6;

type Cells = {
  readonly cells: readonly { readonly pid: number | null; readonly experts: readonly string[] }[];
};
type Explained = { readonly outcome: { readonly stages: Readonly<Record<string, number>> } | null };

export const bench: Bench = async (args, report) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      starts: { type: 'string', default: '7' },
      samples: { type: 'string', default: '2000' },
      requests: { type: 'string', default: '25000' },
      experts: { type: 'string', default: '1000' },
    },
  });
  const bundle = await ensureBundle();
  reportDecide(Number(values.experts), report);
  await reportStarts(bundle, Number(values.starts), report);
  const agent = await startAgent(bundle);
  const client = new EmbeddingClient(agent.url, CLIENTS);
  try {
    await reportBootMemory(agent, client, report);
    await reportOverhead(client, Number(values.samples), report);
    await reportThroughput(agent, client, Number(values.requests), report);
  } finally {
    await client.close();
    await agent.stop();
  }
};

function startAgent(bundle: string): Promise<StartedAgent> {
  const env = launchEnvironment(ROOT, process.env);
  return StartedAgent.start(process.execPath, launchArguments(ROOT, bundle, []), env);
}

function reportDecide(experts: number, report: Report): void {
  const { requestMs, featuresMs } = timeDecide(experts, 200, 1_000);
  report({ metric: 'decide_features_p50', value: median(featuresMs), unit: 'ms', goal: { atMost: 1 } });
  report({ metric: 'decide_features_p99', value: quantile(featuresMs, 0.99), unit: 'ms' });
  report({ metric: 'decide_request_p50', value: median(requestMs), unit: 'ms', goal: { atMost: 1 } });
  report({ metric: 'decide_request_p99', value: quantile(requestMs, 0.99), unit: 'ms' });
}

/** The first start fills the compile cache and is not counted. */
async function reportStarts(bundle: string, starts: number, report: Report): Promise<void> {
  const readyMs: number[] = [];
  for (let index = 0; index <= starts; index++) {
    const agent = await startAgent(bundle);
    await agent.stop();
    if (index > 0) readyMs.push(agent.readyMs);
  }
  report({ metric: 'exec_to_ready_median', value: median(readyMs), unit: 'ms', goal: { atMost: 250 } });
  report({ metric: 'exec_to_ready_max', value: Math.max(...readyMs), unit: 'ms' });
}

async function reportBootMemory(agent: StartedAgent, client: EmbeddingClient, report: Report): Promise<void> {
  const cellPid = await embedderCell(client);
  await sleep(SETTLE_MS);
  const [own, cell] = [processMemory(agent.pid), processMemory(cellPid)];
  const total = (own.pssBytes + cell.pssBytes) / MB;
  report({ metric: 'boot_pss', value: total, unit: 'MB', goal: { atMost: 145 } });
  report({ metric: 'boot_pss_stretch', value: total, unit: 'MB', goal: { atMost: 130 } });
  report({ metric: 'boot_pss_agent', value: own.pssBytes / MB, unit: 'MB' });
  report({ metric: 'boot_pss_cell', value: cell.pssBytes / MB, unit: 'MB' });
  report({ metric: 'boot_anonymous', value: (own.anonymousBytes + cell.anonymousBytes) / MB, unit: 'MB' });
}

/** Waits until the embedder is resident, as it is after every start, and returns the pid of its cell. */
async function embedderCell(client: EmbeddingClient): Promise<number> {
  for (const endMs = performance.now() + LOAD_MS; performance.now() < endMs; await sleep(50)) {
    const { cells } = await client.json<Cells>('/expertd/v1/state');
    const pid = cells.find(({ experts }) => experts.includes('embedder'))?.pid;
    if (pid !== undefined && pid !== null) return pid;
  }
  throw new Error(`the embedder was not resident within ${LOAD_MS} ms`);
}

async function reportOverhead(client: EmbeddingClient, samples: number, report: Report): Promise<void> {
  const raw = await RawEmbedder.start(
    join(import.meta.dirname, 'raw-embedding.ts'),
    join(ROOT, 'experts/embedder'),
  );
  try {
    for (let index = 0; index < WARM_UP; index++) await Promise.all([client.embed(index), raw.embed(index)]);
    const blocks = Math.ceil(samples / BLOCK);
    const served: Served[] = [];
    const rawRunMs: number[] = [];
    await interleave(blocks, [
      async (round) => {
        for (let index = 0; index < BLOCK; index++) served.push(await client.embed(round * BLOCK + index));
      },
      async (round) => {
        for (let index = 0; index < BLOCK; index++)
          rawRunMs.push((await raw.embed(round * BLOCK + index)).runMs);
      },
    ]);
    await reportLatencies(client, served, rawRunMs, report);
  } finally {
    raw.stop();
  }
}

async function reportLatencies(
  client: EmbeddingClient,
  served: readonly Served[],
  rawRunMs: readonly number[],
  report: Report,
): Promise<void> {
  const overheadMs: number[] = [];
  for (const { decision, latencyMs } of served) {
    const { outcome } = await client.json<Explained>(`/expertd/v1/decisions/${decision}`);
    const runMs = outcome?.stages['run'];
    if (runMs === undefined) throw new Error(`decision ${decision} has no time of its run`);
    overheadMs.push(latencyMs - runMs);
  }
  const latencyMs = served.map((one) => one.latencyMs);
  report({ metric: 'overhead_p50', value: median(overheadMs), unit: 'ms', goal: { atMost: 1 } });
  report({ metric: 'overhead_p99', value: quantile(overheadMs, 0.99), unit: 'ms', goal: { atMost: 3 } });
  for (const [name, q] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    const baseline = quantile(rawRunMs, q);
    report({ metric: `embeddings_latency_${name}`, value: quantile(latencyMs, q), unit: 'ms', baseline });
  }
}

async function reportThroughput(
  agent: StartedAgent,
  client: EmbeddingClient,
  requests: number,
  report: Report,
): Promise<void> {
  const perSecond = await client.saturate(requests, CLIENTS);
  report({
    metric: `throughput_${CLIENTS}_clients`,
    value: perSecond,
    unit: 'requests/s',
    goal: { atLeast: 600 },
  });
  await sleep(SETTLE_MS);
  const rss = processMemory(agent.pid).rssBytes / MB;
  report({ metric: `agent_rss_after_${requests}`, value: rss, unit: 'MB', goal: { atMost: 110 } });
}
