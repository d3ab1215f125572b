import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encode } from '../agent/codec.ts';
import { AgentError } from '../agent/errors.ts';
import { hashRule } from '../agent/perception.ts';
import type { Answer } from '../agent/ports.ts';
import { expert } from './core/made.ts';
import { type Caller, EMBEDDER, Engine, failing, type Told, unitVectors, WORDS } from './engine.ts';

const routing = { languages: ['*'], rules: [], vocabulary: new Uint32Array(), prototypes: [] };
const a = expert('a', { routing: { ...routing, rules: [hashRule({ any: ['alpha'] })] } });
const b = expert('b', { task: 'text-generation', lane: 'heavy' });

function codeOf(told: Told | undefined): string {
  if (told === undefined) return 'nothing yet';
  return 'refusal' in told ? told.refusal.failure.code : `answer of ${told.reply.expert ?? 'nobody'}`;
}

const codes = (caller: Caller): string[] => caller.told.map(codeOf);

/** Ends the check and the load of an expert that somebody waits for. */
async function load(engine: Engine, model: string): Promise<void> {
  await engine.settled();
  for (const kind of ['verify', 'load'] as const) {
    engine.work(kind, model).end();
    await engine.settled();
  }
}

/** With its expert loaded and its run begun. */
async function running(model = 'b') {
  const engine = new Engine({ experts: [a, b] });
  const caller = engine.ask('alpha', model);
  await load(engine, model);
  return { engine, caller, run: engine.work('run', model) };
}

test('an answer reaches its client with who gave it, and its lease ends', async () => {
  const { engine, caller, run } = await running();
  run.onDelta('wo');
  run.end();
  await engine.settled();
  const [told] = caller.told;
  assert.ok(told !== undefined && 'reply' in told);
  const { decision, expert: by, confidence, residency, router, answer, stages } = told.reply;
  assert.deepEqual([by, confidence, residency, router, answer], ['b', 1, 'absent', 'named', WORDS]);
  assert.ok(decision > 0 && 'cell' in stages && 'run' in stages);
  assert.deepEqual([caller.told.length, caller.deltas], [1, ['wo']]);
  assert.equal(engine.loop.state.leases.size, 0);
});

test('a run that fails is told once, by its own code', async () => {
  const { engine, caller, run } = await running();
  run.fail(new AgentError('context_overflow', 'too long'));
  await engine.settled();
  assert.deepEqual(codes(caller), ['context_overflow']);
  assert.equal(engine.loop.state.leases.size, 0);
});

test('an expert is prepared in half of the time that its load has left, so that the other half is for the load', async () => {
  const engine = new Engine({ experts: [b], settings: { loadDeadlineMs: 10_000 } });
  engine.ask('alpha', 'b');
  await engine.settled();
  engine.clock.advance(4_000);
  engine.work('verify', 'b').end();
  await engine.settled();
  assert.deepEqual(engine.preparingMs, [3_000]);
});

test('what is wrong with a request is told to its client, and not to the record', async () => {
  const { engine, caller, run } = await running();
  run.fail(new AgentError('bad_input', 'the schema names "secret"', { hint: 'Take "secret" out.' }));
  await engine.settled();
  const [told] = caller.told;
  assert.ok(told !== undefined && 'refusal' in told);
  assert.equal(told.refusal.failure.message, 'the schema names "secret"');
  assert.equal(told.refusal.failure.hint, 'Take "secret" out.');
  const record = [...engine.log.replay(0)];
  assert.ok(record.some((item) => item.kind === 'entry' && item.event.type === 'released'));
  assert.doesNotMatch(encode(record), /secret/);
});

/** With all that goes on in it. */
async function crash(engine: Engine, cell: string): Promise<void> {
  engine.works.clear();
  assert.ok(engine.runtime.crash(cell), `${cell} runs`);
  await engine.settled();
}

test('a cell that ends in mid-run: nothing was sent yet, so it is tried once more; then it is told', async () => {
  const { engine, caller } = await running();
  await crash(engine, 'heavy-1');
  assert.deepEqual(codes(caller), []);
  await engine.pass(2_000);
  await load(engine, 'b');
  await crash(engine, 'heavy-2');
  assert.deepEqual(codes(caller), ['cell_exited']);
});

test('a cell that ends in mid-stream: the client is told at once, and nothing is tried again', async () => {
  const { engine, caller, run } = await running();
  run.onDelta('half of ');
  engine.runtime.crash('heavy-1');
  assert.deepEqual(codes(caller), ['cell_exited'], 'at once');
  await engine.pass(5_000);
  assert.deepEqual(codes(caller), ['cell_exited']);
  assert.equal(engine.loop.state.requests.size, 0);
  run.onDelta('an answer');
  assert.deepEqual(caller.deltas, ['half of ']);
});

