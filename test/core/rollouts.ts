/** Short forms for tests of rollouts: an expert `a` that works, and the version of it that is to take its place. */

import type { Canary, Progress, Rollout } from '../../agent/rollout.ts';
import { wantOf } from '../../agent/routing.ts';
import type { Settings } from '../../agent/tuning.ts';
import type { Expert } from '../../agent/types.ts';
import { expert } from './made.ts';
import { worldOf } from './story.ts';
import type { World } from './world.ts';

export type Change = Parameters<typeof expert>[1];

export const NEW = 'a@2.0.0';
/** All requests, and enough of them that a probation does not end by itself. */
export const EVERY: Canary = { share: 1, decisions: 1_000, ms: null };

const NOTHING: Progress = { answered: 0, elapsedMs: 0 };

export function candidate(change: Change = {}, of = 'a', version = '2.0.0'): Expert {
  const id = `${of}@${version}`;
  return { ...expert(id, change), version, candidateOf: of };
}

export function stage(
  world: World,
  fresh: Expert = candidate(),
  canary: Canary | null = EVERY,
  progress: Progress = NOTHING,
): void {
  world.happen({ type: 'staged', expert: fresh, of: fresh.candidateOf ?? '', canary, progress });
}

export interface Beginning {
  readonly old?: Change;
  readonly fresh?: Change;
  readonly canary?: Canary | null;
  readonly others?: readonly Expert[];
  readonly settings?: Partial<Settings>;
  readonly trueMb?: Readonly<Record<string, number>>;
}

/** The old version is in memory and at rest. */
export function working({ old, others = [], settings = {}, trueMb = {} }: Beginning = {}): World {
  const world = worldOf({ experts: [expert('a', old), ...others], settings, trueMb });
  world.ask('first', { model: 'a', want: wantOf(old?.task ?? 'text-classification') });
  world.drain();
  return world;
}

/** The candidate is in memory, gave its golden answers, and is on probation. */
export function onProbation(beginning: Beginning = {}): World {
  const world = working(beginning);
  stage(world, candidate(beginning.fresh), beginning.canary);
  world.finish(`load ${NEW}`);
  world.finish(`test ${NEW}`);
  return world;
}

/** Asks for `a`, and lets whoever is asked answer. */
export function answer(world: World, count = 1): void {
  for (let turn = 0; turn < count; turn++) {
    const request = `q${world.log.length}`;
    world.ask(request, { model: 'a' });
    world.finish(`grant ${request}`);
  }
}

/** Asks for `a`; the candidate fails it, and the old version answers. */
export function failAtCandidate(world: World, count = 1): void {
  for (let turn = 0; turn < count; turn++) {
    const request = `q${world.log.length}`;
    world.ask(request, { model: 'a' });
    world.finish(`grant ${request}`, 'broken');
    world.finish(`grant ${request}`);
  }
}

/** What is known of the rollout of `a`. */
export function rolloutOf(world: World, of = 'a'): Rollout {
  const rollout = world.state.rollouts.get(of);
  if (rollout === undefined) throw new Error(`${of} has no rollout`);
  return rollout;
}

/** `phase`, and why it ended. */
export function outcomeOf(world: World, of = 'a'): string {
  const { phase, why } = rolloutOf(world, of);
  return why === null ? phase : `${phase}: ${why.code}`;
}

/** Who answered each of so many requests for `a`, one after the other. */
export function whoAnswers(world: World, count: number): string[] {
  return Array.from({ length: count }, () => {
    const request = `q${world.log.length}`;
    world.ask(request, { model: 'a' });
    world.finish(`grant ${request}`);
    return world.endOf(request) ?? 'nobody';
  });
}
