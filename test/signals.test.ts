import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Signals } from '../agent/signals.ts';

function setUp() {
  const source = new EventEmitter();
  let now = 50_000;
  let impatient = 0;
  const signals = new Signals({
    source,
    nowMs: () => now,
    onImpatience: () => {
      impatient++;
    },
  });
  return {
    signals,
    send: (signal: NodeJS.Signals) => source.emit(signal),
    wait: (ms: number) => {
      now += ms;
    },
    impatient: () => impatient,
  };
}

test('the first signal asks for the end, and says which it was', async () => {
  const { signals, send, impatient } = setUp();
  send('SIGINT');
  send('SIGTERM');
  assert.equal(await signals.end, 'SIGINT');
  assert.equal(impatient(), 0);
});

test('the end is told to whoever waits for it or for something else, before and after', async () => {
  const { signals, send } = setUp();
  const never = new Promise<never>(() => undefined);
  assert.equal(await signals.endOr(Promise.resolve('work')), 'work');
  await assert.rejects(signals.endOr(Promise.reject(new Error('it failed'))), /it failed/);
  const waiting = signals.endOr(never);
  send('SIGTERM');
  assert.equal(await waiting, 'SIGTERM');
  assert.equal(await signals.endOr(never), 'SIGTERM');
});

test('what ended before a signal came is not held until one does', async () => {
  const { signals } = setUp();
  const waited = async (): Promise<WeakRef<object>> => {
    const work = { is: 'an agent' };
    assert.equal(await signals.endOr(Promise.resolve(work)), work);
    return new WeakRef(work);
  };
  const reference = await waited();
  setFlagsFromString('--expose-gc');
  // A reference that was just made holds until the turn ends.
  await new Promise(setImmediate);
  runInNewContext('gc')();
  assert.equal(reference.deref(), undefined);
});

test('Ctrl-C that arrives twice, from the terminal and from npm, is one wish', () => {
  const { send, wait, impatient } = setUp();
  send('SIGINT');
  wait(300);
  send('SIGINT');
  assert.equal(impatient(), 0);
});

test('whoever asks again after a while cannot wait, with whichever signal', () => {
  const { send, wait, impatient } = setUp();
  send('SIGTERM');
  wait(1_000);
  send('SIGINT');
  assert.equal(impatient(), 1);
});

test('SIGHUP before there is something to reload does nothing, and never ends the process', () => {
  const { signals, send } = setUp();
  let reloads = 0;
  assert.ok(send('SIGHUP'), 'somebody listens');
  signals.onReload(() => {
    reloads++;
  });
  send('SIGHUP');
  send('SIGHUP');
  assert.equal(reloads, 2);
  signals.onReload(null);
  send('SIGHUP');
  assert.equal(reloads, 2);
});
