/**
 * A device that decides and delivers until it is through: `node power-cut-writer.ts DIRECTORY ROUNDS`. Its collector is
 * in the same process, so that one trace tells what was written, synced, received and let go of, in one order. It says:
 *
 *   batch BASE64          a collector has received this (those that got lost are not said)
 *   released EPOCH HIGH   the outbox is told to let go
 *   durable EPOCH LAST    what the outbox offers
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../../agent/clock.ts';
import type { Link, MessageListener } from '../../../agent/fleet/link.ts';
import { decodeBatch } from '../../../agent/fleet/records/batch.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import type { Outbox } from '../../../agent/outbox.ts';
import { holes, nothing, type Progress, withRange } from '../../../agent/store/collector/spans.ts';
import { Store } from '../../../agent/store/store.ts';
import { committedBytes, resident, Story, stateOf } from '../../store/made.ts';

const [directory = '', rounds = '0'] = process.argv.slice(2);
const say = (text: string): void => void writeSync(1, `${text}\n`);

const store = new Store({
  directory,
  version: '1.2.3',
  clock: systemClock,
  committedBytes,
  maxRows: 100_000,
  maxBytes: 32_000_000,
  syncMs: 10,
  checkpointBytes: 65_536,
  // Few, so that retention has to take some while the collector is slow.
  outbox: { maxRows: 128, maxBytes: 1_000_000, clockSynced: () => false },
  report: ({ message }) => process.stderr.write(`${message}\n`),
});
store.start();
const real = store.outbox();
if (real === null) throw new Error('there is no outbox');
const outbox: Outbox = {
  epoch: () => real.epoch(),
  head: () => real.head(),
  pending: () => real.pending(),
  read: (span, maxBytes) => real.read(span, maxBytes),
  onMore: (listener) => real.onMore(listener),
  acknowledge(epoch, high) {
    say(`released ${epoch} ${high}`);
    real.acknowledge(epoch, high);
  },
};

const listeners = new Set<MessageListener>();
const received = { retain: false, dup: false, qos: 1 as const, responseTopic: null, correlationData: null };
let progress: Progress = nothing;
let batches = 0;

/** Every fourth batch is acknowledged by the broker and lost; every tenth is slow. */
async function collect(payload: Uint8Array): Promise<void> {
  batches += 1;
  if (batches % 4 === 0) return;
  say(`batch ${Buffer.from(payload).toString('base64')}`);
  const { epoch, first, last } = decodeBatch(payload);
  progress = withRange(progress, [first, last]);
  const ack = JSON.stringify({ epoch, hw: progress.high, missing: holes(progress) });
  await sleep(batches % 10 === 0 ? 120 : 3);
  for (const listener of listeners) void listener('ack', Buffer.from(ack), received);
}

const link: Link = {
  isUp: true,
  async publish(_topic, payload) {
    void collect(Buffer.from(payload));
  },
  onUp: () => () => undefined,
  onDown: () => () => undefined,
  onMessage(listener) {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
};
const drain = new Drain({
  outbox,
  link,
  clock: systemClock,
  topics: { rec: 'rec', ack: 'ack', collector: 'ctl' },
  lingerMs: 8,
  window: { maxBatches: 4, firstPatienceMs: 60, lastPatienceMs: 240, random: Math.random },
  report: ({ message }) => process.stderr.write(`${message}\n`),
});
real.onMore(() => {
  const last = real.pending().at(-1);
  if (last !== undefined) say(`durable ${last.epoch} ${last.last}`);
});
drain.start();
for (const listener of listeners) void listener('ctl', Buffer.from('{"online":true}'), received);

const story = new Story(stateOf({ embedder: resident, medical: resident }));
for (let n = 0; n < Number(rounds); n += 1) {
  const id = `${process.pid}-${n}`;
  story.embedding(id).wait(3).routed(id, 'medical').wait(2).released(id).granted(`${id}e`).released(`${id}e`);
  store.append(story.entries.splice(0));
  await sleep(n % 5 === 0 ? n % 17 : 0);
}
await sleep(100);
drain.stop();
await store.stop();
