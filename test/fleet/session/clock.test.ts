/** Wall clocks that jump by years, and a device that slept for years: links live, and waits end. */
import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import type { Dial } from '../../../agent/fleet/session/dial.ts';
import { GuardedStream } from '../../../agent/fleet/session/guarded-stream.ts';
import type { Clock } from '../../../agent/ports.ts';
import { settled } from './fake-clock.ts';
import { setUp } from './set-up.ts';

const yearMs = 365 * 24 * 3_600_000;

test('a wall clock that jumps by years, both ways, neither ends a link nor keeps a dead one', async (context) => {
  let nowMs = Date.UTC(2026, 5);
  context.mock.method(Date, 'now', () => nowMs);
  const { session, wires, clock, startUp } = setUp();
  await startUp();
  for (const [round, years] of [50, -56, 30, -30].entries()) {
    nowMs += years * yearMs;
    await clock.advance(61_000);
    await wires.last.answer();
    assert.equal(session.isUp, true, `${years} years`);
    assert.equal(wires.last.of('pingreq').length, round + 1, 'it asks as often as before');
  }
  nowMs -= 50 * yearMs;
  await clock.advance(150_000);
  assert.equal(session.isUp, false, 'the broker no longer answers');
  nowMs += 90 * yearMs;
  const [waitMs = 0] = clock.aheadMs;
  await clock.advance(waitMs);
  await wires.last.accept();
  assert.equal(session.isUp, true);
});

/** A clock that counts while the device sleeps: what was due rings once when it wakes, whenever that is. */
class SleepingClock implements Clock {
  #nowMs = 1_000;
  readonly #alarms = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, callback: () => void): () => void {
    const alarm = { atMs, callback };
    this.#alarms.add(alarm);
    return () => void this.#alarms.delete(alarm);
  }

  async sleep(ms: number): Promise<void> {
    this.#nowMs += ms;
    for (const alarm of [...this.#alarms].filter(({ atMs }) => atMs <= this.#nowMs)) {
      if (this.#alarms.delete(alarm)) alarm.callback();
    }
    await settled();
  }
}

test('a device that slept for years asks once whether the link is alive, and not for each minute that it missed', async () => {
  const clock = new SleepingClock();
  const { session, wires, startUp } = setUp({ clock });
  await startUp();
  await clock.sleep(10 * yearMs);
  await clock.sleep(31_000);
  await wires.last.answer();
  assert.equal(session.isUp, true);
  assert.ok(wires.last.of('pingreq').length <= 1, 'a ping for each minute that it slept');
  await wires.last.close();
  await clock.sleep(10 * yearMs);
  assert.equal(wires.all.length, 2, 'one attempt');
  await wires.last.accept();
  assert.equal(session.isUp, true);
});

test('a host that takes no packet of TCP, or a DNS that says nothing, is given up after 30 s', async () => {
  // Nothing ever says that it is connected.
  const silent: Dial = (_broker, _credentials, guard) => new GuardedStream(duplexPair()[0], guard, 'connect');
  const { session, clock } = setUp({ dial: silent });
  session.start();
  while (clock.aheadMs.length === 0) await settled();
  await clock.advance(29_000);
  assert.equal(session.health().state, 'connecting');
  await clock.advance(1_000);
  assert.deepEqual([session.health().state, session.health().reason?.code], ['waiting', 'no_answer']);
});
