/** Records as a busy device makes them, and what keeping them for a fleet costs it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../agent/clock.ts';
import { encodeBatch } from '../../agent/fleet/records/batch.ts';
import type { Outbox } from '../../agent/outbox.ts';
import type { LogEntry } from '../../agent/ports.ts';
import { Store } from '../../agent/store/store.ts';
import { randomFrom } from '../../test/fleet/records/network.ts';
import { committedBytes, resident, Story, stateOf } from '../../test/store/made.ts';

export interface Packed {
  readonly first: number;
  readonly last: number;
  readonly payload: Uint8Array;
}

export interface Made {
  readonly epoch: number;
  readonly batches: readonly Packed[];
  readonly textBytes: number;
  readonly packMs: number;
}

const perStory = 100;
const experts = ['medical', 'legal', 'technical', 'weather', 'home'];
const bounds = { maxRows: 10_000_000, maxBytes: 1e9, clockSynced: () => true };

export function openStore(directory: string, withOutbox: boolean): Store {
  const store = new Store({
    directory,
    version: 'bench',
    clock: systemClock,
    committedBytes,
    maxRows: 10_000_000,
    maxBytes: 2e9,
    syncMs: 250,
    ...(withOutbox ? { outbox: bounds } : {}),
    report: ({ message }) => process.stderr.write(`${message}\n`),
  });
  store.start();
  return store;
}

export function outboxOf(store: Store): Outbox {
  const outbox = store.outbox();
  if (outbox === null) throw new Error('the store has no outbox');
  return outbox;
}

/** Requests that are routed by meaning, each with a record of its choice and one of its end. */
export function decide(store: Store, requests: number): number {
  const random = randomFrom(20_261_124);
  let appendMs = 0;
  for (let done = 0; done < requests; done += perStory) {
    const story = new Story(stateOf({ embedder: resident, medical: resident }), Date.now());
    for (let n = 0; n < perStory; n += 1) {
      const id = `req-${(done + n).toString(36).padStart(8, '0')}`;
      story.embedding(id).wait(2).routed(id, 'medical').wait(3).released(id);
    }
    const entries = story.entries.map((entry) => varied(entry, random));
    const startMs = performance.now();
    for (const entry of entries) store.append([entry]);
    appendMs += performance.now() - startMs;
  }
  return appendMs;
}

/** Numbers as measured ones are, which pack worse than those of a made-up story: confidences, scores, times. */
function varied(entry: LogEntry, random: () => number): LogEntry {
  const { event, decision } = entry;
  if (event.type === 'released') {
    const [queue, tokenize, run] = [random() / 4, random() / 8, 2 + 4 * random()];
    const stages = { queue, tokenize, run, total: queue + tokenize + run + random() / 2 };
    return { ...entry, event: { ...event, outcome: { ...event.outcome, stages } } };
  }
  if (decision.choice === null) return entry;
  const expert = experts[Math.floor(experts.length * random())] ?? 'medical';
  const confidence = 0.4 + 0.6 * random();
  const candidates = [expert, ...experts].slice(0, 3).map((id, rank) => {
    const score = confidence / (rank + 1 + random());
    return { expert: id, score, confidence: score, why: 'nearest example' };
  });
  const choice = { ...decision.choice, expert, confidence, candidates };
  const reasons = [`${expert}: ${(confidence * 100).toFixed(0)} % by its nearest example`];
  return { ...entry, decision: { ...decision, choice, reasons } };
}

/** Milliseconds to append one decision. */
export async function appendCost(requests: number, withOutbox: boolean): Promise<number> {
  return inFolder(async (directory) => {
    const store = openStore(directory, withOutbox);
    const ms = decide(store, requests) / (requests * 3);
    await store.stop();
    return ms;
  });
}

/** So many records in batches of `perBatch`, as they would go over the wire. */
export async function makeBatches(records: number, perBatch: number): Promise<Made> {
  return inFolder(async (directory) => {
    const store = openStore(directory, true);
    decide(store, Math.ceil(records / 2 / perStory) * perStory);
    await store.flush();
    const outbox = outboxOf(store);
    const epoch = outbox.epoch() ?? 0;
    const batches: Packed[] = [];
    let [textBytes, packMs] = [0, 0];
    for (let first = 1; first <= records; first += perBatch) {
      const startMs = performance.now();
      const portion = outbox.read({ epoch, first, last: Math.min(records, first + perBatch - 1) }, 1e9);
      if (portion === null) throw new Error('the outbox could not be read');
      const payload = await encodeBatch(portion);
      packMs += performance.now() - startMs;
      textBytes += portion.records.reduce((sum, text) => sum + text.length, 0);
      batches.push({ first, last: portion.last, payload });
    }
    await store.stop();
    return { epoch, batches, textBytes, packMs };
  });
}

export async function inFolder<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'expertd-bench-fleet-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
