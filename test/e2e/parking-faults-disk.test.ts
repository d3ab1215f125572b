/** Disks that are full: nothing is parked or prepared on them, which is said; the experts are unloaded, and answer. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openParking } from '../../agent/runtime/parking/parking.ts';
import { Fleet, type FleetOptions } from './parking-fleet.ts';
import { SmallDisk, whyNoSmallDisk } from './small-disk.ts';

const MB = 1_000_000;
/** Two experts, and a budget for the agent, a cell and one of them. */
const PAIR: FleetOptions = {
  ids: ['crow', 'dove'],
  payloadBytes: 30 * MB,
  config: { memory: { budget: '200MB' } },
};
/** With ballast, less is free than what expertd leaves to others. */
const DISK_BYTES = 600 * MB;
const BALLAST_BYTES = 450 * MB;

const noParking = (await openParking()) === null ? 'weights cannot leave memory on this system' : false;
const noDisk = noParking || whyNoSmallDisk();
const hasLimits = spawnSync('prlimit', ['--version']).status === 0;
const noLimits = noParking || (hasLimits ? false : 'there is no prlimit (util-linux) here');

async function open(t: TestContext, options: FleetOptions): Promise<Fleet> {
  const fleet = await Fleet.open(options);
  t.after(() => fleet.close());
  return fleet;
}

/** Both take turns where one has room; tells what was decided meanwhile. */
async function takeTurns(fleet: Fleet, rounds: number): Promise<string> {
  const before = await fleet.reasons();
  for (let round = 0; round < rounds; round += 1) for (const id of PAIR.ids) await fleet.say(id);
  return (await fleet.reasons()).slice(before.length);
}

async function limitFiles(fleet: Fleet, id: string, bytes: number | 'unlimited'): Promise<void> {
  execFileSync('prlimit', ['--pid', String(await fleet.pidOf(id)), `--fsize=${bytes}:unlimited`]);
}

test('no room for the copy: unloaded instead, which is said; with room, its next session is parked', {
  skip: noDisk,
}, async (t) => {
  const disk = new SmallDisk(DISK_BYTES, BALLAST_BYTES);
  const command: FleetOptions['command'] = (argv, { stateDir }) =>
    disk.command(argv, join(stateDir, 'parked'));
  const fleet = await open(t, { ...PAIR, command });
  const told = await takeTurns(fleet, 2);
  for (const id of PAIR.ids) {
    assert.match(
      told,
      new RegExp(`${id} cannot be parked: .*bytes are to be written, of \\d+ that are free`),
    );
    assert.match(told, new RegExp(`unload ${id} from `));
  }
  assert.doesNotMatch(told, /is parked in/);
  disk.makeRoom(fleet.agent.pid);
  // Whether both fit now is chance; the next session of each may be parked in any case.
  for (const id of PAIR.ids) {
    await fleet.command(id, 'unload');
    await fleet.untilState(id, 'absent');
    await fleet.say(id);
    await fleet.park(id);
    await fleet.say(id);
  }
});

test('the disk is full in the middle of the copy: all is as before, and nothing is left of it', {
  skip: noLimits,
}, async (t) => {
  const fleet = await open(t, { ids: ['crow'] });
  await fleet.say('crow');
  await limitFiles(fleet, 'crow', 3 * MB);
  await fleet.command('crow', 'park');
  await fleet.untilState('crow', 'resident');
  const why =
    /crow cannot be parked: Its weights stay in memory: its weights cannot be written to the disk: EFBIG/;
  assert.match(await fleet.reasons(), why);
  await fleet.say('crow');
  assert.deepEqual(readdirSync(join(fleet.stateDir, 'parked')), []);
  await limitFiles(fleet, 'crow', 'unlimited');
  await fleet.command('crow', 'clear');
  await fleet.park('crow');
  await fleet.say('crow');
});

test('no room for the prepared copy: loaded as it is, which is said; the next start with room makes it', {
  skip: noDisk,
}, async (t) => {
  const disk = new SmallDisk(DISK_BYTES - BALLAST_BYTES, 0);
  let isFirst = true;
  const command: FleetOptions['command'] = (argv, { stateDir }) =>
    isFirst ? disk.command(argv, join(stateDir, 'prepared')) : argv;
  const fleet = await open(t, { ids: ['crow'], payloadBytes: 52 * MB, command });
  await fleet.park('crow');
  await fleet.say('crow');
  const { prepared } = await fleet.expert('crow');
  assert.equal(prepared?.state, 'plain');
  assert.match(prepared.reasons.join('\n'), /bytes free; \d+ are to be written/);
  assert.match(fleet.agent.output, /an expert loads without all that could be prepared/);
  isFirst = false;
  await fleet.agent.stop();
  await fleet.start();
  await fleet.park('crow');
  await fleet.say('crow');
  assert.equal((await fleet.expert('crow')).prepared?.state, 'prepared');
});
