/** Waiting for what only poll(2) can wait for, and an end of the process that is never held up by it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readdirSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Foreign, openForeign } from '../../agent/linux/foreign.ts';
import { drainCounter, POLL, Poller } from '../../agent/linux/poller.ts';
import { UrgentPair } from './urgent-pair.ts';

const foreign = await openForeign();
const skip = (foreign === null || process.platform !== 'linux') && 'needs koffi and Linux';
const limit = { skip, timeout: 30_000 };

function openPoller(through = foreign): Poller {
  const poller = through === null ? null : Poller.open(through);
  assert.ok(poller !== null);
  return poller;
}

function counterOf(poller: Poller): number {
  const counter = poller.openCounter();
  assert.ok(counter !== null);
  return counter;
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;
const add = (counter: number): number => writeSync(counter, new BigUint64Array([1n]));

test('a counter that is added to ends the wait, and is quiet once it was read', limit, async () => {
  const poller = openPoller();
  const counters = [counterOf(poller), counterOf(poller)] as const;
  const watched = counters.map((file) => ({ file, events: POLL.in }));
  const first = poller.wait(watched);
  add(counters[1]);
  assert.deepEqual(await first, [0, POLL.in]);
  drainCounter(counters[1]);
  const second = poller.wait(watched);
  add(counters[0]);
  assert.deepEqual(await second, [POLL.in, 0]);
  poller.stop();
  for (const counter of counters) closeSync(counter);
});

test('a byte out of band is a priority event, an ordinary one is none', limit, async () => {
  assert.ok(foreign !== null);
  const pair = new UrgentPair(foreign);
  const poller = openPoller();
  const counter = counterOf(poller);
  const watched = [
    { file: pair.receiver, events: POLL.priority },
    { file: counter, events: POLL.in },
  ];
  pair.send(1, 'ordinary');
  add(counter);
  assert.deepEqual(await poller.wait(watched), [0, POLL.in]);
  drainCounter(counter);
  const wait = poller.wait(watched);
  pair.send(2, 'urgent');
  assert.deepEqual(await wait, [POLL.priority, 0]);
  poller.stop();
  closeSync(counter);
  pair.close();
});

test('a file that is not open is told, and nothing else is waited for', limit, async () => {
  const poller = openPoller();
  assert.deepEqual(await poller.wait([{ file: 1_000_000, events: POLL.in }]), [POLL.invalid]);
  poller.stop();
});

test('stop ends the wait under way and all later ones, and leaves no file open', limit, async () => {
  const before = openFiles();
  const poller = openPoller();
  const wait = poller.wait([]);
  assert.equal(await poller.wait([]), null, 'one wait at a time');
  poller.stop();
  poller.stop();
  assert.deepEqual([await wait, await poller.wait([])], [null, null]);
  const idle = openPoller();
  idle.stop();
  assert.equal(openFiles(), before);
  assert.equal(process.listenerCount('exit'), 0);
});

/** A C library whose poll(2) returns what a test wants. */
function scriptedPoll(results: readonly number[]): Foreign {
  assert.ok(foreign !== null);
  const left = [...results];
  const scripted = { waitingAt: () => async () => left.shift() ?? 0 };
  return Object.assign(Object.create(foreign), foreign, scripted);
}

test('a wait that a signal interrupts goes on; one that cannot be is given up', limit, async () => {
  const interrupted = openPoller(scriptedPoll([-1, 1]));
  assert.deepEqual(await interrupted.wait([{ file: 0, events: POLL.in }]), [0]);
  interrupted.stop();
  const broken = openPoller(scriptedPoll([-1, -1, 1]));
  assert.equal(await broken.wait([]), null);
  broken.stop();
});

/** How a process that waits for ever ends: by itself, or by a signal once it waits. */
const ENDS = [
  { how: 'exit', signal: null, code: 3 },
  { how: 'throw', signal: null, code: 1 },
  { how: 'stop', signal: null, code: 4 },
  { how: 'handled signal', signal: 'SIGTERM', code: 5 },
  { how: 'signal', signal: 'SIGTERM', code: null },
] as const;

for (const { how, signal, code } of ENDS) {
  // Were it held up, it would run into the limit of the test, which kills it.
  test(`a process that waits is not held up at its end: ${how}`, limit, async (context) => {
    const program = fileURLToPath(new URL('armed-process.ts', import.meta.url));
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, how], {
      stdio: ['ignore', 'pipe', 'ignore'],
      signal: context.signal,
      killSignal: 'SIGKILL',
    });
    const ended = once(child, 'exit');
    if (signal !== null) {
      await once(child.stdout, 'data');
      child.kill(signal);
    }
    assert.deepEqual(await ended, [code, code === null ? signal : null]);
  });
}
