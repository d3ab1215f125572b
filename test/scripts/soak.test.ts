import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { chartOf } from '../../scripts/soak/chart.ts';
import { Gate } from '../../scripts/soak/gate.ts';
import { errorsOf } from '../../scripts/soak/ledger.ts';
import { parseOptions } from '../../scripts/soak/options.ts';
import { treeMemory, treePids } from '../../scripts/soak/process-tree.ts';
import { scheduleOf } from '../../scripts/soak/schedule.ts';
import { trendOf } from '../../scripts/soak/trend.ts';
import { type Figures, judge, passes } from '../../scripts/soak/verdict.ts';
import { Workload } from '../../scripts/soak/workload.ts';
import { Random } from '../experts-made/random.ts';

const line = (slope: number, count: number) =>
  Array.from({ length: count }, (_, x) => ({ x, y: 3 + slope * x }));

describe('the trend of a series', () => {
  test('is the slope of a line, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1_000, max: 1_000 }),
        fc.integer({ min: 5, max: 60 }),
        (slope, count) => {
          const trend = trendOf(line(slope, count));
          assert.deepEqual(trend, { slope, low: slope, high: slope });
        },
      ),
    );
  });

  test('does not mind a few wild points', () => {
    const points = line(2, 40).map(({ x, y }) => ({ x, y: x % 10 === 3 ? 1e6 : y }));
    assert.equal(trendOf(points)?.slope, 2);
  });

  test('of noise alone: zero lies in its interval, mostly', () => {
    let within = 0;
    for (let seed = 1; seed <= 100; seed++) {
      const random = new Random(seed);
      const trend = trendOf(Array.from({ length: 50 }, (_, x) => ({ x, y: random.unit() })));
      assert.ok(trend !== null && trend.low <= trend.slope && trend.slope <= trend.high);
      if (trend.low <= 0 && trend.high >= 0) within++;
    }
    assert.ok(within >= 88 && within < 100, `${within} of 100`);
  });

  test('of too little is unknown', () => {
    assert.equal(trendOf(line(1, 4)), null);
    assert.equal(trendOf(Array.from({ length: 9 }, () => ({ x: 1, y: 2 }))), null);
  });

  test('of very many points takes some of them', () => {
    assert.equal(trendOf(line(1, 20_000))?.slope, 1);
  });
});

describe('the verdict', () => {
  const good: Figures = {
    swapsWanted: 1_000,
    swaps: 1_000,
    wrongAnswers: 0,
    failures: 0,
    agentEnded: false,
    floorTrend: { slope: 0.1, low: -1, high: 1 },
    workTrend: { slope: -9, low: -20, high: 1 },
    ledgerErrors: Array.from({ length: 100 }, () => 0.04),
  };
  const failed = (change: Partial<Figures>): string[] =>
    judge({ ...good, ...change })
      .filter(({ passed }) => passed === false)
      .map(({ name }) => name);

  test('passes what is good', () => {
    assert.deepEqual(failed({}), []);
    assert.ok(passes(judge(good)));
  });

  test('names what is bad, and only that', () => {
    assert.deepEqual(failed({ swaps: 999 }), ['swaps that were not made']);
    assert.deepEqual(failed({ wrongAnswers: 1 }), ['wrong answers']);
    assert.deepEqual(failed({ failures: 1 }), ['failures not on purpose']);
    assert.deepEqual(failed({ agentEnded: true }), ['ends of the agent, OOM kills among them']);
    assert.deepEqual(failed({ floorTrend: { slope: 3, low: 0.5, high: 5 } }), ['trend of PSS, all parked']);
    assert.deepEqual(failed({ workTrend: { slope: 3, low: 0.5, high: 5 } }), ['trend of PSS, at work']);
    const errors = (median: number, some: number) =>
      Array.from({ length: 100 }, (_, at) => (at < 5 ? some : median));
    assert.deepEqual(failed({ ledgerErrors: errors(0.06, 0.06) }), ['ledger error, median']);
    assert.deepEqual(failed({ ledgerErrors: errors(0.01, 0.2) }), ['ledger error, 99th percentile']);
    assert.ok(!passes(judge({ ...good, failures: 1 })));
  });

  test('a slope that may be chance is no growth; what cannot be judged says why', () => {
    assert.deepEqual(failed({ floorTrend: { slope: 3, low: -1, high: 9 } }), []);
    const criteria = judge({ ...good, floorTrend: null, ledgerErrors: [0.5] });
    assert.ok(passes(criteria));
    const unknown = criteria.filter(({ passed }) => passed === null);
    assert.equal(unknown.length, 3);
    assert.ok(unknown.every(({ value, why }) => value === null && why !== undefined));
  });
});

