/**
 * What switching between language models costs: `npm run bench -- swap [--model FOLDER] [--rounds 15]`.
 *
 * FOLDER is a plain hub repository. Copies of it that differ in a weight are asked by several agents, in turns; every
 * prompt is new, so nothing of it is cached. First token at the client, in ms:
 * - resident: the model answered before; the baseline of all others
 * - parked: its weights had left memory, and there is room for them
 * - swapped: the other one has to be parked first
 * - loaded: it was unloaded, and is loaded from its prepared files, by an agent that does not park
 * - stock: as that, by an agent that cannot prepare: the files as they came
 * Cold: the page cache has forgotten the files in question, which is proved by what the cells read from the disk. Then
 * memory, what is written and what is said, by an agent that is alone: see swap-memory.ts.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBundle, ROOT } from '../bundle.mjs';
import { forgetFolder, forgetNameless } from '../soak/page-cache.ts';
import type { Bench } from './bench.ts';
import { LlmAgent } from './llm-agent.ts';
import { copyModel } from './model-copies.ts';
import type { Report } from './report.ts';
import { interleave, median, quantile } from './stats.ts';
import { ioBytes, tellMemory } from './swap-memory.ts';

const SHARED_MODEL = join(ROOT, '..', 'shared', 'models', 'smollm2-135m-instruct');
const MIB = 2 ** 20;
/** One model, its cache, the agent and a cell; and one more that is parked. */
const TIGHT_BUDGET = '420MB';
const UNPARKING = { memory: { parking: false } };
/** The swap's own share: first token after it, less that of a resident model. All warm. */
const GOALS_MS: Readonly<Record<string, number>> = { parked: 25, swapped: 50, loaded: 150 };

export const bench: Bench = async (args, report) => {
  const { values } = parseArgs({
    args: [...args],
    options: { model: { type: 'string', default: SHARED_MODEL }, rounds: { type: 'string', default: '15' } },
  });
  const source = resolve(values.model);
  if (!existsSync(join(source, 'config.json')))
    throw new Error(`--model: ${source} is no folder of a hub repository (config.json is missing)`);
  const folder = mkdtempSync(join(tmpdir(), 'expertd-bench-swap-'));
  const models = Object.fromEntries(['one', 'two'].map((id) => [id, join(folder, id)]));
  try {
    for (const [at, target] of Object.values(models).entries()) copyModel(source, target, at);
    const bundle = await ensureBundle();
    await measure(bundle, models, Number(values.rounds), report);
    const alone = await LlmAgent.start(bundle, { models });
    try {
      await tellMemory(alone, report);
    } finally {
      await alone.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

async function measure(
  bundle: string,
  models: Record<string, string>,
  rounds: number,
  report: Report,
): Promise<void> {
  const agents: LlmAgent[] = [];
  const start = async (config: Readonly<Record<string, unknown>>): Promise<LlmAgent> => {
    const agent = await LlmAgent.start(bundle, { models, config });
    agents.push(agent);
    return agent;
  };
  try {
    const tight = await start({ memory: { budget: TIGHT_BUDGET } });
    const roomy = await start({});
    const unparking = await start(UNPARKING);
    const stock = await start(UNPARKING);
    preventPreparing(stock);
    // Prepares, loads and parks each once.
    for (const agent of agents) for (const id of agent.models) await first(agent, id);
    for (const id of roomy.models) {
      await roomy.command('park', id);
      await first(roomy, id);
    }
    const parkMs: number[] = [];
    const [resident, parked, swapped, loaded, unprepared] = await interleave(rounds, [
      () => first(roomy, 'one'),
      async () => {
        parkMs.push(await timed(() => roomy.command('park', 'one')));
        return await first(roomy, 'one');
      },
      (round) => first(tight, round % 2 === 0 ? 'one' : 'two'),
      () => reloaded(unparking),
      () => reloaded(stock),
    ]);
    tell(report, { resident, parked, swapped, loaded, stock: unprepared });
    report({ metric: 'time_to_park', value: median(parkMs), unit: 'ms' });
    await tellCold(report, { roomy, unparking, stock }, rounds, median(resident ?? []));
  } finally {
    for (const agent of agents) await agent.stop();
  }
}

let asked = 0;

/** First token of a prompt that nobody asked before, in ms. */
async function first(agent: LlmAgent, model: string): Promise<number> {
  const { firstTokenMs } = await agent.stream(model, `${++asked}: say something about number ${asked}.`, 4);
  return firstTokenMs;
}

async function reloaded(agent: LlmAgent): Promise<number> {
  await agent.command('unload', 'one');
  return await first(agent, 'one');
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

/** A file where its folder of prepared models should be. */
function preventPreparing({ stateDir }: LlmAgent): void {
  const folder = join(stateDir, 'prepared');
  rmSync(folder, { recursive: true, force: true });
  writeFileSync(folder, '');
}

function tell(report: Report, times: Readonly<Record<string, number[] | undefined>>): void {
  const base = median(times['resident'] ?? []);
  for (const [name, ms] of Object.entries(times)) {
    report({ metric: `${name}_first_token`, value: median(ms ?? []), unit: 'ms', baseline: base });
    report({ metric: `${name}_first_token_p90`, value: quantile(ms ?? [], 0.9), unit: 'ms' });
    const goal = GOALS_MS[name];
    if (goal === undefined) continue;
    const own = median(ms ?? []) - base;
    report({ metric: `${name}_own_share`, value: own, unit: 'ms', goal: { atMost: goal } });
  }
}

interface Contenders {
  readonly roomy: LlmAgent;
  readonly unparking: LlmAgent;
  readonly stock: LlmAgent;
}

async function tellCold(
  report: Report,
  { roomy, unparking, stock }: Contenders,
  rounds: number,
  baseline: number,
): Promise<void> {
  const read: Record<string, number[]> = {};
  const cold = async (name: string, agent: LlmAgent, command: 'park' | 'unload'): Promise<number> => {
    await agent.command(command, 'one');
    await forget(agent);
    const before = await readBytes(agent);
    const ms = await first(agent, 'one');
    read[name] = [...(read[name] ?? []), (await readBytes(agent)) - before];
    return ms;
  };
  const [parked, loaded, unprepared] = await interleave(rounds, [
    () => cold('parked', roomy, 'park'),
    () => cold('loaded', unparking, 'unload'),
    () => cold('stock', stock, 'unload'),
  ]);
  for (const [name, ms] of Object.entries({ parked, loaded, stock: unprepared })) {
    report({ metric: `${name}_cold_first_token`, value: median(ms ?? []), unit: 'ms', baseline });
    report({ metric: `${name}_cold_first_token_p90`, value: quantile(ms ?? [], 0.9), unit: 'ms' });
    report({ metric: `${name}_cold_read`, value: median(read[name] ?? []) / MIB, unit: 'MiB' });
  }
}

/** The files of its models, those that were made of them, and the nameless ones of what is parked. */
async function forget(agent: LlmAgent): Promise<void> {
  forgetFolder(agent.packageFolder('one'));
  const { preparedFolder } = agent;
  if (preparedFolder !== null) forgetFolder(join(preparedFolder, '..'));
  for (const pid of await agent.cellPids()) forgetNameless(pid);
}

async function readBytes(agent: LlmAgent): Promise<number> {
  return (await agent.cellPids()).reduce((sum, pid) => sum + ioBytes(pid, 'read_bytes'), 0);
}
