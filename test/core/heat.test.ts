import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decode, encode } from '../../agent/codec.ts';
import type { Device } from '../../agent/device.ts';
import { COOL, loadCostOf, loadMsNow } from '../../agent/heat.ts';
import type { Rule } from '../../agent/types.ts';
import { coolDevice } from '../fakes/survey.ts';
import { expert, features, MB } from './made.ts';
import { lookAt, said, use, worldOf } from './story.ts';

function at(celsius: number, slowCelsius = 80): Device {
  return coolDevice({ thermal: { zone: 'soc', celsius, slowCelsius } });
}

test('the cost rises from 10 degrees below the trip point to three times at it, and no further', () => {
  const costs = [-20, 69.9, 70, 75, 80, 95].map((celsius) => loadCostOf(at(celsius)).factor);
  assert.deepEqual(costs, [1, 1, 1, 2, 3, 3]);
  assert.equal(loadCostOf(at(94, 99)).factor, 2);
  assert.equal(loadCostOf(at(75)).why, 'soc is at 75.0 C, and slows down at 80 C');
});

test('what the firmware holds back now doubles the cost at least; what it once held back does not', () => {
  const throttle = { now: ['under-voltage'], seen: ['under-voltage'] } as const;
  assert.deepEqual(loadCostOf(coolDevice({ throttle })), {
    factor: 2,
    why: 'the supply voltage is too low',
  });
  assert.equal(loadCostOf({ ...at(78), throttle }).factor, 2.6);
  assert.deepEqual(loadCostOf(coolDevice({ throttle: { now: [], seen: ['throttled'] } })), COOL);
});

test('a battery that runs down raises the cost, one that is charged or on mains does not', () => {
  const cost = (share: number, discharging: boolean | null, onMains: boolean | null): number =>
    Number(loadCostOf(coolDevice({ battery: { share, discharging }, onMains })).factor.toFixed(3));
  assert.deepEqual(
    [cost(0.9, true, false), cost(0.2, true, false), cost(0.05, true, false), cost(0.2, null, null)],
    [1, 1.5, 2, 1.5],
  );
  assert.deepEqual([cost(0.05, false, null), cost(0.05, true, true)], [1, 1]);
});

test('a device without sensors is cool', () => {
  const blind = coolDevice({ thermal: null, throttle: null, battery: null, onMains: null });
  assert.deepEqual([loadCostOf(null), loadCostOf(blind)], [COOL, COOL]);
});

test('the factor lies between 1 and 3 for any device, rises with the temperature, and says why it rose', () => {
  const celsius = fc.double({ min: -50, max: 190, noNaN: true });
  fc.assert(
    fc.property(celsius, celsius, fc.integer({ min: 40, max: 120 }), (a, b, slow) => {
      const [cool, hot] = [Math.min(a, b), Math.max(a, b)].map((degrees) => loadCostOf(at(degrees, slow)));
      assert.ok(cool !== undefined && hot !== undefined);
      assert.ok(cool.factor >= 1 && hot.factor <= 3 && cool.factor <= hot.factor);
      assert.equal(hot.factor > 1, hot.why !== null);
    }),
  );
});

test('a first load is not predicted to be faster than the disk', () => {
  const world = worldOf({ experts: [] });
  lookAt(world, coolDevice({ storageBytesPerSecond: 10 * MB }));
  const unknown = expert('a', { weightBytes: 40 * MB });
  const memory = { ...unknown.memory, measured: false };
  assert.equal(loadMsNow(world.state, { ...unknown, memory }), 4_000);
  assert.equal(loadMsNow(world.state, unknown), 100, 'what was measured is known');
  lookAt(world, at(80));
  assert.equal(loadMsNow(world.state, unknown), 300);
});

/** `loaded` is resident; `better` answers the question by 0.025 more: two of its rules match. */
function twoExperts() {
  const rule: Rule = { any: [WORD], all: [], not: [], code: null };
  const routed = (...rules: readonly Rule[]) => ({
    languages: ['*'],
    rules,
    vocabulary: new Uint32Array(),
    prototypes: [],
  });
  const world = worldOf({
    experts: [expert('loaded', { routing: routed(rule) }), expert('better', { routing: routed(rule, rule) })],
  });
  use(world, 'loaded');
  return world;
}

const WORD = 7;
const question = { features: features({ terms: Uint32Array.of(WORD) }) };

test('a cool device loads the better expert, a hot one stays with the loaded one and says so', () => {
  const cool = twoExperts();
  lookAt(cool, at(40));
  assert.equal(cool.ask('r1', question).choice?.expert, 'better');

  const hot = twoExperts();
  lookAt(hot, at(80));
  const { choice, reasons } = hot.ask('r1', question);
  assert.equal(choice?.expert, 'loaded');
  assert.ok(
    reasons.some((reason) =>
      /^loaded is resident and stays, though better is 0\.03 ahead: loads cost 3\.0 times/.test(reason),
    ),
  );
});

test('heat forbids nothing: a named expert is loaded, and its prediction is honest', () => {
  const world = twoExperts();
  lookAt(world, at(75));
  const decision = world.ask('r1', { model: 'better' });
  assert.deepEqual(said(decision), ['load better in fast-1']);
  assert.equal(decision.choice?.predictedLoadMs, 200);
  assert.ok(
    decision.reasons.includes('loads cost 2.0 times as much (soc is at 75.0 C, and slows down at 80 C)'),
  );
});

test('only the beginning and the end of the heat are told', () => {
  const world = twoExperts();
  const told = [40, 75, 76, 77, 60, 61].map((celsius) => lookAt(world, at(celsius)).reasons);
  assert.deepEqual(told, [
    [],
    ['loads cost 2.0 times as much (soc is at 75.0 C, and slows down at 80 C)'],
    [],
    [],
    ['loads cost what they did on a cool device'],
    [],
  ]);
});

test('what is kept of a hot device is worth more in milliseconds of load', () => {
  const evictionValue = (celsius: number): string => {
    const world = twoExperts();
    lookAt(world, at(celsius));
    const { reasons } = lookAt(world, at(celsius), 10 * MB);
    return reasons.find((reason) => reason.startsWith('unload loaded')) ?? '';
  };
  // The fake load took 50 ms and 20 MB: 2.5 ms a MB.
  assert.match(evictionValue(40), /gdsf value 2\.50,/);
  assert.match(evictionValue(80), /gdsf value 7\.50,/);
});

test('samples and states with a device survive the log', () => {
  const world = twoExperts();
  lookAt(world, { ...at(75), throttle: { now: ['throttled'], seen: ['throttled'] } });
  assert.deepEqual(decode(encode(world.state)), world.state);
  const event = world.log.at(-1)?.event;
  assert.deepEqual(decode(encode(event)), event);
});
