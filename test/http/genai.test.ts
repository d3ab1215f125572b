import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from '../fakes/service.ts';
import { type Harness, harness, user } from './harness.ts';
import { infer, row, tensorHarness } from './oip-asking.ts';

async function lines(made: Harness, metric: string): Promise<string[]> {
  const { body } = await made.get('/metrics');
  return body.split('\n').filter((line) => line.startsWith(`${metric}{`));
}

const count = (operation: string, model: string, error = '', times = 1) =>
  `gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="${operation}",gen_ai_provider_name="expertd",gen_ai_response_model="${model}",error_type="${error}"} ${times}`;

test('requests are counted by operation, expert and error, whichever way they come in', async () => {
  const made = tensorHarness();
  await infer(made, { inputs: [row('a'), row('b')] });
  made.service.failures = [refusal('no_room')];
  await infer(made, { inputs: [row('a'), row('b')] });
  await made.post('/v1/chat/completions', { model: 'lang-id', messages: user('hola') });
  await made.post('/api/generate', { model: 'lang-id', prompt: 'hola' });
  const counted = await lines(made, 'gen_ai_server_request_duration_seconds_count');
  assert.deepEqual(
    counted.toSorted(),
    [count('infer', 'sum'), count('infer', 'sum', 'no_room'), count('chat', 'lang-id', '', 2)].toSorted(),
  );
});

test('names that clients make up are no label', async () => {
  const made = harness();
  await made.post('/v1/embeddings', { model: 'made-up', input: 'x' });
  assert.deepEqual(await lines(made, 'gen_ai_server_request_duration_seconds_count'), [
    count('embeddings', '', 'model_not_found'),
  ]);
});

test('generated text has a first token, further tokens, and totals', async () => {
  const made = harness();
  await made.post('/v1/chat/completions', { model: 'writer', messages: user('write') });
  const subject =
    'gen_ai_operation_name="chat",gen_ai_provider_name="expertd",gen_ai_response_model="writer"';
  for (const name of ['time_to_first_token', 'time_per_output_token']) {
    const metric = `gen_ai_server_${name}_seconds_count`;
    assert.deepEqual(await lines(made, metric), [`${metric}{${subject}} 1`]);
  }
  assert.deepEqual(await lines(made, 'expertd_tokens_total'), [
    'expertd_tokens_total{expert="writer",type="input"} 7',
    'expertd_tokens_total{expert="writer",type="output"} 3',
  ]);
  assert.deepEqual(await lines(made, 'expertd_cached_tokens_total'), [
    'expertd_cached_tokens_total{expert="writer"} 5',
  ]);
});

test('a classifier has neither', async () => {
  const made = harness();
  await made.post('/v1/chat/completions', { model: 'lang-id', messages: user('hola') });
  assert.deepEqual(await lines(made, 'gen_ai_server_time_to_first_token_seconds_count'), []);
  assert.deepEqual(await lines(made, 'expertd_tokens_total'), [
    'expertd_tokens_total{expert="lang-id",type="input"} 9',
  ]);
});
