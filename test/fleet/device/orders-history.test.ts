/** Whatever happens, in whatever order: no command is carried out more often than it must, and each comes to one end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CommandState } from '../../../agent/fleet/documents/shapes.ts';
import { Bench, expert, PLAIN, settledSoon, signed } from './orders-set-up.ts';

const FINAL: ReadonlySet<CommandState> = new Set([
  'SUCCEEDED',
  'FAILED',
  'REJECTED',
  'TIMED_OUT',
  'CANCELED',
]);
const EXPERTS = ['medical', 'legal', 'computing', 'spam'];
/** One for each expert, so that none supersedes another, and two that are about none. */
const COMMANDS: readonly Readonly<Record<string, unknown>>[] = [
  ...EXPERTS.map((id) => ({ id: `load-${id}`, args: { expert: id } })),
  { id: 'diagnostics', type: 'diagnostics', args: { parts: ['log'] } },
  { id: 'restart', type: 'restart', args: {} },
];

/** Counts commands in the order in which they come first; a repeat is the same bytes. */
class Operator {
  readonly #sent = new Map<number, Uint8Array>();

  payload(which: number): Uint8Array {
    const payload = this.#sent.get(which) ?? signed({ ...COMMANDS[which], ctr: this.#sent.size + 1 });
    this.#sent.set(which, payload);
    return payload;
  }
}

type Happening =
  | { readonly what: 'received'; readonly which: number }
  | { readonly what: 'killed' | 'ended' | 'up' | 'down' | 'acks lost' | 'resident' | 'waited' | 'clock set' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constant('received' as const), which: fc.nat(COMMANDS.length - 1) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constantFrom('killed', 'ended', 'up', 'down', 'acks lost', 'resident', 'waited', 'clock set'),
    }) as fc.Arbitrary<Happening>,
  },
);

test('any history of repeats, deaths and lost links', async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 4, maxLength: 24 }), async (history) => {
      const bench = new Bench(null, ...EXPERTS.map((id) => expert(id)));
      const operator = new Operator();
      bench.device.isSlow = true;
      try {
        await bench.orders.start();
        let starts = 1;
        for (const one of history) starts += await happen(bench, operator, one);
        await bench.restart();
        starts += 1;
        for (const id of EXPERTS) bench.device.become(id, { state: 'resident' });
        bench.orders.changed();
        bench.acksLost = 0;
        await bench.clock.advance(5_000);
        await bench.up();
        await bench.clock.advance(10_000);
        check(bench, starts);
        runs += 1;
      } finally {
        bench.remove();
      }
    }),
    { numRuns: 150 },
  );
  assert.equal(runs, 150);
});

/** Resolves to 1 where another process began. */
async function happen(bench: Bench, operator: Operator, one: Happening): Promise<number> {
  switch (one.what) {
    case 'received':
      // Between the call for a restart and the new process nothing is taken: it comes again.
      await bench.orders.receive(operator.payload(one.which), PLAIN).catch(assertRetryable);
      // No turn of the loop in between: what comes next may find it half done.
      return 0;
    case 'killed':
    case 'ended':
      await bench.restart(one.what);
      return 1;
    case 'up':
      await bench.up();
      return 0;
    case 'down':
      bench.isUp = false;
      return 0;
    case 'acks lost':
      bench.acksLost = 1;
      return 0;
    case 'resident':
      bench.device.become('medical', { state: 'resident' });
      bench.orders.changed();
      await settledSoon();
      return 0;
    case 'waited':
      await bench.clock.advance(6_000);
      return 0;
    case 'clock set':
      bench.here = { ...bench.here, clockTrusted: false, nowMs: bench.here.nowMs === 0 ? 4e12 : 0 };
      return 0;
  }
}

function assertRetryable(error: unknown): void {
  assert.ok(error instanceof Error && 'retryable' in error && error.retryable === true, String(error));
}

function check(bench: Bench, starts: number): void {
  const kept = bench.orders.results();
  for (const id of EXPERTS) {
    const given = bench.device.done.filter((one) => one === `load ${id}`).length;
    const isAccepted = kept.some((one) => one.id === `load-${id}`);
    assert.ok(isAccepted ? given <= starts : given === 0, `load ${id} was given ${given} times`);
  }
  assert.ok(bench.device.restarts <= 1, 'a restart is done once');
  for (const { id, state } of kept) {
    assert.ok(FINAL.has(state), `${id} ended as ${state}`);
    const ends = new Set(
      bench.sent.filter((one) => one.id === id && FINAL.has(one.state)).map((one) => one.state),
    );
    assert.deepEqual([...ends], [state], `of ${id} one end is said`);
  }
  for (const { id, state } of bench.sent) {
    // One that came while nothing was taken may come again after younger ones: its counter is too low then.
    if (!kept.some((one) => one.id === id)) assert.equal(state, 'REJECTED', id);
  }
}
