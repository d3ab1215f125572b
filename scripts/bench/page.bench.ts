/**
 * What somebody who watches costs an idle agent: `npm run bench -- page [--seconds 20] [--rounds 2]`. CPU time of the
 * agent's process with nobody and with one client at `/expertd/v1/events` (what the page and `expertd top` read), in
 * turns, and the bytes that the client gets.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ensureBundle, ROOT } from '../bundle.mjs';
import { launchArguments, launchEnvironment } from '../launch.mjs';
import { StartedAgent } from '../started-agent.ts';
import type { Bench } from './bench.ts';
import { processMemory } from './process-memory.ts';
import { interleave, median } from './stats.ts';

/** Loads and first looks are over by then. */
const SETTLE_MS = 8_000;
/** Unit of the times in /proc/PID/stat: USER_HZ, which is 100 on every Linux that Node runs on (proc(5)). */
const TICK_MS = 10;
const MB = 1e6;

interface Round {
  /** CPU time of the agent as a share of one core, in percent. */
  readonly cpuPercent: number;
  readonly bytesPerMinute: number;
}

export const bench: Bench = async (args, report) => {
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: { type: 'string', default: '20' }, rounds: { type: 'string', default: '2' } },
  });
  const ms = Number(values.seconds) * 1_000;
  const env = launchEnvironment(ROOT, process.env);
  const agent = await StartedAgent.start(
    process.execPath,
    launchArguments(ROOT, await ensureBundle(), []),
    env,
  );
  try {
    await sleep(SETTLE_MS);
    const beforeBytes = processMemory(agent.pid).pssBytes;
    const [alone = [], watched = []] = await interleave(Number(values.rounds), [
      () => watch(agent, ms, 0),
      () => watch(agent, ms, 1),
    ]);
    const cpu = (rounds: readonly Round[]) => median(rounds.map(({ cpuPercent }) => cpuPercent));
    report({ metric: 'cpu_idle', value: cpu(alone), unit: '% of a core' });
    report({ metric: 'cpu_one_page', value: cpu(watched), unit: '% of a core', baseline: cpu(alone) });
    report({
      metric: 'cpu_added',
      value: cpu(watched) - cpu(alone),
      unit: '% of a core',
      goal: { atMost: 0.5 },
    });
    const bytes = median(watched.map(({ bytesPerMinute }) => bytesPerMinute));
    report({ metric: 'bytes_one_page', value: bytes / 1_000, unit: 'kB/min', goal: { atMost: 200 } });
    const grown = (processMemory(agent.pid).pssBytes - beforeBytes) / MB;
    report({ metric: 'pss_grown', value: grown, unit: 'MB', goal: { atMost: 10 } });
  } finally {
    await agent.stop();
  }
};

async function watch(agent: StartedAgent, ms: number, clients: number): Promise<Round> {
  const controller = new AbortController();
  const reading = Array.from({ length: clients }, () => readBytes(agent.url, controller.signal));
  const sinceMs = performance.now();
  const cpuBefore = cpuMs(agent.pid);
  await sleep(ms);
  const tookMs = performance.now() - sinceMs;
  const used = cpuMs(agent.pid) - cpuBefore;
  controller.abort();
  const bytes = (await Promise.all(reading)).reduce((sum, one) => sum + one, 0);
  return { cpuPercent: (used / tookMs) * 100, bytesPerMinute: (bytes / tookMs) * 60_000 };
}

/** Resolves with how many bytes came until `signal` aborted. */
async function readBytes(url: string, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  try {
    const { body } = await fetch(new URL('/expertd/v1/events', url), { signal });
    for await (const piece of body ?? []) bytes += piece.length;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return bytes;
}

/** User and system time of a process so far. Its name, in brackets, may hold spaces. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Fields 14 and 15 of proc(5); the first here is the third.
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
