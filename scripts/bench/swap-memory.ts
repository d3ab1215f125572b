/** What two models that take turns keep in memory, write to the disk, and say: by an agent that is alone on the machine. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LlmAgent } from './llm-agent.ts';
import type { Report } from './report.ts';

const MIB = 2 ** 20;
/** Until memory that was freed has been given back. */
const SETTLE_MS = 1_500;
/** An empty cell ends after half of it. */
const CELLS_END_MS = 60_000;
const LOOK_MS = 250;
/** After so many swaps and a full unload, the tree is as it was: at most so much larger. */
const SWAPS = 50;
const GOAL_IDLE_RATIO = 1.1;
/** Of a parked expert, beyond what it keeps of conversations: nothing, here. */
const GOAL_STAYS_MIB = 12;
const PROMPTS = ['What is the capital of France?', 'Name three colours.', 'The sea is'] as const;

/** The agent has its models installed, and has loaded none. Its budget holds both. */
export async function tellMemory(agent: LlmAgent, report: Report): Promise<void> {
  const idle = await settled(agent);
  const [one = '', two = ''] = agent.models;
  await tellAnswers(agent, one, report);
  await tellWritten(agent, one, report);
  await agent.stream(one, 'first', 4);
  await agent.stream(two, 'second', 4);
  report({ metric: 'pss_two_resident', value: (await settled(agent)) / MIB, unit: 'MiB' });
  await agent.command('park', one);
  report({ metric: 'pss_one_parked', value: (await settled(agent)) / MIB, unit: 'MiB' });
  await agent.command('park', two);
  const parked = await settled(agent);
  report({ metric: 'pss_two_parked', value: parked / MIB, unit: 'MiB' });
  for (let swap = 0; swap < SWAPS; swap++) {
    const id = swap % 2 === 0 ? one : two;
    await agent.stream(id, `swap ${swap}`, 4);
    await agent.command('park', id);
  }
  const later = await settled(agent);
  report({
    metric: 'pss_two_parked_50_swaps_later',
    value: later / MIB,
    unit: 'MiB',
    baseline: parked / MIB,
  });
  await agent.command('unload', one);
  await agent.command('unload', two);
  const bare = await settled(agent);
  report({ metric: 'pss_two_unloaded', value: bare / MIB, unit: 'MiB' });
  const stays = (later - bare) / 2 / MIB;
  report({ metric: 'parked_stays', value: stays, unit: 'MiB', goal: { atMost: GOAL_STAYS_MIB } });
  await untilNoCells(agent);
  const after = await settled(agent);
  report({ metric: 'pss_idle_after_50_swaps', value: after / MIB, unit: 'MiB', baseline: idle / MIB });
  report({ metric: 'idle_growth', value: after / idle, unit: 'ratio', goal: { atMost: GOAL_IDLE_RATIO } });
}

/** Answers with their log probabilities, after a load and after a park: nothing is kept either time. */
async function tellAnswers(agent: LlmAgent, model: string, report: Report): Promise<void> {
  let differing = 0;
  for (const prompt of PROMPTS) {
    await agent.command('load', model);
    await agent.command('unload', model);
    const plain = await answer(agent, model, prompt);
    await agent.command('park', model);
    if ((await answer(agent, model, prompt)) !== plain) differing++;
  }
  report({ metric: 'parked_answers_that_differ', value: differing, unit: 'answers', goal: { atMost: 0 } });
}

async function answer(agent: LlmAgent, model: string, content: string): Promise<string> {
  const response = await fetch(`${agent.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      messages: [{ role: 'user', content }],
      temperature: 0,
      max_tokens: 16,
      logprobs: true,
      top_logprobs: 5,
    }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  const { choices } = (await response.json()) as { choices: readonly unknown[] };
  return JSON.stringify(choices);
}

/** What is written for a first park and for later ones, and what was made of the model's files. */
async function tellWritten(agent: LlmAgent, model: string, report: Report): Promise<void> {
  await agent.command('unload', model);
  await agent.command('load', model);
  for (const metric of ['written_first_park', 'written_later_park']) {
    const before = await writtenBytes(agent);
    await agent.command('park', model);
    await agent.stream(model, metric, 1);
    report({ metric, value: ((await writtenBytes(agent)) - before) / MIB, unit: 'MiB' });
  }
  const { preparedFolder } = agent;
  const prepared = preparedFolder === null ? 0 : folderBytes(preparedFolder);
  report({
    metric: 'prepared_on_disk',
    value: prepared / MIB,
    unit: 'MiB',
    baseline: folderBytes(agent.packageFolder(model)) / MIB,
  });
}

/** Bytes that the cells have had written to a disk, or will have (proc(5), `write_bytes`). */
async function writtenBytes(agent: LlmAgent): Promise<number> {
  return (await agent.cellPids()).reduce((sum, pid) => sum + ioBytes(pid, 'write_bytes'), 0);
}

/** A counter of `/proc/PID/io`. */
export function ioBytes(pid: number, name: 'read_bytes' | 'write_bytes'): number {
  return Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
}

function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

async function settled(agent: LlmAgent): Promise<number> {
  await sleep(SETTLE_MS);
  return await agent.pssBytes();
}

async function untilNoCells(agent: LlmAgent): Promise<void> {
  for (
    const endMs = performance.now() + CELLS_END_MS;
    (await agent.cellPids()).length > 0;
    await sleep(LOOK_MS)
  )
    if (performance.now() > endMs) throw new Error('empty cells did not end');
}
