/** Answers at the response topic of MQTT 5, beside those on `res`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../../agent/errors.ts';
import { Replies, whyNot } from '../../../agent/fleet/device/orders-replies.ts';
import { bytes, COMMAND, command, envelope, NOW_SECONDS, RELEASE } from '../trust/made.ts';
import { Bench, expert, PLAIN, settledSoon, signed } from './orders-set-up.ts';

const DONE = ['ACCEPTED', 'IN_PROGRESS', 'SUCCEEDED'];
const TOPIC = 'office/ada/answers';
const asked = (responseTopic = TOPIC, data: string | null = 'call 1') => ({
  responseTopic,
  correlationData: data === null ? null : Buffer.from(data),
});

/** `TOPIC call-data STATE` of each. */
function repliesOf({ replies }: Bench): string[] {
  return replies.map(({ to, result }) => {
    const data = to.correlationData === null ? '-' : Buffer.from(to.correlationData).toString();
    return `${to.topic} ${data} ${result.state}`;
  });
}

test('who wants an answer elsewhere gets it there too, with what it is recognised by', async (context) => {
  const bench = new Bench(context, expert('medical'));
  await bench.order({}, asked());
  assert.deepEqual(bench.states('c1'), DONE);
  assert.deepEqual(
    repliesOf(bench),
    DONE.map((state) => `${TOPIC} call 1 ${state}`),
  );
  await bench.order({ id: 'c2', ctr: 2 }, asked('other', null));
  assert.equal(repliesOf(bench).at(-1), 'other - SUCCEEDED');
  await bench.order({ id: 'c3', ctr: 3 });
  await bench.order({ id: 'c4', ctr: 4 }, { correlationData: Buffer.from('x') });
  assert.equal(bench.replies.length, 6, 'where no topic came, there is none');
});

test('a long answer goes there in all its parts', async (context) => {
  const bench = new Bench(context);
  bench.device.lines = Array.from({ length: 400 }, () => JSON.stringify({ msg: 'word '.repeat(100) }));
  await bench.order({ type: 'diagnostics', args: { parts: ['log'] } }, asked());
  const parts = bench.replies.map(({ result }) => result).filter(({ state }) => state === 'SUCCEEDED');
  assert.ok(parts.length > 1);
  assert.deepEqual(
    parts,
    bench.sent.filter(({ state }) => state === 'SUCCEEDED'),
  );
});

test('what is refused is never answered there, whoever signed it', async (context) => {
  const bench = new Bench(context, expert('medical'));
  const late = { id: 'late', exp: NOW_SECONDS - 3_600, nbf: NOW_SECONDS - 7_200 };
  const refused = [
    signed(late),
    signed(late),
    bytes(envelope('command', command({ id: 'c2' }), RELEASE)),
    bytes(envelope('command', command({ aud: 'kitchen-2' }), COMMAND)),
    Buffer.from('{}'),
  ];
  for (const payload of refused) await bench.receive(payload, asked());
  await bench.order({ id: 'c3' }, { ...asked(), retain: true });
  assert.deepEqual(bench.states('late'), ['REJECTED', 'REJECTED']);
  assert.deepEqual(bench.replies, []);
  bench.device.isSlow = true;
  await bench.order({}, asked());
  await bench.order({ type: 'unload', ctr: 2 }, asked('evil'));
  assert.ok(
    repliesOf(bench).every((line) => line.startsWith(TOPIC)),
    'another command under its id',
  );
});

test('the first topic of a command stays, and a repeated one is answered where it asks', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.device.isSlow = true;
  await bench.order({}, asked());
  await bench.order({}, asked('evil'));
  bench.device.become('medical', { state: 'resident' });
  bench.orders.changed();
  await settledSoon();
  assert.ok(repliesOf(bench).every((line) => line.startsWith(TOPIC)));
  bench.replies.length = 0;
  await bench.order({}, asked('later', 'call 2'));
  assert.deepEqual(repliesOf(bench), ['later call 2 SUCCEEDED']);
  await bench.order({});
  assert.equal(bench.replies.length, 1, 'and is forgotten then');
});

test('a crash forgets the topic, and the result goes to res', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.isUp = false;
  await bench.order({}, asked());
  await bench.restart();
  await bench.up();
  assert.deepEqual([bench.states('c1'), bench.replies], [['SUCCEEDED'], []]);
});

test('a topic that the broker refuses is not tried again, and said once', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.repliesFail = new AgentError('publish_refused', 'it may not write there');
  await bench.order({}, asked());
  bench.repliesFail = null;
  await bench.order({ id: 'c2', type: 'unload', ctr: 2 });
  assert.deepEqual([bench.states('c1'), bench.states('c2'), bench.replies], [DONE, DONE, []]);
  bench.repliesFail = new AgentError('link_lost', 'the broker ended the connection');
  await bench.order({ id: 'c3', ctr: 3 }, asked());
  assert.deepEqual([bench.states('c3'), bench.replies], [DONE, []]);
  assert.equal(bench.logged.length, 1);
  assert.match(bench.logged[0] ?? '', /"res" alone.*it may not write there/);
});

