import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../agent/errors.ts';
import { loadFailure, plainMessage, runFailure } from '../../agent/runtime/failure.ts';
import { say } from './started.ts';

const here = import.meta.dirname;

test('what the runtime says loses source positions and folders, and keeps its sense', () => {
  const cases = [
    [`Load model from ${here}/m.onnx failed:Protobuf parsing failed.`, 'Protobuf parsing failed.'],
    [
      'Load model from /tmp/m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:187 onnxruntime::Model::' +
        'Model(onnx::ModelProto&&, const onnxruntime::ModelOptions&) ModelProto does not have a graph.\n',
      'ModelProto does not have a graph.',
    ],
    [
      `External data path does not exist: "${here}/m.onnx.data"`,
      'External data path does not exist: "m.onnx.data"',
    ],
    [
      "Non-zero status code returned while running Add node. Name:'/layers.0/Add'",
      "Non-zero status code returned while running Add node. Name:'/layers.0/Add'",
    ],
  ] as const;
  for (const [said, kept] of cases) assert.equal(plainMessage(new Error(said)), kept);
});

test('an AgentError is passed on as it is, anything else as bad_expert or run_failed', () => {
  const own = new AgentError('bad_answer', 'its output is not finite', {
    hint: 'Report it.',
    retryable: true,
  });
  assert.deepEqual(loadFailure(own, 'x'), own.toFailure());
  assert.deepEqual(runFailure(own, 'x', say('what is that?')), own.toFailure());
  assert.equal(loadFailure(new Error('no'), 'x').code, 'bad_expert');
  assert.equal(runFailure(new Error('no'), 'x', say('what is that?')).code, 'run_failed');
  assert.equal(
    runFailure('thrown text', 'x', say('what is that?')).message,
    'The expert "x" failed: thrown text',
  );
});

test('no failure of a run holds a piece of the request, whatever the error says', () => {
  const piece = fc.string({ minLength: 12, maxLength: 60 });
  fc.assert(
    fc.property(fc.string(), piece, fc.string(), fc.boolean(), (before, words, behind, own) => {
      const message = `${before}${words}${behind}`;
      const error = own ? new AgentError('bad_answer', message) : new Error(message);
      const failure = runFailure(error, 'expert', say(`please: ${words}`));
      assert.ok(!failure.message.includes(words), failure.message);
      assert.equal(failure.code, own ? 'bad_answer' : 'run_failed');
    }),
  );
});

test('a short request is not repeated either', () => {
  assert.ok(!runFailure(new Error('bad input: secret!'), 'x', say('secret!')).message.includes('secret'));
});

test('nor is a text that is to be continued', () => {
  const ask = { ...say(''), raw: 'once upon a time there was' };
  assert.ok(!runFailure(new Error('no: "upon a time there"'), 'x', ask).message.includes('upon'));
});

test('the texts of an embeddings request are looked at as well', () => {
  const ask = { kind: 'embeddings', texts: ['one', 'the second text of two'] } as const;
  assert.ok(!runFailure(new Error('cannot read "the second text"'), 'x', ask).message.includes('second'));
});

test('messages are bounded', () => {
  const long = new AgentError('bad_answer', 'x'.repeat(10_000), { hint: 'y'.repeat(10_000) });
  const failure = loadFailure(long, 'x');
  assert.ok(failure.message.length <= 1_000 && (failure.hint ?? '').length <= 1_000);
  assert.ok(runFailure(new Error('z'.repeat(10_000)), 'x', say('what is that?')).message.length <= 1_000);
});

test('only what is told of a message is searched for quotations', () => {
  const long = new AgentError('bad_input', `${'x'.repeat(10_000)} what is that?`);
  assert.match(runFailure(long, 'x', say('what is that?')).message, /^x+$/);
});
