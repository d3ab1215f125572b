/** `POST /expertd/v1/reload`: what a command tells a running agent when it has changed what lies in its folders. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import { harness } from '../http/harness.ts';

test('answers with the experts once they were read', async () => {
  const { service, post } = harness();
  const { statusCode, body } = await post('/expertd/v1/reload', {});
  assert.equal(statusCode, 200);
  assert.deepEqual(
    JSON.parse(body).experts.map(({ id }: { id: string }) => id),
    service.expertList.map(({ id }) => id),
  );
  assert.deepEqual(service.commands, ['reload']);
});

test('says why what is written cannot be used, and is as guarded as the others', async () => {
  const { service, post } = harness({ token: 'a-token-of-enough-characters' });
  assert.equal((await post('/expertd/v1/reload', {})).statusCode, 401);
  assert.deepEqual(service.commands, []);
  const authorization = { authorization: 'Bearer a-token-of-enough-characters' };
  service.failures.push(new AgentError('bad_config', 'edge.config.json: "prot" is unknown'));
  const refused = await post('/expertd/v1/reload', {}, authorization);
  assert.equal(refused.statusCode, 500);
  assert.match(JSON.parse(refused.body).error.message, /"prot" is unknown/);
  assert.equal((await post('/expertd/v1/reload', { all: true }, authorization)).statusCode, 400);
});
