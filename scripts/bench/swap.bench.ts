/**
 * What switching between language models costs: `npm run bench -- swap [--model FOLDER] [--rounds 15]`.
 *
 * FOLDER is a plain hub repository. Two copies of it that differ in a weight take turns behind an agent, in turns with
 * their baselines; every prompt is new, so nothing of it is cached. First token at the client, in ms:
 * - resident: the model answered before
 * - parked: its weights had left memory, and there is room for them
 * - swapped: the other one has to be parked first
 * - loaded: it was unloaded, and is loaded from its prepared files, by an agent that does not park
 * All with the files in the page cache. Then the memory of agent and cell in each state.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ensureBundle, ROOT } from '../bundle.mjs';
import type { Bench } from './bench.ts';
import { LlmAgent } from './llm-agent.ts';
import { copyModel } from './model-copies.ts';
import type { Report } from './report.ts';
import { interleave, median, quantile } from './stats.ts';

const SHARED_MODEL = join(ROOT, '..', 'shared', 'models', 'smollm2-135m-instruct');
const SETTLE_MS = 1_500;
const MIB = 2 ** 20;
/** One model, its cache, the agent and a cell; and one more that is parked. */
const TIGHT_BUDGET = '420MB';

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
    await measure(models, Number(values.rounds), report);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

async function measure(models: Record<string, string>, rounds: number, report: Report): Promise<void> {
  const bundle = await ensureBundle();
  const tight = await LlmAgent.start(bundle, { models, config: { memory: { budget: TIGHT_BUDGET } } });
  const roomy = await LlmAgent.start(bundle, { models });
  const unparking = await LlmAgent.start(bundle, { models, config: { memory: { parking: false } } });
  try {
    // Prepares, loads and parks each once.
    for (const agent of [tight, roomy, unparking]) for (const id of agent.models) await first(agent, id);
    for (const id of roomy.models) {
      await roomy.command('park', id);
      await first(roomy, id);
    }
    const [resident, parked, swapped, loaded] = await interleave(rounds, [
      () => first(roomy, 'one'),
      () => afterwards(roomy, 'park'),
      (round) => first(tight, round % 2 === 0 ? 'one' : 'two'),
      () => afterwards(unparking, 'unload'),
    ]);
    tell(report, { resident, parked, swapped, loaded });
    await tellMemory(roomy, report);
  } finally {
    for (const agent of [tight, roomy, unparking]) await agent.stop();
  }
}

let asked = 0;

/** First token of a prompt that nobody asked before, in ms. */
async function first(agent: LlmAgent, model: string): Promise<number> {
  const { firstTokenMs } = await agent.stream(model, `${++asked}: say something about number ${asked}.`, 4);
  return firstTokenMs;
}

async function afterwards(agent: LlmAgent, command: 'park' | 'unload'): Promise<number> {
  await agent.command(command, 'one');
  return await first(agent, 'one');
}

function tell(report: Report, times: Readonly<Record<string, number[] | undefined>>): void {
  const base = median(times['resident'] ?? []);
  const goals: Readonly<Record<string, number>> = { parked: 25, swapped: 50, loaded: 150 };
  for (const [name, ms] of Object.entries(times)) {
    report({ metric: `${name}_first_token`, value: median(ms ?? []), unit: 'ms', baseline: base });
    report({ metric: `${name}_first_token_p90`, value: quantile(ms ?? [], 0.9), unit: 'ms' });
    const goal = goals[name];
    if (goal === undefined) continue;
    const own = median(ms ?? []) - base;
    report({ metric: `${name}_own_share`, value: own, unit: 'ms', goal: { atMost: goal } });
  }
}

async function tellMemory(agent: LlmAgent, report: Report): Promise<void> {
  const states: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['two_resident', async () => [await first(agent, 'one'), await first(agent, 'two')]],
    ['one_parked', () => agent.command('park', 'one')],
    ['two_parked', () => agent.command('park', 'two')],
    ['one_unloaded', () => agent.command('unload', 'one')],
    ['two_unloaded', () => agent.command('unload', 'two')],
  ];
  for (const [name, reach] of states) {
    await reach();
    await sleep(SETTLE_MS);
    report({ metric: `pss_${name}`, value: (await agent.pssBytes()) / MIB, unit: 'MiB' });
  }
}
