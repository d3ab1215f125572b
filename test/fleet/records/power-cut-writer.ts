/**
 * A device that decides and delivers until it has seen enough: `node power-cut-writer.ts DIRECTORY MAX_ROWS`. Its
 * collector is in the same process, so that one trace tells what was written, synced, received and let go of, in one
 * order. It says:
 *
 *   batch BASE64                 a collector has received this (those that got lost are not said)
 *   releasing EPOCH HIGH [cut]   the outbox is told to let go; `cut`: of the beginning of a tombstone only
 *   released EPOCH HIGH          it has written that
 *   durable EPOCH LAST           what the outbox offers
 *
 * Time is counted in rounds, and a round waits for the disk and for the packing where they are behind. So a slow
 * machine makes the same device, only later.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Link, MessageListener } from '../../../agent/fleet/link.ts';
import { decodeBatch, encodeBatch } from '../../../agent/fleet/records/batch.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import type { Outbox } from '../../../agent/outbox.ts';
import { holes, nothing, type Progress, withRange } from '../../../agent/store/collector/spans.ts';
import { Store } from '../../../agent/store/store.ts';
import type { Failure } from '../../../agent/types.ts';
import { ManualClock } from '../../store/clock.ts';
import { committedBytes, resident, Story, stateOf } from '../../store/made.ts';
import { randomFrom } from './network.ts';

const [directory = '', most = ''] = process.argv.slice(2);
const maxRows = Number(most);
const say = (text: string): void => void writeSync(1, `${text}\n`);
const fail = ({ message }: Failure): never => {
  throw new Error(message);
};

const roundMs = 4;
/** Rounds that may wait for the disk. */
const mostUnsynced = 8;
/** It is through when so much was let go of, and the beginning of a tombstone so often. Far fewer rounds do. */
const enough = { released: 500, cut: 6 };
const mostRounds = 5_000;

const clock = new ManualClock();
const store = new Store({
  directory,
  version: '1.2.3',
  clock,
  committedBytes,
  maxRows: 100_000,
  maxBytes: 32_000_000,
  syncMs: 10,
  checkpointBytes: 65_536,
  // Few, so that retention has to take some while the collector is silent.
  outbox: { maxRows, maxBytes: 1_000_000, clockSynced: () => false },
  report: fail,
});
store.start();
const real = store.outbox();
if (real === null) throw new Error('there is no outbox');
const done = { released: 0, cut: 0 };
const outbox: Outbox = {
  epoch: () => real.epoch(),
  pending: () => real.pending(),
  read: (span, maxBytes) => real.read(span, maxBytes),
  onMore: (listener) => real.onMore(listener),
  renew: (above) => real.renew(above),
  acknowledge(epoch, high) {
    const both = real.read({ epoch, first: high, last: high + 1 }, 1_000_000);
    const isCut = both?.tombstones[0]?.from === high && both.tombstones[0].to > high;
    say(`releasing ${epoch} ${high}${isCut ? ' cut' : ''}`);
    real.acknowledge(epoch, high);
    say(`released ${epoch} ${high}`);
    done.released = high;
    if (isCut) done.cut += 1;
  },
};

// ---- the collector ----------------------------------------------------------------------------------------------

const listeners = new Set<MessageListener>();
const received = { retain: false, dup: false, qos: 1 as const, responseTopic: null, correlationData: null };
let progress: Progress = nothing;
let batches = 0;
let silent = false;
const acks: Buffer[] = [];

/** Every fourth batch is acknowledged by the broker and lost; with every tenth the collector falls silent. */
function collect(payload: Uint8Array): void {
  batches += 1;
  if (batches % 4 === 0) return;
  say(`batch ${Buffer.from(payload).toString('base64')}`);
  const { epoch, first, last } = decodeBatch(payload);
  progress = withRange(progress, [first, last]);
  acks.push(Buffer.from(JSON.stringify({ epoch, hw: progress.high, missing: holes(progress) })));
  if (batches % 10 === 1) silent = true;
}

/** One acknowledgement a round; after a silence only when retention has taken some of what they are about. */
function acknowledge(): void {
  if (silent && real !== null && real.head() - done.released > maxRows * 1.5) silent = false;
  const ack = silent ? undefined : acks.shift();
  if (ack !== undefined) for (const listener of listeners) void listener('ack', ack, received);
}

const link: Link = {
  isUp: true,
  async publish(_topic, payload) {
    collect(Buffer.from(payload));
  },
  onUp: () => () => undefined,
  onDown: () => () => undefined,
  onMessage(listener) {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
};

// ---- the device -------------------------------------------------------------------------------------------------

let packing: Promise<unknown> = Promise.resolve();
const drain = new Drain({
  outbox,
  link,
  clock,
  topics: { rec: 'rec', ack: 'ack', collector: 'ctl' },
  lingerMs: 2 * roundMs,
  window: {
    maxBatches: 4,
    firstPatienceMs: 6 * roundMs,
    lastPatienceMs: 12 * roundMs,
    random: randomFrom(20_261_124),
  },
  encode: (portion) => {
    const packed = encodeBatch(portion);
    packing = packed;
    return packed;
  },
  report: fail,
});
const disk = new EventTarget();
real.onMore(() => {
  const last = real.pending().at(-1);
  if (last !== undefined) say(`durable ${last.epoch} ${last.last}`);
  disk.dispatchEvent(new Event('synced'));
});
drain.start();
for (const listener of listeners) void listener('ctl', Buffer.from('{"online":true}'), received);

const story = new Story(stateOf({ embedder: resident, medical: resident }));

/** Appends what one question and one request for embeddings leave: four records. Returns the last row. */
function decide(round: number): number {
  const id = `r${round}`;
  story.embedding(id).wait(3).routed(id, 'medical').wait(1).released(id).granted(`${id}e`).released(`${id}e`);
  return store.append(story.entries.splice(0)).at(-1) ?? 0;
}

const rows: number[] = [];
while (done.released < enough.released || done.cut < enough.cut) {
  if (rows.length >= mostRounds) throw new Error(`${mostRounds} rounds left it at ${JSON.stringify(done)}`);
  rows.push(decide(rows.length));
  acknowledge();
  clock.advance(roundMs);
  await packing;
  await nextTurn();
  while ((rows.at(-mostUnsynced) ?? 0) > store.synced()) await once(disk, 'synced');
}
drain.stop();
await store.stop();