describe('the workload', () => {
  const EXPERTS = ['a', 'b', 'c', 'd', 'e'];
  const turns = (seed: number, count: number) => {
    const workload = new Workload(EXPERTS, 4, new Random(seed));
    return Array.from({ length: count }, () => workload.next());
  };

  test('is the same for the same seed, and another for another', () => {
    assert.deepEqual(turns(5, 100), turns(5, 100));
    assert.notDeepEqual(turns(5, 100), turns(6, 100));
  });

  test('mostly swaps, asks everybody, has favourites that change, and clients that leave', () => {
    const all = turns(1, 3_000);
    const swaps = all.filter(({ expert }, at) => at > 0 && expert !== all[at - 1]?.expert).length;
    assert.ok(swaps / all.length > 0.8, `${swaps} swaps`);
    for (const from of [0, 150]) {
      const counts = EXPERTS.map(
        (id) => all.slice(from, from + 150).filter(({ expert }) => expert === id).length,
      );
      assert.equal(counts.indexOf(Math.max(...counts)), from / 150, counts.join());
      assert.ok(Math.min(...counts) > 5, counts.join());
    }
    for (const course of ['stay', 'leave-waiting', 'leave-speaking'])
      assert.ok(
        all.some((turn) => turn.course === course),
        course,
      );
    assert.ok(all.every(({ prompt, patience }) => prompt >= 0 && prompt < 4 && patience >= 1));
  });

  test('what is done to the agent comes in order, in every kind, before the last swap', () => {
    const due = scheduleOf(1_000, 50, new Random(3));
    assert.ok(due.length >= 12 && due.length <= 40, `${due.length}`);
    assert.ok(due.every(({ atSwap }, at) => atSwap < 1_000 && atSwap > (due[at - 1]?.atSwap ?? 0)));
    assert.deepEqual(new Set(due.map(({ kind }) => kind)), new Set(['kill', 'hog', 'budget']));
    assert.deepEqual(due, scheduleOf(1_000, 50, new Random(3)));
  });
});

test('errors of the ledger are shares of the truth; a sample that does not tell has none', () => {
  const sample = {
    swaps: 1,
    truthBytes: 200,
    measuredBytes: 190,
    chargedBytes: 250,
    fileBytes: null,
    cells: [],
  };
  const samples = [
    { ...sample, expectedBytes: null },
    { ...sample, expectedBytes: 210 },
  ];
  assert.deepEqual(errorsOf(samples, 'expectedBytes'), [0.05]);
  assert.deepEqual(errorsOf(samples, 'chargedBytes'), [0.25, 0.25]);
});

test('the gate: whoever is alone is alone, and whoever waited comes in afterwards', async () => {
  const gate = new Gate();
  const events: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = gate.pass(async () => {
    await promise;
    events.push('first');
  });
  const alone = gate.alone(async () => {
    events.push('alone');
  });
  const second = gate.pass(async () => {
    events.push('second');
  });
  resolve();
  await Promise.all([first, alone, second]);
  assert.deepEqual(events, ['first', 'alone', 'second']);
});

test('options: numbers are whole and named; anything else is refused', () => {
  assert.equal(parseOptions(['--limit-mb', '512']).limitBytes, 512 * 2 ** 20);
  assert.equal(parseOptions([]).limitBytes, null);
  assert.throws(
    () => parseOptions(['--swaps', 'many']),
    /--swaps takes a whole number from 1 on, not "many"/,
  );
  assert.throws(() => parseOptions(['--swaps', '0']), /--swaps/);
  assert.throws(() => parseOptions(['--swap', '1']), /swap/);
});

test('the tree of a process holds itself; its memory is there', {
  skip: !existsSync('/proc/self/smaps_rollup') && 'no /proc',
}, () => {
  assert.equal(treePids(process.pid)[0], process.pid);
  assert.ok(treePids(process.ppid).includes(process.pid));
  assert.ok(treeMemory(process.pid).pssBytes > 1e6);
});

test('a chart names its lines and holds no mark-up of theirs', () => {
  const svg = chartOf(
    'A <b>',
    'MB',
    [
      {
        name: 'x & y',
        colour: '#000',
        points: [
          { x: 0, y: 1 },
          { x: 5, y: 2 },
        ],
      },
    ],
    [3],
  );
  assert.match(svg, /^<svg .*<\/svg>\n$/s);
  assert.match(svg, /A &lt;b>/);
  assert.match(svg, /x &amp; y/);
});
