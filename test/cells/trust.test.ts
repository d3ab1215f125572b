/** What a cell sends, prints and inherits is not taken on trust: the agent outlives all of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PROTOCOL } from '../../agent/cells/protocol.ts';
import { AgentError } from '../../agent/errors.ts';
import { runScripted, StartedCells, say, scripted, textOf } from './started.ts';

const experts = new Map([
  ['good', scripted('good')],
  ['thrower', scripted('thrower', 'throws')],
]);
const limit = { timeout: 60_000 };
const linuxOnly = { ...limit, skip: process.platform !== 'linux' && 'needs /proc' };

async function loaded(lane: 'fast' | 'heavy' = 'fast'): Promise<StartedCells> {
  const started = new StartedCells(experts);
  await started.cells.load('fast-1', lane, 'good');
  return started;
}

/** The load was call 1, the run is call 2. */
const FORGERIES: readonly (readonly [what: string, question: string, cause: RegExp])[] = [
  ['bytes without sense', 'noise 0000000401020304', /a frame is not in the format of V8$/],
  ['a frame of 4 GB', 'noise ffffffff', /a frame of 4294967295 bytes is announced$/],
  ['no message', 'forge 17', /"message" is missing or not of the right kind$/],
  ['a message of no known type', 'forge {"type":"hello","call":2}', /"type" is missing/],
  [
    'an answer to nobody',
    'forge {"type":"delta","call":77,"piece":{"text":"x","tokens":[]}}',
    /an answer to a call that is not open$/,
  ],
  [
    'an answer of another kind',
    'forge {"type":"unloaded","call":2,"unloaded":{"cellBytes":1,"weights":null}}',
    /a "unloaded" that was not asked/,
  ],
  [
    'more than all of it cold',
    'forge {"type":"cached","expert":"good","cached":{"bytes":1,"coldBytes":2}}',
    /"coldBytes" is missing or not of the right kind$/,
  ],
  [
    'what is cached of an expert that it never had',
    'forge {"type":"cached","expert":"thrower","cached":{"bytes":1,"coldBytes":0}}',
    /a "cached" of an expert it never had$/,
  ],
  ['another protocol', `forge {"type":"ready","protocol":${PROTOCOL + 1}}`, /protocol of another version/],
  ['a probability that is no number', 'nan', /"score" is missing or not of the right kind$/],
];

for (const [what, question, cause] of FORGERIES) {
  test(`a cell that sends ${what} is killed, and the agent goes on`, limit, async () => {
    await using started = await loaded();
    await assert.rejects(runScripted(started, question), { code: 'cell_exited' });
    const told = await started.exited('fast-1');
    assert.match(told, /^killed by the agent: it sent /);
    assert.match(told, cause);
    assert.ok(started.logged.some(({ level, text }) => level === 'warn' && text.includes('malformed')));
    await started.cells.load('fast-2', 'fast', 'good');
  });
}

test('an answer of another kind than was asked for ends the cell', limit, async () => {
  await using started = await loaded();
  const forged = { kind: 'embeddings', vectors: [], inputTokens: 0 };
  const question = `forge ${JSON.stringify({ type: 'answered', call: 2, report: { answer: forged, stages: {} } })}`;
  await assert.rejects(runScripted(started, question), { code: 'cell_exited' });
});

test('embeddings come as they are in the cell, one a text', limit, async () => {
  await using started = await loaded();
  const ask = { kind: 'embeddings', texts: ['a', 'bb', 'ccc'] } as const;
  const { answer } = await started.cells.run({ cell: 'fast-1', lease: 1, expert: 'good', ask }, () => {});
  assert.ok(answer.kind === 'embeddings');
  const expected = new Float32Array(384).fill(1 / Math.sqrt(384));
  assert.deepEqual(answer.vectors[1], expected);
  assert.deepEqual(answer.vectors[2], expected.fill(0, 0, 1));
});

test('what a cell prints reaches the log by lines', limit, async () => {
  await using started = await loaded();
  await runScripted(started, 'print a warning of the library');
  await started[Symbol.asyncDispose]();
  assert.ok(started.logged.some(({ text }) => text.includes('"line":"a warning of the library"')));
});

test("a user's words are in no error and in no log", limit, async () => {
  await using started = await loaded();
  const words = 'my name is Ada Lovelace';
  const failure = await runScripted(started, `throw ${words}`).then(String, (error: unknown) => error);
  assert.ok(failure instanceof AgentError);
  assert.deepEqual([failure.code, failure.message.includes('Ada')], ['run_failed', false], failure.message);
  const refused = await runScripted(started, `refuse ${words}`).then(String, (error: unknown) => error);
  assert.ok(
    refused instanceof AgentError && refused.code === 'wrong_task' && !refused.message.includes('Ada'),
  );
  await started[Symbol.asyncDispose]();
  assert.ok(!started.logged.some(({ text }) => text.includes('Ada')));
});

test('a failed load names the file, not the folder of this machine', limit, async () => {
  await using started = await loaded();
  await assert.rejects(started.cells.load('fast-1', 'fast', 'thrower'), (error) => {
    assert.ok(error instanceof AgentError && error.code === 'bad_expert');
    const folder = fileURLToPath(new URL('.', import.meta.url));
    assert.ok(!error.message.includes(folder) && error.message.includes('model.onnx'), error.message);
    return true;
  });
});

test('a request that is too large for the channel is refused, and the next one runs', limit, async () => {
  await using started = await loaded();
  const huge = { ...say('say x'), focus: 'x'.repeat(65 * 1024 * 1024) };
  const call = { cell: 'fast-1', lease: 1, expert: 'good', ask: huge } as const;
  await assert.rejects(
    started.cells.run(call, () => {}),
    { code: 'too_large' },
  );
  assert.equal(await textOf(runScripted(started, 'say fine')), 'fine');
});

test("a cell has the settings of the runtime and none of the agent's secrets", linuxOnly, async () => {
  process.env['EXPERTD_HTTP_TOKEN'] = 'a secret of the agent';
  try {
    await using started = await loaded();
    const environment = (await textOf(runScripted(started, 'status environ'))).split('\0');
    for (const setting of ['ORT_DISABLE_TELEMETRY=1', 'MALLOC_MMAP_THRESHOLD_=65536', 'MALLOC_ARENA_MAX=1']) {
      assert.ok(environment.includes(setting), setting);
    }
    assert.ok(!environment.some((entry) => entry.includes('secret')));
  } finally {
    delete process.env['EXPERTD_HTTP_TOKEN'];
  }
});

for (const [lane, score, nice] of [
  ['fast', '500', '0'],
  ['heavy', '800', '5'],
] as const) {
  test(`a cell of the ${lane} lane yields to others`, linuxOnly, async () => {
    await using started = await loaded(lane);
    assert.equal((await textOf(runScripted(started, 'status oom_score_adj'))).trim(), score);
    // proc(5): the 19th field; the name in brackets before it holds no blanks.
    assert.equal((await textOf(runScripted(started, 'status stat'))).split(' ')[18], nice);
  });
}
