import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytes, desired, envelope, RELEASE, STRANGER } from '../trust/made.ts';
import { message, type Step, type TwinProcess, World, wanted } from './twin-set-up.ts';

const RUNS = 40;

test('killed at any step, the next process comes to the same', async (t) => {
  const world = new World(t);
  const first = await world.start();
  await first.twin.receive(message(1, { experts: [wanted('alpha')], budget: '900MB' }));
  await first.untilPhase('Applied', 1);
  first.twin.stop();

  const disks: { readonly step: Step | 'received'; readonly stateDir: string }[] = [];
  const copy = (step: Step | 'received'): void => {
    disks.push({ step, stateDir: world.copyOfDisk(`disk-${disks.length}`) });
  };
  copy('received');
  const next = message(2, { experts: [wanted('beta')], policy: { minScore: 0.5 } });
  const second = await world.start({ onStep: copy });
  await second.twin.receive(next);
  copy('received');
  await second.untilPhase('Applied', 2);
  second.twin.stop();
  const steps = new Set(disks.map(({ step }) => step));
  assert.deepEqual([...steps].sort(), [
    'noted',
    'overlaid',
    'overlay',
    'published',
    'publishing',
    'received',
  ]);

  for (const { step, stateDir } of disks) {
    const third = await world.start({ stateDir });
    assert.ok(['alpha', 'beta'].includes(third.device.ids.join()), `${step}: one of the two, and whole`);
    await third.twin.receive(next);
    await third.untilPhase('Applied', 2);
    assert.deepEqual(third.device.ids, ['beta'], step);
    assert.equal(third.device.part?.budget, null);
    assert.deepEqual(third.device.part?.policy, { minScore: 0.5 });
    assert.equal(third.last.gen_applied, 2);
    await third.twin.receive(message(1, { experts: [wanted('alpha')] }));
    await third.clock.advance(2_000);
    assert.deepEqual(third.device.ids, ['beta'], `${step}: no way back`);
    third.twin.stop();
  }
});

test('what a stopped twin was at does not reach the disk of the next one', async (t) => {
  const world = new World(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = await world.start({ hold: promise });
  await first.twin.receive(message(1, contentOf(1)));
  await first.until(() => first.steps.includes('overlay'));
  first.twin.stop();
  const second = await world.start();
  await second.twin.receive(message(2, contentOf(2)));
  await second.untilPhase('Applied', 2);
  resolve();
  await first.clock.advance(2_000);
  assert.equal(first.device.taken.length, 1, 'and it says no more to the device');
  await assert.rejects(first.twin.receive(message(3)), { code: 'not_kept' });
  const third = await world.start();
  await third.untilPhase('Applied', 2);
  assert.deepEqual(third.device.ids, ['expert-2']);
});

test('what was kept and not taken is taken without the broker', async (t) => {
  const world = new World(t);
  const first = await world.start();
  first.device.failure = new Error('it dies here');
  await first.twin.receive(message(4, { experts: [wanted('alpha')] }));
  first.twin.stop();
  const second = await world.start();
  await second.untilPhase('Applied', 4);
  assert.deepEqual(second.device.ids, ['alpha']);
});

/** What may happen to a twin; `gen` names one of the documents. */
type Happening =
  | { readonly what: 'document' | 'fork' | 'forged'; readonly gen: number }
  | { readonly what: 'restart' | 'link' | 'wait' };

const GENERATIONS = 6;
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constantFrom('document' as const, 'document' as const, 'fork' as const, 'forged' as const),
      gen: fc.integer({ min: 1, max: GENERATIONS }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constantFrom('restart' as const, 'link' as const, 'wait' as const) }),
  },
);

const contentOf = (gen: number) => ({ experts: [wanted(`expert-${gen}`)], policy: { minScore: gen / 10 } });

test('in any order, over restarts and lost links, the highest generation that came first counts', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 14 }), async (happenings) => {
      const world = new World(t);
      let process = await world.start();
      let highest = 0;
      let isFork = false;
      for (const one of happenings) {
        if ('gen' in one) {
          const { what, gen } = one;
          await process.twin.receive(payloadOf(what, gen));
          if (what !== 'forged' && gen > highest) [highest, isFork] = [gen, what === 'fork'];
        } else process = await happen(one.what, process, world);
      }
      await process.untilPhase(highest === 0 ? 'Idle' : 'Applied', highest);
      const ids = highest === 0 ? [] : [isFork ? `fork-${highest}` : `expert-${highest}`];
      assert.deepEqual(process.device.ids, ids);
      assert.equal(process.last.gen_applied, highest);
      process.twin.stop();
    }),
    { numRuns: RUNS, seed: 8 },
  );
});

function payloadOf(what: 'document' | 'fork' | 'forged', gen: number): Uint8Array {
  if (what === 'document') return message(gen, contentOf(gen));
  if (what === 'fork') return message(gen, { experts: [wanted(`fork-${gen}`)] });
  return bytes(envelope('desired', desired({ gen: gen + GENERATIONS }), STRANGER));
}

/** A restart is a kill: nothing of the old process goes on, and it was in the middle of whatever it did. */
async function happen(
  what: 'restart' | 'link' | 'wait',
  process: TwinProcess,
  world: World,
): Promise<TwinProcess> {
  if (what === 'wait') await process.clock.advance(1_000);
  if (what === 'link') {
    process.isUp = false;
    await process.clock.advance(10);
    process.isUp = true;
    process.twin.onUp();
  }
  if (what !== 'restart') return process;
  process.twin.stop();
  return world.start();
}

test('a newer document that comes while one is weighed takes its place', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await Promise.all([1, 2, 3].map((gen) => one.twin.receive(message(gen, contentOf(gen)))));
  await one.untilPhase('Applied', 3);
  assert.deepEqual(one.device.ids, ['expert-3']);
  assert.deepEqual(
    one.device.notes.map(({ order }) => order),
    ['gen 3'],
  );
});

test('a newer document that comes while one is taken is taken after it', async (t) => {
  const world = new World(t);
  const one = await world.start({
    onStep: (step) => {
      if (step === 'overlay' && one.device.taken.length === 0)
        void one.twin.receive(bytes(envelope('desired', desired({ gen: 2, ...contentOf(2) }), RELEASE)));
    },
  });
  await one.twin.receive(message(1, contentOf(1)));
  await one.untilPhase('Applied', 2);
  assert.deepEqual(
    one.device.taken.map((part) => part?.experts[0]?.id),
    ['expert-1', 'expert-2'],
  );
});
