/** The invariants of ARCHITECTURE.md over random sequences of requests, failures, crashes, pressure and hang-ups. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide } from '../../agent/decide.ts';
import type { Task } from '../../agent/types.ts';
import { coolDevice } from '../fakes/survey.ts';
import { expert, MB, settings } from './made.ts';
import type { TrueSize } from './true-memory.ts';
import { World } from './world.ts';

const runs = Number(process.env['EXPERTD_PROPERTY_RUNS'] ?? 400);

type Action =
  | {
      readonly kind: 'request';
      readonly want: 'chat' | 'load';
      readonly model: number;
      readonly waitMs: number | null;
      readonly keepAliveMs: number | null;
    }
  | {
      readonly kind: 'complete';
      readonly index: number;
      readonly fault: 'none' | 'fail' | 'broken';
      readonly sources: number;
      readonly keptMb: number;
      readonly stays: number;
    }
  | { readonly kind: 'kill'; readonly index: number; readonly how: 'signal' | 'oom' }
  | { readonly kind: 'cached'; readonly index: number; readonly coldMb: number }
  | { readonly kind: 'hangUp'; readonly index: number }
  | {
      readonly kind: 'sample';
      readonly availableMb: number | null;
      readonly psi: number | null;
      readonly celsius: number | null;
    }
  | { readonly kind: 'pass'; readonly ms: number }
  | {
      readonly kind: 'command';
      readonly command: 'load' | 'park' | 'unload' | 'pin' | 'unpin' | 'clear';
      readonly index: number;
    }
  | { readonly kind: 'install'; readonly index: number; readonly remove: boolean };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      want: fc.oneof(
        { weight: 6, arbitrary: fc.constant('chat' as const) },
        { weight: 1, arbitrary: fc.constant('load' as const) },
      ),
      keepAliveMs: fc.constantFrom(null, null, null, 0, 40, -1),
      model: fc.integer({ min: -1, max: 7 }),
      waitMs: fc.constantFrom(null, 0, 50, 5_000),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('complete' as const),
      index: fc.nat(20),
      sources: fc.constantFrom(0, 2, 2),
      keptMb: fc.constantFrom(0, 0, 15),
      stays: fc.constantFrom(0.05, 0.2, 0.9),
      fault: fc.oneof(
        { weight: 9, arbitrary: fc.constant('none' as const) },
        { weight: 1, arbitrary: fc.constantFrom('fail' as const, 'broken' as const) },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('kill' as const),
      index: fc.nat(5),
      how: fc.constantFrom('signal' as const, 'oom' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cached' as const),
      index: fc.nat(6),
      coldMb: fc.constantFrom(0, 3, 40),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('hangUp' as const), index: fc.nat(200) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('sample' as const),
      availableMb: fc.constantFrom(null, 20, 55, 400),
      psi: fc.constantFrom(null, 0, 15, 40),
      celsius: fc.constantFrom(null, 40, 74, 85),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 60, 1_500, 11_000, 130_000, 1_000_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('command' as const),
      command: fc.constantFrom(
        'load' as const,
        'park' as const,
        'unload' as const,
        'pin' as const,
        'unpin' as const,
        'clear' as const,
      ),
      index: fc.nat(6),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('install' as const), index: fc.nat(6), remove: fc.boolean() }),
  },
);

const IDS = ['embedder', 'a', 'b', 'c', 'heavy', 'alone', 'huge'];

const TASKS: Readonly<Record<string, Task>> = {
  embedder: 'feature-extraction',
  b: 'retrieval',
  c: 'retrieval',
  heavy: 'text-generation',
};

const PARKABLE: ReadonlySet<string> = new Set(['heavy', 'a', 'alone']);

/** True sizes that differ from what the manifests claim, so that first loads correct the ledger. */
const sizes = new Map<string, TrueSize>(
  IDS.map((id, index) => [id, { residentBytes: (10 + 14 * index) * MB, loadBytes: (14 + 16 * index) * MB }]),
);

