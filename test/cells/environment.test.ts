import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellEnvironment } from '../../agent/cells/environment.ts';

test('only what is named is inherited', () => {
  const environment = cellEnvironment({
    PATH: '/bin',
    HOME: '/home/pi',
    HF_TOKEN: 'secret',
    EXPERTD_HTTP_TOKEN: 'secret',
    NODE_OPTIONS: '--inspect',
    NODE_CHANNEL_FD: '4',
    LANG: undefined,
  });
  assert.deepEqual(Object.keys(environment).sort(), [
    'HOME',
    'MALLOC_ARENA_MAX',
    'MALLOC_MMAP_THRESHOLD_',
    'ORT_DISABLE_TELEMETRY',
    'PATH',
  ]);
});

test('a command may add to it and replace what is inherited, not what is fixed', () => {
  const extra = { HOME: '/nowhere', EXPERTD_X: '1', ORT_DISABLE_TELEMETRY: '0' };
  const environment = cellEnvironment({ HOME: '/home/pi', ORT_DISABLE_TELEMETRY: '0' }, extra);
  assert.equal(environment['HOME'], '/nowhere');
  assert.equal(environment['EXPERTD_X'], '1');
  assert.equal(environment['ORT_DISABLE_TELEMETRY'], '1');
});
