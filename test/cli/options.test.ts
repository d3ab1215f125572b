import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultStateDir, readOptions, stateDirOf } from '../../agent/cli/options.ts';

test('a flag wins over its variable, and an empty variable is not set', () => {
  const env = {
    EXPERTD_HTTP_PORT: '1',
    EXPERTD_HTTP_HOST: '',
    EXPERTD_MEMORY_BUDGET: '300MB',
    EXPERTD_CONFIG: 'a.json',
  };
  assert.deepEqual(readOptions({ port: '0', 'experts-dir': 'x' }, env), {
    configPath: 'a.json',
    overrides: { http: { port: 0 }, memory: { budget: '300MB' }, expertsDir: 'x' },
  });
  assert.deepEqual(readOptions({}, {}), { configPath: null, overrides: {} });
  const token = '0123456789abcdef';
  assert.deepEqual(readOptions({}, { EXPERTD_HTTP_TOKEN: token }).overrides, { http: { token } });
});

test('a wrong value names where it came from', () => {
  const usage = (message: RegExp) => ({ exitCode: 2, message });
  assert.throws(() => readOptions({ port: '65536' }, {}), usage(/^--port must be/));
  assert.throws(() => readOptions({}, { EXPERTD_HTTP_PORT: 'x' }), usage(/^EXPERTD_HTTP_PORT must be/));
  assert.throws(() => readOptions({ budget: '300 apples' }, {}), usage(/^--budget .*not a size/));
  assert.throws(() => readOptions({}, { EXPERTD_HTTP_TOKEN: 'short' }), usage(/^EXPERTD_HTTP_TOKEN/));
});

test('the state directory follows flag, variable, XDG, home', () => {
  const env = { EXPERTD_STATE_DIR: '/env', XDG_STATE_HOME: '/xdg', HOME: '/home/ada' };
  assert.equal(stateDirOf('/flag', env), '/flag');
  assert.equal(stateDirOf(undefined, env), '/env');
  assert.equal(defaultStateDir(env), '/xdg/expertd');
  assert.equal(defaultStateDir({ HOME: '/home/ada' }), '/home/ada/.local/state/expertd');
});
