/** The cost of a decision grows with the experts or with the requests, never with one times the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../agent/decide.ts';
import type { Entry, ExpertId, State } from '../../agent/types.ts';
import { expert, MB } from './made.ts';
import { use, worldOf } from './story.ts';
import type { World } from './world.ts';

/** Counts how often a table is gone through. */
class CountingMap extends Map<ExpertId, Entry> {
  passes = 0;
  override values(): MapIterator<Entry> {
    this.passes++;
    return super.values();
  }
}

function passesOver(world: World): number {
  const experts = new CountingMap(world.state.experts);
  const state: State = { ...world.state, experts };
  decide(state, { type: 'tick', atMs: world.nowMs }, world.policy);
  return experts.passes;
}

/** How often one decision goes through the experts while so many requests wait. */
const scenes: Readonly<Record<string, (waiting: number) => number>> = {
  'to be embedded while the cell loads': (waiting) => {
    const world = worldOf({
      experts: [expert('embedder', { task: 'feature-extraction' }), expert('a')],
      settings: { embedder: 'embedder' },
    });
    world.finish('load embedder');
    world.ask('first', { model: 'a' });
    for (let index = 0; index < waiting; index++) world.ask(`r${index}`);
    return passesOver(world);
  },
  'for a place': (waiting) => {
    const world = worldOf({ experts: [expert('a')] });
    use(world, 'a');
    for (let index = 0; index < waiting + 8; index++) world.ask(`r${index}`, { model: 'a' });
    return passesOver(world);
  },
  'for as many experts behind a load that waits': (waiting) => {
    const experts = Array.from({ length: waiting + 1 }, (_, index) => expert(`e${index}`));
    const world = worldOf({ experts, settings: { budgetBytes: 150 * MB } });
    use(world, 'e0');
    for (let index = 0; index <= waiting; index++) world.ask(`r${index}`, { model: `e${index}` });
    return passesOver(world);
  },
};

for (const [name, passesAt] of Object.entries(scenes)) {
  test(`requests that wait ${name} do not each go through all experts`, () => {
    assert.equal(passesAt(300), passesAt(10));
  });
}
