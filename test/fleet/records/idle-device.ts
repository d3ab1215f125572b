/**
 * `node idle-device.ts DIRECTORY`: a device of a fleet in which nothing happens but looks at the device, for an hour of
 * a clock that is told to go; then one that decides twenty times a second, for a minute. It says where each begins and
 * ends, so that whoever traces it can count what the disk was asked for in between.
 */
import { writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { decodeBatch } from '../../../agent/fleet/records/batch.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import { Store } from '../../../agent/store/store.ts';
import { realDisk } from '../../../agent/store/sync.ts';
import { ManualClock } from '../../store/clock.ts';
import { committedBytes, resident, Story, stateOf } from '../../store/made.ts';
import { Network } from './network.ts';

const [directory = ''] = process.argv.slice(2);
const say = (text: string): void => void writeSync(1, `${text}\n`);
/** As the agent is configured where nobody says otherwise. */
const [sampleMs, syncMs] = [2_000, 250];
const remindMs = 300_000;

const clock = new ManualClock();
const network = new Network(clock, () => 0.5);
const device = network.end(['ack', 'ctl']);
const center = network.end(['rec']);
center.onMessage(async (_topic, payload) => {
  const { epoch, last } = decodeBatch(payload);
  await center.publish('ack', JSON.stringify({ epoch, hw: last, missing: [] }), { qos: 1, retain: true });
});

let syncing: Promise<void> = Promise.resolve();
const store = new Store({
  directory,
  version: '1.2.3',
  clock,
  committedBytes,
  maxRows: 100_000,
  maxBytes: 64_000_000,
  syncMs,
  outbox: { maxRows: 10_000, maxBytes: 4_000_000, clockSynced: () => true },
  report: ({ message }) => process.stderr.write(`${message}\n`),
  disk: {
    fdatasync(descriptor) {
      syncing = realDisk.fdatasync(descriptor);
      return syncing;
    },
  },
});
store.start();
const outbox = store.outbox();
if (outbox === null) throw new Error('there is no outbox');
const drain = new Drain({
  outbox,
  link: device,
  clock,
  topics: { rec: 'rec', ack: 'ack', collector: 'ctl' },
  report: ({ message }) => process.stderr.write(`${message}\n`),
});
device.up();
center.up();
drain.start();

/** The disk takes no time of this clock. */
async function advance(ms: number): Promise<void> {
  clock.advance(ms);
  for (let last: Promise<void> | null = null; last !== syncing; ) {
    last = syncing;
    await last;
    for (let n = 0; n < 4; n += 1) await turn();
  }
}

const story = new Story(stateOf({ embedder: resident }));

async function pass(phase: string, lastsMs: number, stepMs: number, happen: () => void): Promise<void> {
  const { acknowledged } = drain.health();
  say(`${phase} begins`);
  for (let passedMs = 0; passedMs < lastsMs; passedMs += stepMs) {
    if (passedMs % remindMs === 0)
      network.carry({ topic: 'ctl', payload: Buffer.from('{"online":true,"sinceMs":1}') }, true);
    happen();
    store.append(story.entries.splice(0));
    store.maintain();
    await advance(stepMs);
  }
  say(`${phase} ends ${drain.health().acknowledged - acknowledged}`);
}

let requests = 0;
const decide = (): void => {
  requests += 1;
  story.granted(`r${requests}`).released(`r${requests}`);
};
// What is written at the start of a file is no part of it.
await pass('start', 60_000, 1_000, decide);
await pass('idle', 3_600_000, sampleMs, () => void story.sample());
await pass('busy', 60_000, 50, decide);
drain.stop();
await store.stop();
