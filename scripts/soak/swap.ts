/**
 * Experts take turns in a budget that does not hold them, for a long time, while bad things happen; every answer is
 * compared with what its expert said before it was ever parked.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../test/experts-made/random.ts';
import { ROOT } from '../bundle.mjs';
import { askAll, type ClientOptions, runClient } from './clients.ts';
import { Disturber } from './disturber.ts';
import { type Fleet, makeFleet } from './fleet.ts';
import { Gate } from './gate.ts';
import { takeGoldens } from './goldens.ts';
import { compare, type LedgerSample } from './ledger.ts';
import { MemoryGroup } from './memory-group.ts';
import type { SoakOptions } from './options.ts';
import { forgetFolder } from './page-cache.ts';
import { treeMemory } from './process-tree.ts';
import { scheduleOf } from './schedule.ts';
import { SoakedAgent } from './soaked-agent.ts';
import { type Floor, type Run, type Summary, summaryOf } from './summary.ts';
import { Tally } from './tally.ts';
import { watch } from './watch.ts';

const SHARED_MODEL = join(ROOT, '..', 'shared', 'models', 'smollm2-135m-instruct');
/** Between looks of the agent there must be one at rest: twice its time between two. */
const REST_MS = 600;
const PARK_MS = 10_000;
const LOOK_MS = 20;
const WATCH_MS = 500;

/** How often things happen, in swaps. */
const RHYTHM = {
  long: { disturbance: 120, quiet: 60, floor: 250 },
  short: { disturbance: 40, quiet: 80, floor: 140 },
} as const;
/** Runs of fewer swaps have the short rhythm. */
const SHORT_SWAPS = 1_000;

