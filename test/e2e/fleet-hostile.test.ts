/**
 * A device in a fleet whose broker lets anybody say anything: each hostile message to each topic, retained and not. Nothing
 * is followed, all is counted, each reason is told once, and the device works on.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { connectAsync, type MqttClient } from 'mqtt';
import type { Diagnostics } from '../../agent/fleet/device/diagnostics.ts';
import { homeTopics } from '../../agent/fleet/device/home.ts';
import { type Reported, type Result, readResult } from '../../agent/fleet/documents/shapes.ts';
import { controlOf, topicsOf } from '../../agent/fleet/topics.ts';
import type { Envelope } from '../../agent/fleet/trust/dsse.ts';
import { saveTrust } from '../../agent/fleet/trust/place.ts';
import type { FleetView } from '../../agent/service.ts';
import { ensureBundle, ROOT } from '../../scripts/bundle.mjs';
import { launchArguments } from '../../scripts/launch.mjs';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { PASSWORD, type TestBroker, USER } from '../fleet/brokers/broker.ts';
import { mosquitto } from '../fleet/brokers/mosquitto.ts';
import { seeded } from '../fleet/seeded.ts';
import { bytes, ENROLLED, HERE } from '../fleet/trust/made.ts';
import {
  COUNTER,
  DOORS,
  type Door,
  GEN,
  type Hostile,
  hostileMessages,
  huge,
  mutated,
  soundCommand,
  soundDesired,
  worthless,
} from './hostile-messages.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const skip = mosquitto.missing ?? false;
const run = promisify(execFile);
const SEED = 8;
const MUTATIONS_A_DOOR = 150;
const MEGABYTE = 1_000_000;
/** All above what a device takes, in MB. */
const SIZES = [2, 3, 100];

const { device } = HERE;
const own = topicsOf('expertd', device);
const other = topicsOf('expertd', 'other-1');
const control = controlOf('expertd');
const { press, state: homeState } = homeTopics({ root: 'expertd', device });
const TOPICS: Readonly<Record<Door, string>> = {
  desired: own.desired,
  cmd: own.cmd,
  ack: own.ack,
  collector: control.status,
  press,
};
/** What others hear, or nobody. */
const DEAF = [
  ...[own.status, own.reported, own.res, own.rec, own.metrics, homeState, control.hello],
  ...[other.desired, other.cmd, other.rec, 'expertd/v2/kitchen-1/cmd', `${own.cmd}/now`, 'elsewhere'],
];

const folder = temporaryFolder();
const stateDir = join(folder, 'state');
const database = join(folder, 'fleet.db');
let broker: TestBroker;
let agent: RunningAgent;
let collector: ChildProcess;
/** Anybody at the broker. */
let rogue: MqttClient;
const results: Result[] = [];
/** The word of the collector, as it keeps saying it. */
let greeting = '';
let clock: Reported['clock'] = 'unsynced';

const FOLLOWED = soundDesired({ budget: '350MB' });
const PIN = soundCommand({ id: 'one', type: 'pin', ctr: 1 });
const UNPIN = soundCommand({ id: 'two', type: 'unpin', ctr: COUNTER });
/** What must be counted. */
const expected = new Map<string, number>();

before(async () => {
  if (skip) return;
  mkdirSync(stateDir, { recursive: true });
  saveTrust(stateDir, ENROLLED);
  writeTinyLm(join(folder, 'experts', 'crow'), { id: 'crow', payloadBytes: 2 * MEGABYTE });
  broker = await mosquitto.open({ folder: join(folder, 'broker') });
  rogue = await connectAsync({
    host: '127.0.0.1',
    port: broker.port,
    username: USER,
    password: PASSWORD,
    protocolVersion: 4,
  });
  rogue.on('message', hear);
  await rogue.subscribeAsync([own.res, own.reported, control.status], { qos: 1 });
  const argv = ['fleet', 'collect', '--url', broker.url, '--db', database];
  collector = spawn(process.execPath, launchArguments(ROOT, await ensureBundle(), argv), { stdio: 'ignore' });
  agent = await RunningAgent.start({
    stateDir,
    config: {
      expertsDir: join(folder, 'experts'),
      embedder: null,
      languageDetector: null,
      memory: { budget: '400MB' },
      // A broker of MQTT 5 is told the largest packet, and keeps larger ones to itself.
      fleet: {
        url: broker.url,
        device,
        protocol: '3.1.1',
        homeAssistant: { prefix: 'homeassistant' },
      },
    },
  });
});

after(async () => {
  await rogue?.endAsync(true);
  collector?.kill('SIGKILL');
  await agent?.stop();
  await broker?.stop('killed');
  rmSync(folder, { recursive: true, force: true });
});

function hear(topic: string, payload: Buffer): void {
  if (topic === own.res) results.push(...tried(() => readResult(payload)));
  else if (topic === control.status) greeting ||= payload.toString();
  else for (const one of tried(() => JSON.parse(payload.toString()) as Reported)) clock = one.clock ?? clock;
}

