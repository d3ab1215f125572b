/** Languages: who names them, who speaks them, and what is said when nobody does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axis, expert } from './made.ts';
import { said, worldOf } from './story.ts';

const English = {
  routing: { languages: ['en'], rules: [], vocabulary: new Uint32Array(), prototypes: [axis(1)] },
};
const Anybody = {
  routing: { languages: ['*'], rules: [], vocabulary: new Uint32Array(), prototypes: [axis(2)] },
};
const French = {
  routing: { languages: ['fr-FR'], rules: [], vocabulary: new Uint32Array(), prototypes: [axis(3)] },
};

function seeing(embedderSpeaks = ['en'], isolation: 'shared' | 'own' = 'shared') {
  const embedder = expert('embedder', {
    task: 'feature-extraction',
    routing: { ...Anybody.routing, languages: embedderSpeaks },
  });
  const detector = expert('lang-id', { ...Anybody, isolation });
  const experts = [embedder, detector, expert('medical', English), expert('accents', French)];
  const world = worldOf({ experts, settings: { embedder: 'embedder', languageDetector: 'lang-id' } });
  world.finish('load embedder');
  world.finish('load lang-id');
  return world;
}

function answered(world: ReturnType<typeof seeing>, embedding: Int8Array, language: string | null) {
  world.ask('r1');
  const lease = [...world.state.leases.keys()].at(-1) ?? null;
  return world.happen({ type: 'features', request: 'r1', lease, embedding, language, error: null });
}

test('both senses are loaded by themselves, and kept when idle', () => {
  const world = seeing();
  world.pass(10_000_000);
  for (const id of ['embedder', 'lang-id'])
    assert.equal(world.state.experts.get(id)?.residency.state, 'resident');
});

test('the detector looks in the embedder’s turn if they share a cell, else nobody looks', () => {
  const shared = seeing();
  const [step] = shared.ask('r1').steps;
  assert.ok(step?.type === 'embed' && step.detector === 'lang-id');
  const apart = seeing(['en'], 'own');
  const [other] = apart.ask('r1').steps;
  assert.ok(other?.type === 'embed' && other.detector === null);
});

test('an expert answers in the languages it speaks, and where the language is not known', () => {
  for (const language of ['en', 'en-GB', null]) {
    assert.equal(answered(seeing(), axis(1), language).choice?.expert, 'medical', String(language));
  }
});

test('in a language that the embedder does not speak, meaning is no guide: words alone decide', () => {
  const decision = answered(seeing(), axis(3), 'fr');
  assert.deepEqual(
    said(decision),
    ['abstain r1'],
    'the vector is near the examples of accents, and says nothing',
  );
  assert.equal(answered(seeing(), axis(3), null).choice?.expert, 'accents');
  assert.equal(answered(seeing(['en', 'fr']), axis(3), 'fr').choice?.expert, 'accents');
});

test('what fits and does not speak the language is passed over, and the record says so', () => {
  const decision = answered(seeing(['en', 'de']), axis(1), 'de');
  assert.deepEqual(said(decision), ['abstain r1']);
  assert.equal(decision.choice?.language, 'de');
  assert.match(decision.choice?.candidates.map(({ why }) => why).join() ?? '', /does not speak de/);
  assert.match(decision.reasons.join(), /the request is in de/);
});
