import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { controlOf, DEFAULT_ROOT, isDeviceId, parseTopic, topicsOf } from '../../agent/fleet/topics.ts';

const LEVEL = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/);
const ROOT = fc.array(LEVEL, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));

test('a topic is read as what made it, within the limits of brokers', () => {
  assert.equal(topicsOf(DEFAULT_ROOT, 'kitchen-1').desired, 'expertd/v1/kitchen-1/desired');
  assert.equal(controlOf('a/b').hello, 'a/b/v1/ctl/hello');
  fc.assert(
    fc.property(ROOT, LEVEL.filter(isDeviceId), (root, device) => {
      for (const [name, topic] of Object.entries(topicsOf(root, device))) {
        assert.deepEqual(parseTopic(root, topic), { of: 'device', device, name });
        assert.match(topic, /^[A-Za-z0-9_/-]{1,256}$/);
        assert.ok(topic.split('/').length - 1 <= 7, topic);
      }
      for (const [name, topic] of Object.entries(controlOf(root)))
        assert.deepEqual(parseTopic(root, topic), { of: 'control', name });
    }),
  );
});

test('nothing else is a topic of ours', () => {
  const others = [
    '',
    'r',
    'r/v1',
    'r/v1/d',
    'r/v2/d/cmd',
    'r/v1/d/cmd/x',
    'r/v1/d/CMD',
    'x/v1/d/cmd',
    'r/v1//cmd',
  ];
  for (const topic of [
    ...others,
    'r/v1/+/cmd',
    'r/v1/d.e/cmd',
    'r/v1/ctl/cmd',
    'r/v1/ctl/ack',
    '/r/v1/d/cmd',
  ])
    assert.equal(parseTopic('r', topic), null, topic);
  fc.assert(fc.property(fc.string(), (topic) => assert.equal(parseTopic('r', topic), null)));
});

test('names that would make a filter, a control topic or too long a topic', () => {
  for (const device of ['', 'ctl', 'a/b', '+', '#', 'a.b', 'é', ' ', 'x'.repeat(65), 'a\n'])
    assert.throws(() => topicsOf('r', device), { code: 'bad_topic' }, device);
  for (const root of [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    '#',
    '+/a',
    'a.b',
    'a/b/c/d/e/f',
    'x'.repeat(161),
    '$share',
  ])
    assert.throws(() => controlOf(root), { code: 'bad_topic' }, root);
});
