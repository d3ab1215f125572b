import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Sampler } from '../agent/sampler.ts';
import type { Sample } from '../agent/types.ts';
import { ManualClock } from './store/clock.ts';

const MB = 1_048_576;

function sampleOf(availableBytes: number): Sample {
  return {
    agentBytes: 60 * MB,
    cellBytes: new Map(),
    cellFileBytes: new Map(),
    availableBytes,
    totalBytes: 8_000 * MB,
    psiSomeAvg10: 0,
    psiFullAvg10: 0,
    device: null,
  };
}

function setUp() {
  let sample = sampleOf(4_000 * MB);
  let looks = 0;
  const told: Sample[] = [];
  const clock = new ManualClock();
  const monitor = {
    sample: () => {
      looks++;
      return sample;
    },
  };
  return {
    clock,
    told,
    sampler: new Sampler(monitor, clock, (one) => told.push(one)),
    looks: () => looks,
    see: (one: Sample) => {
      sample = one;
    },
  };
}

test('the first look is told, then what moved notably, and what did not once a minute', () => {
  const { sampler, told, see, clock } = setUp();
  sampler.look();
  sampler.look();
  assert.equal(told.length, 1);
  see(sampleOf(1_000 * MB));
  sampler.look();
  assert.equal(told.at(-1)?.availableBytes, 1_000 * MB);
  clock.advance(59_000);
  sampler.look();
  assert.equal(told.length, 2);
  clock.advance(1_000);
  sampler.look();
  assert.equal(told.length, 3);
});

test('the latest look is known whether it was told or not', () => {
  const { sampler, told, see } = setUp();
  assert.equal(sampler.latest, null);
  sampler.look();
  const next = sampleOf(4_000 * MB);
  see(next);
  sampler.look();
  assert.deepEqual([told.length, sampler.latest], [1, next]);
});

test('an alarm takes a look at once and tells it, whatever it shows, while the sampler runs', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { sampler, told, looks } = setUp();
  sampler.lookNow();
  assert.equal(looks(), 0, 'nobody is there to hear it yet');
  sampler.start(2_000);
  sampler.lookNow();
  assert.deepEqual([looks(), told.length, sampler.latest], [2, 2, told[1]]);
  sampler.look();
  assert.equal(told.length, 2, 'the next look has to tell something new again');
  sampler.stop();
  sampler.lookNow();
  assert.equal(looks(), 3);
});

test('it looks at once and then at the period of its last start, until it is stopped', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    const { sampler, looks } = setUp();
    sampler.start(1_000);
    assert.equal(looks(), 1);
    mock.timers.tick(2_000);
    assert.equal(looks(), 3);
    sampler.start(100);
    mock.timers.tick(1_000);
    assert.equal(looks(), 14, 'the old period is over');
    sampler.stop();
    sampler.stop();
    mock.timers.tick(10_000);
    assert.equal(looks(), 14);
  } finally {
    mock.timers.reset();
  }
});