/** Rejects where it cannot be run at all; ends early, with what was seen until then, when `signal` is aborted. */
export async function soakSwaps(
  options: SoakOptions,
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<Summary> {
  const startMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'expertd-soak-'));
  let group: MemoryGroup | null = null;
  let agent: SoakedAgent | null = null;
  try {
    const fleet = makeFleet(folder, SHARED_MODEL, options.small);
    const limitBytes = options.limitBytes ?? fleet.limitBytes;
    const made = MemoryGroup.create(limitBytes);
    if (typeof made === 'string') tell(`no memory group, the budget alone limits it: ${made}`);
    else group = made;
    const budgetBytes = Math.floor(fleet.budgetBytes * (limitBytes / fleet.limitBytes));
    // What writing them left in the page cache is nobody's in the group: reading them must be charged to it.
    forgetFolder(folder);
    agent = await SoakedAgent.start(
      join(folder, 'agent'),
      fleet.members,
      { budgetBytes, parking: false },
      group,
    );
    forgetFolder(agent.stateDir, 'onnx_data');
    const run = await carryOut({ options, fleet, agent, group, limitBytes, budgetBytes, signal, tell });
    const ended = agent.lives
      ? await agent.stop().then(
          () => null,
          (error: Error) => error.message,
        )
      : 'it had ended';
    agent = null;
    return summaryOf({
      ...run,
      agentEnd: ended,
      oomKills: group?.counters().oomKills ?? null,
      totalMs: performance.now() - startMs,
    });
  } finally {
    await agent?.stop().catch(() => {});
    await group?.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Stage {
  readonly options: SoakOptions;
  readonly fleet: Fleet;
  readonly agent: SoakedAgent;
  readonly group: MemoryGroup | null;
  readonly limitBytes: number;
  readonly budgetBytes: number;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

async function carryOut(stage: Stage): Promise<Run> {
  const { options, fleet, agent, group, limitBytes, budgetBytes, signal, tell } = stage;
  const goldens = await takeGoldens(agent, fleet.members);
  tell(
    `${fleet.members.length} experts, golden answers taken; the answers to ${goldens.unsteady} prompts depend on what is kept`,
  );
  await agent.tune({ parking: true });
  const tally = new Tally();
  const random = new Random(options.seed);
  const limit = group === null ? null : limitBytes;
  const disturber = new Disturber({ agent, group, random, budgetBytes, limitBytes: limit });
  const endMs = performance.now() + options.timeMs;
  let isDone = false;
  const isOver = (): boolean =>
    isDone || signal.aborted || tally.swaps >= options.swaps || performance.now() > endMs || !agent.lives;
  const clients: ClientOptions = { agent, goldens, disturber, gate: new Gate(), tally, isOver };
  const watching = watch({
    pid: agent.pid,
    group,
    swaps: () => tally.swaps,
    isOver: () => isDone,
    everyMs: WATCH_MS,
  });
  const startMs = performance.now();
  try {
    const seeds = Array.from({ length: options.clients }, (_, at) => options.seed * 1_000 + at);
    const [conducted] = await Promise.all([
      conduct(stage, clients, random),
      ...seeds.map((seed) => runClient(clients, seed)),
    ]);
    const stories = agent.lives ? await storiesOf(agent, tally) : [];
    isDone = true;
    return {
      notParkable: agent.lives ? await notParkable(agent) : {},
      ...{ options, fleet, limitBytes, budgetBytes, goldens, tally, disturber, stories, ...conducted },
      limitKind: group === null ? 'budget alone' : `cgroup v${group.version}`,
      seen: await watching,
      counts: agent.lives ? ((await agent.state()).counts ?? null) : null,
      workMs: performance.now() - startMs,
    };
  } finally {
    isDone = true;
    disturber.end();
    await watching;
  }
}

/** Lets bad things happen, and now and then holds the clients back to look at the tree at rest. */
async function conduct(
  { options, agent, tell }: Stage,
  clients: ClientOptions,
  random: Random,
): Promise<{ ledger: LedgerSample[]; floors: Floor[] }> {
  const { tally, disturber, gate, isOver } = clients;
  const rhythm = RHYTHM[options.swaps < SHORT_SWAPS ? 'short' : 'long'];
  const due = scheduleOf(options.swaps, rhythm.disturbance, random);
  const ledger: LedgerSample[] = [];
  const floors: Floor[] = [];
  let [nextQuiet, nextFloor]: [number, number] = [rhythm.quiet, rhythm.floor];
  const compared = async (): Promise<void> => {
    const sample = await compare(agent, tally.swaps);
    if (sample !== null) ledger.push(sample);
  };
  while (!isOver()) {
    const [next] = due;
    if (next !== undefined && tally.swaps >= next.atSwap) {
      due.shift();
      await disturber.run(next);
    } else if (tally.swaps >= nextFloor) {
      nextFloor = tally.swaps + rhythm.floor;
      await gate.alone(async () => {
        floors.push(await parkAll(agent, clients));
        await compared();
      });
      tell(`${tally.swaps} swaps, ${tally.failures} failures, ${tally.wrongAnswers} wrong answers`);
    } else if (tally.swaps >= nextQuiet) {
      nextQuiet = tally.swaps + rhythm.quiet;
      await gate.alone(async () => {
        await sleep(REST_MS);
        await compared();
      });
    } else await sleep(LOOK_MS);
  }
  return { ledger, floors };
}

/** All experts are asked, and parked where that can be: what stays in memory then depends on nothing but the past. */
async function parkAll(agent: SoakedAgent, clients: ClientOptions): Promise<Floor> {
  await askAll(clients);
  for (const { id, state } of await agent.experts())
    if (state === 'resident') await agent.command('park', id);
  for (const endMs = performance.now() + PARK_MS; performance.now() < endMs; await sleep(LOOK_MS)) {
    if ((await agent.experts()).every(({ state }) => state !== 'parking' && state !== 'unloading')) break;
  }
  await sleep(REST_MS);
  const states = (await agent.experts()).map(({ state }) => state);
  const having = (wanted: string): number => states.filter((state) => state === wanted).length;
  return {
    swaps: clients.tally.swaps,
    pssBytes: treeMemory(agent.pid).pssBytes,
    resident: having('resident'),
    parked: having('parked'),
    absent: having('absent'),
  };
}

/** Why experts that could be parked were not, in the agent's words. */
async function notParkable(agent: SoakedAgent): Promise<Record<string, string>> {
  const reasons = (await agent.experts()).map(({ id, memory }) => [id, memory?.notParkable ?? null] as const);
  return Object.fromEntries(reasons.filter((one): one is [string, string] => one[1] !== null));
}

/** What the agent tells of the decisions behind what went wrong. */
async function storiesOf(agent: SoakedAgent, { wrong, failed }: Tally): Promise<unknown[]> {
  const ids = [...wrong, ...failed].flatMap(({ decision }) => (decision === null ? [] : [decision]));
  return await Promise.all(
    ids.slice(0, 10).map((id) => agent.story(id).catch((error: Error) => error.message)),
  );
}
