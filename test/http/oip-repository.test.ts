import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExpertView } from '../../agent/service.ts';
import type { Failure } from '../../agent/types.ts';
import { expertView } from '../fakes/service.ts';
import type { Harness } from './harness.ts';
import { errorOf, tensorHarness } from './oip-asking.ts';

const LOAD = '/v2/repository/models/sum/load';
const failed: Failure = {
  code: 'bad_expert',
  message: 'its weights are damaged',
  hint: 'Copy it.',
  retryable: false,
};

function withSum(change: Partial<ExpertView>): Harness {
  const made = tensorHarness();
  set(made, change);
  return made;
}

function set(made: Harness, change: Partial<ExpertView>): void {
  made.service.expertList = [expertView('sum', 'tensor', change)];
}

/** What every decision tells; the expert's new state is looked up. */
function tell(made: Harness): void {
  made.service.tell({ id: 1, atMs: 1, event: 'loaded', reasons: [], choice: null, steps: [] });
}

/** A load that has begun: the agent was told to, and has not answered. */
async function loading(made: Harness) {
  const response = made.post(LOAD, {});
  while (made.service.commands.length === 0) await new Promise((resolve) => setImmediate(resolve));
  return { response };
}

test('the index says what is in memory, and why the rest is not', async () => {
  const made = tensorHarness();
  made.service.expertList = [
    expertView('a', 'tensor'),
    expertView('b', 'retrieval', { state: 'absent' }),
    expertView('c', 'tensor', { state: 'loading' }),
    expertView('d', 'tensor', { state: 'failed', version: null, error: failed }),
  ];
  const post = (payload: string) =>
    made.server.app.inject({
      method: 'POST',
      url: '/v2/repository/index',
      headers: { host: 'localhost' },
      payload,
    });
  const rows = (await post('')).json();
  assert.deepEqual(rows, [
    { name: 'a', version: '1.0.0', state: 'READY', reason: '' },
    { name: 'b', version: '1.0.0', state: 'UNAVAILABLE', reason: 'it is loaded when it is asked' },
    { name: 'c', version: '1.0.0', state: 'LOADING', reason: '' },
    { name: 'd', version: '', state: 'UNAVAILABLE', reason: 'its weights are damaged' },
  ]);
  assert.deepEqual((await post('{"ready":true}')).json(), [rows[0]]);
  assert.equal((await post('{"ready":"yes"}')).statusCode, 400);
});

test('a load answers when the expert is in memory', async () => {
  const made = withSum({ state: 'absent' });
  const { response } = await loading(made);
  tell(made);
  set(made, { state: 'loading' });
  tell(made);
  set(made, { state: 'resident' });
  tell(made);
  assert.equal((await response).statusCode, 200);
  assert.deepEqual(made.service.commands, ['load sum']);
  assert.equal(made.service.subscribers, 0);
});

test('what is in memory already is loaded at once', async () => {
  const made = withSum({ state: 'resident' });
  assert.equal((await made.post(LOAD, {})).statusCode, 200);
  assert.equal(made.service.subscribers, 0);
});

test('a load that fails says why; an old failure is not taken for it', async () => {
  const made = withSum({ state: 'absent', error: failed });
  const { response } = await loading(made);
  tell(made);
  set(made, { state: 'absent', error: { ...failed, message: 'damaged again' } });
  tell(made);
  const { statusCode, body } = await response;
  assert.equal(statusCode, 500);
  assert.match(body, /cannot be loaded: damaged again/);
  assert.equal(made.service.subscribers, 0);
});

test('what cannot be loaded is refused at once', async () => {
  const cases: readonly [Partial<ExpertView>, number, RegExp][] = [
    [{ state: 'quarantined', error: failed }, 503, /weights are damaged/],
    [{ state: 'failed', error: failed }, 500, /weights are damaged/],
    [{ state: 'fetching' }, 503, /still being fetched/],
    [
      { state: 'absent', memory: { residentBytes: 1, loadBytes: 2 ** 50, loadMs: 1, measured: true } },
      413,
      /needs 1125899906842624 bytes; the budget is/,
    ],
  ];
  for (const [change, status, message] of cases) {
    const made = withSum(change);
    const response = await made.post(LOAD, {});
    assert.equal(response.statusCode, status, response.body);
    assert.match(errorOf(response), message);
    assert.deepEqual(made.service.commands, []);
  }
});

test('an expert that is removed meanwhile is no longer waited for', async () => {
  const made = withSum({ state: 'absent' });
  const { response } = await loading(made);
  made.service.expertList = [];
  tell(made);
  assert.equal((await response).statusCode, 404);
});

test('unloading is asked for, with the parameters that clients send', async () => {
  const made = withSum({});
  const body = { parameters: { unload_dependents: false } };
  assert.equal((await made.post('/v2/repository/models/sum/unload', body)).statusCode, 200);
  assert.deepEqual(made.service.commands, ['unload sum']);
  assert.equal((await made.post('/v2/repository/models/none/unload', {})).statusCode, 404);
});

test('a load with a configuration of its own is refused', async () => {
  const made = withSum({});
  const response = await made.post(LOAD, { parameters: { config: '{}' } });
  assert.equal(response.statusCode, 400);
  assert.match(errorOf(response), /"parameters\.config" is not supported/);
  assert.equal((await made.post(LOAD, { parameters: { 'file:1/model.onnx': 'AA==' } })).statusCode, 400);
  assert.equal((await made.post(LOAD, [])).statusCode, 400);
  assert.deepEqual(made.service.commands, []);
});
