/** Named stories for the golden files: each is a beginning, and a few happenings to understand expertd by. */
import type { Device, Throttling } from '../../agent/device.ts';
import type { Expert, RoutingFacts, Rule } from '../../agent/types.ts';
import { coolDevice } from '../fakes/survey.ts';
import { axis, expert, features, MB } from './made.ts';
import { candidate, NEW, stage } from './rollouts.ts';
import { lookAt, use, worldOf } from './story.ts';
import type { World } from './world.ts';

/** The hash of one word is as good as another. */
const FEVER = 7;

function routing(change: Partial<RoutingFacts> = {}): RoutingFacts {
  return { languages: ['*'], rules: [], vocabulary: new Uint32Array(), prototypes: [], ...change };
}

function embedder(): Expert {
  return expert('embedder', { task: 'feature-extraction', residentMb: 30 });
}

function medical(prototypes: readonly Int8Array[] | null): Expert {
  const vocabulary = Uint32Array.of(FEVER);
  return expert('medical', { residentMb: 50, loadMb: 60, routing: routing({ vocabulary, prototypes }) });
}

const aboutFever = {
  features: features({ terms: Uint32Array.of(FEVER), words: Uint32Array.of(FEVER) }),
} as const;

/** One rule that matches scores 0.950, two 0.975. */
const aboutHeat: Rule = { any: [FEVER], all: [], not: [], code: null };

function heated(celsius: number, now: readonly Throttling[] = []): Device {
  return coolDevice({
    thermal: { zone: 'cpu-thermal', celsius, slowCelsius: 80 },
    throttle: { now, seen: now },
  });
}

export interface Story {
  readonly about: string;
  /** The world before the story: what happened until then is not told. */
  given(): World;
  play(world: World): void;
}

