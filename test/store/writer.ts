/**
 * A process that appends until it is killed, for the tests that kill it: `node writer.ts DIRECTORY ROWS [OPTIONS]`.
 * After each append it says on stdout, in one write, the highest number that was returned and the highest synced.
 */
import { writeSync } from 'node:fs';
import type { Clock } from '../../agent/ports.ts';
import { Store } from '../../agent/store/store.ts';
import { committedBytes, resident, Story, stateOf } from './made.ts';

const clock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  at: (atMs, callback) => {
    const timer = setTimeout(callback, Math.max(0, atMs - performance.timeOrigin - performance.now()));
    return () => clearTimeout(timer);
  },
};

const [directory = '', rows = '0', options = '{}'] = process.argv.slice(2);
const batch = 3;
const store = new Store({
  directory,
  version: '1.2.3',
  clock,
  committedBytes,
  maxRows: 100_000,
  maxBytes: 32_000_000,
  syncMs: 10,
  report: ({ message }) => process.stderr.write(`${message}\n`),
  ...JSON.parse(options),
});
store.start();
const story = new Story(stateOf({ embedder: resident, medical: resident }));
for (let written = 0, n = 0; written < Number(rows); n += 1) {
  const id = `${process.pid}-${n}`;
  story.embedding(id).wait(3).routed(id, 'medical').wait(2).released(id).sample();
  const entries = story.entries.splice(0);
  for (let at = 0; at < entries.length; at += batch) {
    const last = store.append(entries.slice(at, at + batch)).at(-1) ?? 0;
    writeSync(1, `${last} ${store.synced()}\n`);
  }
  written += entries.length;
  // Now without a pause, now with one that is long enough for the disk to catch up.
  await new Promise((resolve) => setTimeout(resolve, n % 5 === 0 ? n % 17 : 0));
}
await store.stop();