/** It is heard where anything may be said. */
function tried<T>(read: () => T): readonly T[] {
  try {
    return [read()];
  } catch {
    return [];
  }
}

async function say(topic: string, payload: Uint8Array | string, retain = false): Promise<void> {
  await rogue.publishAsync(topic, Buffer.from(payload), { qos: 1, retain });
}

const fleet = async (): Promise<FleetView> => {
  const { fleet: view } = await agent.state();
  return view ?? assert.fail('it is in no fleet');
};

async function obeys(order: Envelope, id: string): Promise<string> {
  await say(own.cmd, bytes(order));
  const said = await agent.until(
    async () =>
      results.filter((one) => one.id === id && one.state !== 'ACCEPTED' && one.state !== 'IN_PROGRESS'),
    (all) => all.length > 0 && all.length === all[0]?.parts,
  );
  assert.deepEqual([...new Set(said.map(({ state }) => state))], ['SUCCEEDED'], JSON.stringify(said));
  return said.map(({ detail }) => detail ?? '').join('');
}

async function follows(gen: number): Promise<void> {
  await agent.until(fleet, ({ genApplied, phase }) => genApplied === gen && phase === 'Applied');
}

/** Says it to a door, and counts what the device must count. */
async function knock(door: Door, { payload, reasons }: Hostile, retain: boolean): Promise<void> {
  const reason = reasons[door];
  if (reason !== null) expected.set(reason, (expected.get(reason) ?? 0) + 1);
  await say(TOPICS[door], payload, retain);
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, count) => all + count, 0);

/** Resolves when the device has counted so many. */
async function counted(total: number): Promise<Readonly<Record<string, number>>> {
  return (await agent.until(fleet, ({ refused }) => sum(refused) >= total)).refused;
}

/** What no message may change. */
async function standing() {
  const { budgetBytes, admission, policies, fleet: view } = await agent.state();
  const experts = (await agent.experts()).map(({ id, version, state, pinned }) => ({
    id,
    version,
    state,
    pinned,
  }));
  const { genSeen, genApplied } = view ?? assert.fail('it is in no fleet');
  return { budgetBytes, admission, policies, experts, genSeen, genApplied };
}

const answer = async (): Promise<string> => agent.text(await agent.ask('is all well', 'crow'));

/** Resident memory of the agent, in bytes (proc(5)). */
function residentBytes(): number {
  const [, kilobytes = '0'] =
    /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1_024;
}

test('what is sound is followed, before anything else comes', { skip }, async () => {
  await agent.until(fleet, ({ isUp, delivery }) => isUp && delivery !== 'paused');
  await say(own.desired, bytes(FOLLOWED), true);
  await follows(GEN);
  await obeys(PIN, 'one');
  await obeys(UNPIN, 'two');
  assert.match(await answer(), /^crow: is all well/);
  assert.deepEqual((await fleet()).refused, {});
});

test('every hostile message, to every topic: nothing changes, and each is counted under its reason', {
  skip,
}, async (context) => {
  await agent.until(
    async () => greeting,
    (said) => said !== '',
  );
  if (clock === 'unsynced') context.diagnostic('nobody has set the clock here: what is expired is not sent');
  const unlike = await standing();
  const messages = hostileMessages(FOLLOWED, PIN, clock === 'synced');
  for (const retain of [false, true]) {
    for (const door of DOORS) await Promise.all(messages.map((one) => knock(door, one, retain)));
    for (const topic of DEAF) await Promise.all(messages.map(({ payload }) => say(topic, payload, retain)));
  }
  // What the broker keeps is taken away: nobody has said anything by that.
  for (const topic of Object.values(TOPICS)) await say(topic, '', true);
  await counted(sum(Object.fromEntries(expected)));
  assert.deepEqual(sorted((await fleet()).refused), sorted(Object.fromEntries(expected)));
  assert.deepEqual(await standing(), unlike);
  assert.match(await answer(), /^crow: is all well/);
});

const sorted = (counts: Readonly<Record<string, number>>): unknown => Object.entries(counts).toSorted();

test('real envelopes, changed at random: none is followed, all are counted', { skip }, async () => {
  const random = seeded(SEED);
  const unlike = await standing();
  const bases = worthless();
  let total = sum((await fleet()).refused);
  for (const door of DOORS) {
    const said = Array.from({ length: MUTATIONS_A_DOOR }, (_, index) =>
      mutated(bases[index % bases.length] ?? Buffer.of(), random),
    );
    total += said.length;
    await Promise.all(said.map((payload) => say(TOPICS[door], payload, random() < 0.5)));
    assert.equal(sum(await counted(total)), total, `${door}, seed ${SEED}`);
  }
  assert.deepEqual(await standing(), unlike);
});