function install(world: World, id: string, version = '1.0.0'): void {
  const index = IDS.indexOf(id);
  const made = expert(id, {
    version,
    digest: `${id}@${version}`,
    residentMb: 15 + 12 * index,
    loadMb: 25 + 14 * index,
    task: TASKS[id] ?? 'text-classification',
    lane: id === 'heavy' ? 'heavy' : 'fast',
    cacheBytes: id === 'heavy' ? 12 * MB : 0,
    parkable: PARKABLE.has(id),
    fallback: id === 'huge' ? 'a' : id === 'heavy' ? 'b' : null,
    assistant: id === 'b' ? { base: 'nobody' } : id === 'c' ? { base: 'heavy' } : null,
    isolation: id === 'alone' ? 'own' : 'shared',
    needsEmbedding: id === 'b',
    routing: {
      languages: ['*'],
      rules: [],
      vocabulary: new Uint32Array(),
      prototypes: id === 'embedder' ? [] : null,
    },
  });
  world.happen({ type: 'installed', expert: { ...made, memory: { ...made.memory, measured: false } } });
}

function play(world: World, actions: readonly Action[]): void {
  let requests = 0;
  for (const id of IDS) install(world, id);
  for (const [at, next] of actions.entries()) {
    switch (next.kind) {
      case 'request':
        world.ask(`r${requests++}`, {
          want: next.want,
          model: next.model < 0 ? null : (IDS[next.model] ?? 'nobody'),
          waitMs: next.waitMs,
          keepAliveMs: next.keepAliveMs,
        });
        break;
      case 'complete':
        world.sources = next.sources;
        world.keptBytes = next.keptMb * MB;
        world.stays = next.stays;
        world.complete(next.index, next.fault);
        break;
      case 'kill':
        world.kill(next.index, next.how);
        break;
      case 'cached':
        world.tellCached(IDS[next.index] ?? 'a', next.coldMb * MB);
        break;
      case 'hangUp':
        world.hangUp(`r${next.index % Math.max(1, requests)}`);
        break;
      case 'sample':
        world.device =
          next.celsius === null
            ? null
            : coolDevice({ thermal: { zone: 'cpu', celsius: next.celsius, slowCelsius: 80 } });
        world.sample(next.availableMb === null ? null : next.availableMb * MB, next.psi);
        break;
      case 'pass':
        world.pass(next.ms);
        break;
      case 'command':
        world.happen({ type: 'command', command: next.command, expert: IDS[next.index] ?? 'a' });
        break;
      case 'install':
        if (next.remove) world.happen({ type: 'removed', expert: IDS[next.index] ?? 'a' });
        else install(world, IDS[next.index] ?? 'a', `1.0.${at}`);
        break;
    }
  }
}

function newWorld(budgetMb: number, swapDelayMs = 2_000): World {
  const budgetBytes = budgetMb * MB;
  return new World(
    settings({ budgetBytes, embedder: 'embedder', idleMs: 60_000, prefetch: true, swapDelayMs }),
    sizes,
  );
}

test('invariants 1, 2, 3 and 5 hold, and everything ends, over random event sequences', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(150, 230, 330, 600),
      fc.constantFrom(0, 100, 2_000),
      fc.array(action, { minLength: 5, maxLength: 120, size: 'max' }),
      (budgetMb, swapDelayMs, actions) => {
        const world = newWorld(budgetMb, swapDelayMs);
        play(world, actions);
        world.drain();
      },
    ),
    {
      numRuns: runs,
      ...(process.env['SEED'] ? { seed: Number(process.env['SEED']), path: process.env['PATHX'] ?? '' } : {}),
    },
  );
});

test('invariant 6: the logged events, decided again, give the same decisions', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 5, maxLength: 60, size: 'max' }), (actions) => {
      const world = newWorld(230);
      play(world, actions);
      let state = world.initial;
      for (const { event, decision } of world.log) {
        const again = decide(state, event, world.policy);
        assert.deepEqual(again, decision);
        state = again.state;
      }
    }),
    { numRuns: Math.ceil(runs / 4) },
  );
});

test('a decision never changes the state that it was given', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 5, maxLength: 40, size: 'max' }), (actions) => {
      const world = newWorld(330);
      play(world, actions);
      const before = structuredClone(world.state);
      decide(world.state, { type: 'tick', atMs: world.nowMs + 200_000 }, world.policy);
      assert.deepEqual(world.state, before);
    }),
    { numRuns: Math.ceil(runs / 4) },
  );
});