test('a cell that ends in mid-load: whoever waits is served by the next, or told when that ends too', async () => {
  const engine = new Engine({ experts: [a] });
  const caller = engine.ask('alpha', 'a');
  for (const cell of ['fast-1', 'fast-2']) {
    await engine.settled();
    engine.work('verify').end();
    await engine.settled();
    await crash(engine, cell);
    await engine.pass(10_000);
  }
  assert.deepEqual(codes(caller), ['load_failed']);
});

test('a package that fails its check is told by the file, and its cell is never started', async () => {
  const engine = new Engine({ experts: [a] });
  const caller = engine.ask('alpha', 'a');
  await engine.settled();
  engine.work('verify').fail(new AgentError('bad_expert', 'model.onnx is not what its manifest says'));
  await engine.settled();
  assert.deepEqual(codes(caller), ['load_failed']);
  const [told] = caller.told;
  assert.match(told !== undefined && 'refusal' in told ? told.refusal.failure.message : '', /model\.onnx/);
  assert.equal(engine.loop.state.experts.get('a')?.residency.state, 'quarantined');
  await engine.pass(60_000);
  assert.deepEqual([engine.runtime.pids().size, engine.loop.state.cells.size], [0, 0]);
});

test('a load that was given up while its files were checked is not begun', async () => {
  const engine = new Engine({ experts: [a], settings: { loadDeadlineMs: 1_000 } });
  const caller = engine.ask('alpha', 'a', 500);
  await engine.settled();
  const check = engine.work('verify');
  await engine.pass(1_000);
  assert.deepEqual(codes(caller), ['loading']);
  check.end();
  await engine.settled();
  assert.deepEqual([engine.runtime.pids().size, engine.works.size], [0, 0]);
  assert.equal(engine.loop.state.cells.size, 0);
});

test('a client that hangs up is told nothing more, whenever it does', async () => {
  for (const after of ['ask', 'verify', 'load', 'run'] as const) {
    const engine = new Engine({ experts: [a] });
    const caller = engine.ask('alpha', 'a');
    for (const kind of ['verify', 'load'] as const) {
      if (after === 'ask') break;
      await engine.settled();
      engine.work(kind).end();
      if (after === kind) break;
    }
    if (after === 'run') await engine.settled();
    engine.hangUp(caller);
    await engine.settled();
    for (const work of engine.works) work.end();
    await engine.settled();
    assert.deepEqual([after, ...codes(caller)], [after]);
    assert.deepEqual([engine.loop.state.requests.size, engine.loop.state.leases.size], [0, 0], after);
    assert.deepEqual(engine.runtime.violations, []);
  }
});

test('what a run says after its client was refused for the deadline is dropped', async () => {
  const { engine, caller, run } = await running('a');
  await engine.pass(10_000);
  assert.deepEqual(codes(caller), ['deadline']);
  run.onDelta('late');
  run.end();
  await engine.settled();
  assert.deepEqual([codes(caller), caller.deltas], [['deadline'], []]);
});

const BAD_EMBEDDERS: Readonly<Record<string, (texts: readonly string[]) => Promise<Answer>>> = {
  'a vector of NaN': async (texts) => ({
    kind: 'embeddings',
    vectors: texts.map(() => Float32Array.from([Number.NaN, 1])),
    inputTokens: 1,
  }),
  'no vector': async () => ({ kind: 'embeddings', vectors: [], inputTokens: 1 }),
  'another kind of answer': async () => WORDS,
  'an error': () => Promise.reject(new AgentError('run_failed', 'the graph fails')),
};

for (const [what, embedding] of Object.entries(BAD_EMBEDDERS)) {
  test(`an embedder that answers with ${what}: words decide`, async () => {
    const engine = new Engine({
      experts: [EMBEDDER, { ...a, routing: { ...routing, prototypes: [] } }],
      settings: { embedder: 'e' },
      eager: ['e', 'a'],
      embedding,
    });
    await engine.settled();
    assert.equal(engine.loop.state.experts.get('e')?.residency.state, 'resident');
    const caller = engine.ask('alpha', null);
    await engine.settled();
    assert.deepEqual(codes(caller), ['answer of nobody']);
    const features = engine.log.entries.map(({ event }) => event).find(({ type }) => type === 'features');
    assert.ok(features?.type === 'features' && features.embedding === null && features.error !== null);
    assert.equal(engine.loop.state.leases.size, 0);
  });
}

test('an embedder that ends in mid-run takes no request with it', async () => {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const engine = new Engine({
    experts: [EMBEDDER, a],
    settings: { embedder: 'e' },
    eager: ['e', 'a'],
    embedding: () => promise,
  });
  await engine.settled();
  const caller = engine.ask('what', null);
  await engine.settled();
  engine.runtime.crash('fast-1');
  resolve(await unitVectors(['late']));
  await engine.settled();
  await engine.pass(60_000);
  assert.deepEqual(codes(caller), ['answer of nobody']);
});

