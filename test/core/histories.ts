/** Random histories: requests, failures, crashes, pressure, hang-ups, versions that come and go. What they do to a world. */
import fc from 'fast-check';
import type { Canary } from '../../agent/rollout.ts';
import type { Expert, Task } from '../../agent/types.ts';
import { coolDevice } from '../fakes/survey.ts';
import { BAD } from './happening.ts';
import { expert, MB, settings } from './made.ts';
import type { TrueSize } from './true-memory.ts';
import { World } from './world.ts';

export type Action =
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
  | { readonly kind: 'install'; readonly index: number; readonly remove: boolean }
  | {
      readonly kind: 'stage';
      readonly index: number;
      readonly version: string;
      readonly content: number;
      readonly canary: Canary | null;
    }
  | { readonly kind: 'unstage'; readonly index: number; readonly how: 'removed' | 'rolledBack' };

export const action: fc.Arbitrary<Action> = fc.oneof(
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
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('stage' as const),
      index: fc.nat(6),
      version: fc.constantFrom('2.0.0', '2.0.0', '3.0.0'),
      content: fc.nat(1),
      canary: fc.constantFrom<Canary | null>(
        null,
        { share: 1, decisions: 2, ms: null },
        { share: 0.5, decisions: 3, ms: null },
        { share: 0.7, decisions: null, ms: 50_000 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('unstage' as const),
      index: fc.nat(6),
      how: fc.constantFrom('removed' as const, 'rolledBack' as const),
    }),
  },
);

export const IDS = ['embedder', 'a', 'b', 'c', 'heavy', 'alone', 'huge'];

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

function expertOf(id: string, version: string): Expert {
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
  return { ...made, memory: { ...made.memory, measured: false } };
}

function install(world: World, id: string, version = '1.0.0'): void {
  world.happen({ type: 'installed', expert: expertOf(id, version) });
}

function stage(world: World, { index, version, content, canary }: Extract<Action, { kind: 'stage' }>): void {
  const of = IDS[index] ?? 'a';
  // The catalog stages nothing beside what is not here.
  const old = world.state.experts.get(of);
  if (old === undefined || old.fate?.kind === 'remove') return;
  const fresh = { ...expertOf(of, version), id: `${of}@${version}`, digest: `${of} ${version} ${content}` };
  const progress = { answered: content, elapsedMs: content };
  world.happen({ type: 'staged', expert: { ...fresh, candidateOf: of }, of, canary, progress });
}

function unstage(world: World, { index, how }: Extract<Action, { kind: 'unstage' }>): void {
  const of = IDS[index] ?? 'a';
  const candidate = world.state.rollouts.get(of)?.candidate;
  if (how === 'rolledBack') world.happen({ type: 'rolledBack', expert: of, version: '4.0.0', why: BAD });
  else if (candidate !== undefined) world.happen({ type: 'removed', expert: candidate });
}

export function play(world: World, actions: readonly Action[]): void {
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
      case 'stage':
        stage(world, next);
        break;
      case 'unstage':
        unstage(world, next);
        break;
    }
  }
}

export function newWorld(budgetMb: number, swapDelayMs = 2_000): World {
  const budgetBytes = budgetMb * MB;
  return new World(
    settings({ budgetBytes, embedder: 'embedder', idleMs: 60_000, prefetch: true, swapDelayMs }),
    sizes,
  );
}