test('topics that are none, are the broker’s or have another use in the fleet are not written to', async (context) => {
  const bench = new Bench(context, expert('medical'));
  const of = (name: string) => `expertd/v1/kitchen-1/${name}`;
  const bad = [
    ['', '#', 'a/+', 'a/#', 'a+', 'a\0b', 'a\nb', 'a\u009fb', '\ufffe', '\u{e000}'],
    ['$SYS/x', '$share/g/x', 'a'.repeat(257), 'ß'.repeat(129), '/'.repeat(8)],
    ['status', 'desired', 'cmd', 'rec', 'ack', 'reported', 'metrics'].map(of),
    ['expertd/v1/ctl/status', 'expertd/v1/ctl/hello', 'expertd/v1/kitchen-2/res', 'expertd/v1/kitchen-2/cmd'],
  ].flat();
  for (const [index, topic] of bad.entries()) {
    assert.notEqual(whyNot({ topic, correlationData: null }, 'expertd', 'kitchen-1'), null, topic);
    await bench.order({ id: `c${index}`, ctr: index + 1 }, asked(topic));
    assert.deepEqual(bench.states(`c${index}`), DONE);
  }
  await bench.order({ id: 'long', ctr: 99 }, asked(TOPIC, 'x'.repeat(1_025)));
  assert.deepEqual([bench.replies, bench.logged.length], [[], 1]);
  const good = ['a', '/', 'a/$b', 'antworten/büro', of('res'), of('res/1'), 'a'.repeat(256), 'expertd/v1'];
  for (const topic of good)
    assert.equal(
      whyNot({ topic, correlationData: Buffer.alloc(1_024) }, 'expertd', 'kitchen-1'),
      null,
      topic,
    );
});

test('whatever is taken for a topic, every broker may be asked to write to', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constantFrom('/', '+', '#', '$', '\0', 'expertd/v1/', 'kitchen-1/', 'ack', 'a'.repeat(250)),
  );
  let taken = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const topic = pieces.join('');
      if (whyNot({ topic, correlationData: null }, 'expertd', 'kitchen-1') !== null) return;
      taken += 1;
      assert.ok(topic.isWellFormed() && topic.length > 0 && Buffer.byteLength(topic) <= 256);
      for (const wrong of ['+', '#', '\0']) assert.ok(!topic.includes(wrong));
      assert.ok(!topic.startsWith('$') && !/^expertd\/v1\/[^/]+\/ack$/.test(topic));
    }),
    { numRuns: 500 },
  );
  assert.ok(taken > 20);
});

/** Replies that tell what they publish; `fails` may throw instead. */
function replies(fails: () => void = () => {}) {
  const said: string[] = [];
  const unanswered: string[] = [];
  const made = new Replies({
    root: 'expertd',
    device: () => 'kitchen-1',
    publish: async ({ topic, correlationData }, body) => {
      fails();
      said.push(`${topic} ${Buffer.from(correlationData ?? []).toString()} ${body}`);
    },
    onUnanswered: (why) => unanswered.push(why),
  });
  return { made, said, unanswered };
}

test('an id that was accepted once and is refused later is not answered, and what came first still is', async () => {
  const { made, said } = replies();
  made.remember('c1', { ...PLAIN, ...asked() });
  await made.say({ id: 'c1', state: 'REJECTED' }, ['no']);
  await made.say({ id: 'c1', state: 'SUCCEEDED' }, ['yes']);
  assert.deepEqual(said, [`${TOPIC} call 1 yes`]);
});

test('a topic that failed once is left alone, in the middle of an answer too', async () => {
  let left = 1;
  const { made, said, unanswered } = replies(() => {
    if (left-- === 0) throw new AgentError('link_lost', 'the link was lost');
  });
  made.remember('c1', { ...PLAIN, ...asked() });
  await made.say({ id: 'c1', state: 'ACCEPTED' }, ['part 1', 'part 2', 'part 3']);
  await made.say({ id: 'c1', state: 'SUCCEEDED' }, ['all']);
  assert.deepEqual([said, unanswered], [[`${TOPIC} call 1 part 1`], ['the link was lost']]);
});

test('correlation data is kept, not the buffer that it came in', async () => {
  const { made, said } = replies();
  const read = Buffer.from('call 1, and what was read with it');
  made.remember('c1', { ...PLAIN, responseTopic: TOPIC, correlationData: read.subarray(0, 6) });
  read.fill('x');
  await made.say({ id: 'c1', state: 'SUCCEEDED' }, ['yes']);
  assert.deepEqual(said, [`${TOPIC} call 1 yes`]);
});

test('many commands that are never answered do not fill the memory', async () => {
  const { made, said } = replies();
  const ids = Array.from({ length: 258 }, (_, index) => `c${index}`);
  for (const id of ids) made.remember(id, { ...PLAIN, ...asked(`topic/${id}`, null) });
  for (const id of ids) await made.say({ id, state: 'ACCEPTED' }, ['']);
  assert.deepEqual(
    said,
    ids.slice(2).map((id) => `topic/${id}  `),
  );
});