export const stories: Readonly<Record<string, Story>> = {
  'first-question': {
    about: 'A device starts; the router learns; a question is embedded, chosen for, loaded for and answered.',
    given: () => {
      const world = worldOf({ experts: [embedder(), medical(null)], settings: { embedder: 'embedder' } });
      return world;
    },
    play: (world) => {
      world.pass(300);
      world.finish('load embedder');
      world.pass(20);
      world.finish('learn medical');
      world.pass(1_000);
      world.ask('r1', aboutFever);
      world.pass(3);
      world.happen({
        type: 'features',
        request: 'r1',
        lease: 2,
        language: null,
        embedding: axis(1),
        error: null,
      });
      world.pass(100);
      world.finish('load medical');
      world.pass(5);
      world.finish('grant r1');
    },
  },
  'making-room': {
    about:
      'The budget holds two of three experts: the least valuable goes, its bytes are seen to return, the load starts.',
    given: () => {
      const experts = ['often', 'rare', 'new'].map((id) => expert(id, { residentMb: 40 }));
      const world = worldOf({ experts, settings: { budgetBytes: 180 * MB } });
      use(world, 'often');
      use(world, 'often');
      use(world, 'rare');
      return world;
    },
    play: (world) => {
      world.ask('r1', { model: 'new' });
      world.ask('r2', { model: 'new' });
      world.pass(15);
      world.finish('unload rare');
      world.pass(90);
      world.finish('load new');
    },
  },
  'busy-cell': {
    about:
      'No room for a second cell: the busy one drains, the load goes in, and both questions are answered.',
    given: () => {
      const world = worldOf({ experts: [expert('a'), expert('b')], settings: { budgetBytes: 150 * MB } });
      use(world, 'a');
      return world;
    },
    play: (world) => {
      world.ask('r1', { model: 'a' });
      world.ask('r2', { model: 'b' });
      world.ask('r3', { model: 'a' });
      world.pass(40);
      world.finish('grant r1');
      world.pass(100);
      world.finish('load b');
    },
  },
  'crash-loop': {
    about:
      'An expert kills its cell twice: the request of its neighbour survives, its own is refused, and it goes to quarantine.',
    given: () => {
      const world = worldOf({ experts: [expert('bad'), expert('good')], settings: { crashLimit: 2 } });
      use(world, 'bad');
      use(world, 'good');
      return world;
    },
    play: (world) => {
      world.ask('r1', { model: 'bad' });
      world.ask('r2', { model: 'good' });
      world.crash('fast-1');
      world.finish('load good');
      world.finish('grant r2');
      world.pass(1_000);
      world.finish('load bad');
      world.crash('fast-2');
      world.ask('r3', { model: 'bad' });
      world.happen({ type: 'command', command: 'clear', expert: 'bad' });
    },
  },
  'memory-pressure': {
    about:
      'The device runs short of memory: an idle expert goes, loads are refused, and both end above the watermark.',
    given: () => {
      const world = worldOf({ experts: [expert('idle'), expert('busy'), expert('absent')] });
      use(world, 'idle');
      use(world, 'busy');
      return world;
    },
    play: (world) => {
      world.ask('r1', { model: 'busy' });
      world.sample(45 * MB, 12);
      world.ask('r2', { model: 'absent' });
      world.finish('unload idle');
      world.sample(60 * MB, 8);
      world.sample(66 * MB, 2);
      world.ask('r3', { model: 'absent' });
    },
  },
  'hot-device': {
    about:
      'A hot device stays with the expert that is loaded, though another is a little better; it still loads what is named.',
    given: () => {
      const loaded = expert('loaded', { routing: routing({ rules: [aboutHeat] }) });
      const better = expert('better', { routing: routing({ rules: [aboutHeat, aboutHeat] }) });
      const world = worldOf({ experts: [loaded, better] });
      use(world, 'loaded');
      return world;
    },
    play: (world) => {
      const question = { features: features({ terms: Uint32Array.of(FEVER) }) };
      lookAt(world, heated(69));
      lookAt(world, heated(79));
      world.ask('r1', question);
      world.finish('grant r1');
      lookAt(world, heated(74, ['under-voltage']));
      world.ask('r2', { model: 'better' });
      world.pass(230);
      world.finish('load better');
      world.finish('grant r2');
      lookAt(world, heated(60));
      world.ask('r3', question);
    },
  },
  'too-large': {
    about:
      'What can never fit is refused with the numbers; what is pinned stays, and unpinning it opens the way.',
    given: () => {
      const kept = expert('kept', { residentMb: 100, pinned: true });
      const world = worldOf({
        experts: [kept, expert('large', { residentMb: 120 }), expert('huge', { residentMb: 300 })],
      });
      world.finish('load kept');
      return world;
    },
    play: (world) => {
      world.ask('r1', { model: 'huge' });
      world.ask('r2', { model: 'large' });
      world.happen({ type: 'command', command: 'unpin', expert: 'kept' });
      world.ask('r3', { model: 'large' });
      world.finish('unload kept');
    },
  },
  'new-version': {
    about: 'A new version waits for the lease of the old one; who asks meanwhile is served by the new one.',
    given: () => {
      const world = worldOf({ experts: [expert('a')] });
      use(world, 'a');
      return world;
    },
    play: (world) => {
      world.ask('r1', { model: 'a' });
      world.happen({ type: 'installed', expert: expert('a', { version: '2.0.0', digest: 'second' }) });
      world.ask('r2', { model: 'a' });
      world.finish('grant r1');
      world.finish('unload a');
      world.finish('load a');
      world.finish('grant r2');
      world.happen({ type: 'removed', expert: 'a' });
      world.finish('unload a');
    },
  },
  rollout: {
    about:
      'A new version shows its golden answers, then answers half of the requests; what it fails the old one answers, and it is rolled back. The next one takes the place.',
    given: () => {
      const world = worldOf({ experts: [expert('a')] });
      use(world, 'a');
      return world;
    },
    play: (world) => {
      const canary = { share: 0.5, decisions: 2, ms: null };
      stage(world, candidate(), canary);
      world.finish(`load ${NEW}`);
      world.finish(`test ${NEW}`);
      for (const request of ['r1', 'r2', 'r3', 'r4']) world.ask(request, { model: 'a' });
      world.finish('grant r2', 'fail');
      world.finish('grant r4', 'fail');
      for (const request of ['r1', 'r3', 'r2', 'r4']) world.finish(`grant ${request}`);
      world.finish('rollout a');
      world.finish('stop fast-2');
      stage(world, candidate({}, 'a', '2.0.1'), canary);
      world.finish('load a@2.0.1');
      world.finish('test a@2.0.1');
      for (const request of ['r5', 'r6', 'r7', 'r8']) {
        world.ask(request, { model: 'a' });
        world.finish(`grant ${request}`);
      }
      world.finish('rollout a');
      world.finish('stop fast-3');
      world.finish('unload a');
      world.ask('r9', { model: 'a' });
    },
  },
  'embedder-lost': {
    about:
      'The cell of the embedder dies under a question: words alone choose, and nobody waits for the embedder.',
    given: () => {
      const world = worldOf({
        experts: [embedder(), medical([axis(1)])],
        settings: { embedder: 'embedder' },
      });
      world.finish('load embedder');
      return world;
    },
    play: (world) => {
      world.ask('r1', aboutFever);
      world.crash('fast-1', 'killed by SIGKILL');
      world.finish('route r1');
      world.finish('load medical');
      world.finish('grant r1');
      world.ask('r2');
    },
  },
  'stuck-run': {
    about:
      'A run does not end: its client is told at the deadline, its cell dies after the grace, the next one is tried again.',
    given: () => {
      const world = worldOf({ experts: [expert('stuck'), expert('next')] });
      use(world, 'stuck');
      use(world, 'next');
      return world;
    },
    play: (world) => {
      world.ask('r1', { model: 'stuck' });
      world.pass(5_000);
      world.ask('r2', { model: 'next' });
      world.pass(5_000);
      world.pass(2_000);
      world.finish('stop fast-1');
      world.finish('load next');
    },
  },
};