test('the text of a request whose client is gone is not embedded', async () => {
  const embedded: string[] = [];
  const engine = new Engine({
    experts: [EMBEDDER, a],
    settings: { embedder: 'e' },
    eager: ['e', 'a'],
    embedding: (texts) => {
      embedded.push(...texts);
      return unitVectors(texts);
    },
  });
  await engine.settled();
  const caller = engine.ask('a secret', null);
  engine.desk.drop(caller.id);
  await engine.settled();
  assert.deepEqual(embedded, []);
  assert.equal(engine.loop.state.leases.size, 0);
});

// ---- every client is told exactly once --------------------------------------------------------------------------

const index = fc.nat(40);
const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('ask' as const),
      model: fc.constantFrom('a', 'b', null, 'nobody'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('hangUp' as const), index }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('end' as const), index }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('fail' as const), index, retryable: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('delta' as const), index }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('crash' as const), index }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('pass' as const),
      ms: fc.constantFrom(20, 50, 200, 1_000, 9_000, 31_000, 400_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('unload' as const), model: fc.constantFrom('a', 'b', 'e') }),
  },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function pick<T>(from: Iterable<T>, at: number): T | undefined {
  const all = [...from];
  return all[at % Math.max(1, all.length)];
}

function perform(engine: Engine, one: Operation): void {
  switch (one.op) {
    case 'ask':
      engine.ask('alpha beta', one.model);
      return;
    case 'hangUp': {
      const caller = pick(
        engine.callers.filter(({ told, hungUp }) => told.length === 0 && !hungUp),
        one.index,
      );
      if (caller !== undefined) engine.hangUp(caller);
      return;
    }
    case 'end':
      return pick(engine.works, one.index)?.end();
    case 'fail':
      return pick(engine.works, one.index)?.fail(failing(one.retryable));
    case 'delta':
      return pick(engine.works, one.index)?.onDelta('x');
    case 'crash': {
      const cell = pick(engine.runtime.pids().keys(), one.index);
      if (cell !== undefined) engine.runtime.crash(cell);
      return;
    }
    case 'pass':
      return engine.clock.advance(one.ms);
    case 'unload':
      return engine.loop.push({ type: 'command', command: 'unload', expert: one.model });
  }
}

/** Both experts are resident and free. */
async function warmUp(engine: Engine): Promise<void> {
  for (const model of ['a', 'b']) {
    engine.ask('alpha', model);
    for (let work = 0; work < 6; work++) {
      await engine.settled();
      for (const one of engine.works) one.end();
    }
  }
  await engine.settled();
}

/** Everything that goes on ends well, and time passes. */
async function finish(engine: Engine): Promise<void> {
  for (let round = 0; round < 40; round++) {
    for (const work of [...engine.works]) work.end();
    await engine.pass(20_000);
  }
}

test('whatever happens, every client is told exactly once, and nothing is left behind', async () => {
  const run = async (
    operations: readonly (readonly [Operation, boolean])[],
    warm: boolean,
  ): Promise<void> => {
    const engine = new Engine({
      experts: [EMBEDDER, a, b],
      settings: { embedder: 'e', maxQueue: 6 },
      embedding: (texts) => (texts[0]?.length === 13 ? Promise.reject(failing(true)) : unitVectors(texts)),
    });
    if (warm) await warmUp(engine);
    for (const [one, settles] of operations) {
      perform(engine, one);
      if (settles) await engine.settled();
    }
    await finish(engine);
    for (const { id, told, hungUp } of engine.callers) {
      assert.ok(
        told.length === (hungUp ? 0 : 1),
        `${id} ${hungUp ? 'hung up and' : ''} was told ${told.map(codeOf).join()}`,
      );
    }
    const { requests, leases } = engine.loop.state;
    assert.deepEqual([requests.size, leases.size, engine.desk.ids().length], [0, 0, 0]);
    assert.deepEqual([engine.runtime.violations, engine.faults], [[], []]);
  };
  // Often, but not always, everything comes to rest in between.
  const step = fc.tuple(
    operation,
    fc.integer({ min: 0, max: 3 }).map((chance) => chance > 0),
  );
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), fc.boolean(), run), {
    numRuns: 100,
  });
});

test('the desk tells whoever comes second nothing, and knows nobody afterwards', async () => {
  const engine = new Engine({ experts: [] });
  const caller = engine.ask('x', 'nobody');
  await engine.settled();
  engine.desk.answer(caller.id, WORDS, {});
  engine.desk.refuse(caller.id, { failure: failing(true).toFailure(), retryAfterMs: null, loading: null });
  engine.desk.delta(caller.id, 1, { text: 'late', tokens: [] });
  assert.deepEqual([codes(caller), caller.deltas], [['model_not_found'], []]);
  assert.deepEqual([engine.desk.ask(caller.id), engine.desk.hasStarted(caller.id, 1)], [null, false]);
});