test('100 MB to each topic: passed over, and no memory is kept for it', { skip }, async (context) => {
  const earlier = sum((await fleet()).refused);
  const restBytes = residentBytes();
  for (const megabytes of SIZES)
    for (const door of DOORS) await knock(door, huge(megabytes), door === 'desired');
  const refused = await counted(earlier + SIZES.length * DOORS.length);
  assert.equal(refused['too_large'], SIZES.length * DOORS.length);
  const moreBytes = await agent.until(
    async () => residentBytes() - restBytes,
    (more) => more < 100 * MEGABYTE,
  );
  context.diagnostic(`${Math.round(moreBytes / MEGABYTE)} MB more than before`);
});

test('the log has a line for each reason, and none for each message', { skip }, () => {
  const lines = agent.output.split('\n').flatMap((line) => tried(() => JSON.parse(line) as LogLine));
  const told = lines
    .filter(({ level }) => level === 'warning')
    .map(({ msg, reason, code, topic, failure }) =>
      [msg.replace(/\d+ bytes/, 'N bytes'), reason ?? code ?? failure?.code, topic]
        .filter((word) => word !== undefined)
        .join(' '),
    );
  assert.deepEqual(
    told.filter((line, index) => told.indexOf(line) !== index),
    [],
  );
  for (const reason of expected.keys())
    assert.ok(
      told.some((line) => line.includes(reason)),
      `${reason} is not in the log`,
    );
  assert.equal(agent.output.match(/connected to the fleet/g)?.length, 1, 'no message has ended the link');
});

interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly reason?: string;
  readonly code?: string;
  readonly topic?: string;
  readonly failure?: { readonly code: string };
}

test('the operator sees what was refused: by a command, at the device, and in Prometheus', {
  skip,
}, async () => {
  const { refused } = await fleet();
  const ask = soundCommand({ id: 'three', type: 'diagnostics', args: { parts: ['state'] }, ctr: 100 });
  const told = JSON.parse(await obeys(ask, 'three')) as Diagnostics;
  assert.deepEqual(told.state?.state.fleet?.refused, refused);
  const metrics = await (await fetch(`${agent.url}/metrics`)).text();
  for (const [reason, count] of Object.entries(refused))
    assert.ok(
      metrics.includes(`expertd_fleet_refused_messages_total{reason="${reason}"} ${count}\n`),
      reason,
    );
  assert.match(metrics, /^expertd_fleet_up 1$/m);
  assert.match(await cli('status', '--state-dir', stateDir), /^refused +.*too_large 15/m);
});

async function cli(...words: readonly string[]): Promise<string> {
  const argv = launchArguments(ROOT, await ensureBundle(), words);
  return (await run(process.execPath, argv, { env: { PATH: process.env['PATH'] ?? '' } })).stdout;
}

/** Resolves when a record that says so is with the collector. */
async function arrived(words: string): Promise<void> {
  const records = () => cli('fleet', 'records', '--db', database, '--json', '--limit', '10000');
  await agent.until(records, (all) => all.includes(words));
}

test('and then: a good command, a good document, and records that arrive', { skip }, async () => {
  await obeys(soundCommand({ id: 'four', type: 'pin', ctr: 101 }), 'four');
  assert.equal((await agent.experts()).find(({ id }) => id === 'crow')?.pinned, true);
  await say(own.desired, bytes(soundDesired({ gen: GEN + 1, budget: '360MB' })), true);
  await follows(GEN + 1);
  assert.equal((await agent.state()).budgetBytes, 360 * MEGABYTE);
  assert.match(await answer(), /^crow: is all well/);
  await arrived('gen 6: SUCCEEDED');
  assert.equal(collector.exitCode, null, 'the collector heard all of it, and lives');
});

test('a device that starts anew hears all that was kept, and follows none of it', {
  skip,
}, async (context) => {
  const { experts: _, ...unlike } = await standing();
  await knock('desired', huge(100), true);
  await say(own.cmd, bytes(PIN), true);
  // Its collector would say it again within minutes.
  await say(control.status, greeting, true);
  await obeys(soundCommand({ id: 'five', type: 'restart', args: {}, ctr: 102 }), 'five');
  await agent.until(
    async () => agent.output.match(/connected to the fleet/g)?.length,
    (times) => times === 2,
  );
  await agent.untilUp();
  await counted(3);
  const { refused } = await fleet();
  assert.deepEqual(sorted(refused), [
    ['retained', 2],
    ['too_large', 1],
  ]);
  const { experts, ...standingNow } = await standing();
  assert.deepEqual(standingNow, unlike);
  assert.equal(experts.find(({ id }) => id === 'crow')?.pinned, false, 'an order that is kept is none');
  assert.match(await answer(), /^crow: is all well/);
  await arrived('restart five: SUCCEEDED');
  context.diagnostic(`${Math.round(residentBytes() / MEGABYTE)} MB resident`);
});
