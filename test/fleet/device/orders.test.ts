import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMANDS_FILE } from '../../../agent/fleet/device/kept-commands.ts';
import { checkKeySet } from '../../../agent/fleet/documents/keys.ts';
import { ringOf } from '../../../agent/fleet/trust/keyring.ts';
import { NO_TRUST } from '../../../agent/fleet/trust/trust.ts';
import {
  bytes,
  COMMAND,
  command,
  ENROLLED,
  entry,
  envelope,
  HERE,
  keySet,
  makeKey,
  NOW_SECONDS,
  RELEASE,
  ROOT,
  STRANGER,
} from '../trust/made.ts';
import { Bench, expert, PLAIN, settledSoon, signed } from './orders-set-up.ts';

const DONE = ['ACCEPTED', 'IN_PROGRESS', 'SUCCEEDED'];

test('a command is accepted, begun and done, each said and recorded', async (context) => {
  const bench = new Bench(context, expert('medical'));
  await bench.orders.start();
  await bench.order({});
  assert.deepEqual(bench.device.done, ['load medical']);
  assert.deepEqual(bench.states('c1'), DONE);
  assert.deepEqual(
    bench.device.notes.map(({ order, what, state, why }) => [order, what, state, why]),
    DONE.map((state) => ['c1', 'load', state, null]),
  );
  assert.equal(statSync(join(bench.stateDir, COMMANDS_FILE)).mode & 0o777, 0o600);
});

test('each command about an expert is done when it is so', async (context) => {
  const bench = new Bench(context, expert('medical'));
  await bench.orders.start();
  const types = ['load', 'pin', 'unpin', 'park', 'unload', 'clear'];
  for (const [index, type] of types.entries()) await bench.order({ id: type, type, ctr: index + 1 });
  assert.deepEqual(
    bench.device.done,
    types.map((type) => `${type} medical`),
  );
  for (const type of types) assert.deepEqual(bench.states(type), DONE, type);
});

test('a load is waited for until the expert is resident', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.device.isSlow = true;
  await bench.order({});
  assert.deepEqual(bench.states('c1'), ['ACCEPTED', 'IN_PROGRESS']);
  bench.device.become('medical', { state: 'loading' });
  bench.orders.changed();
  await bench.order({ id: 'c2', type: 'diagnostics', args: { parts: ['log'] }, ctr: 2 });
  assert.deepEqual(bench.states('c2'), DONE, 'others are not held up');
  assert.deepEqual(bench.states('c1'), ['ACCEPTED', 'IN_PROGRESS']);
  bench.device.become('medical', { state: 'resident' });
  bench.orders.changed();
  await settledSoon();
  assert.deepEqual(bench.states('c1'), DONE);
});

test('a change that nobody told of is seen after a while', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.device.isSlow = true;
  await bench.order({});
  bench.device.become('medical', { state: 'resident' });
  await bench.clock.advance(2_000);
  assert.deepEqual(bench.states('c1'), DONE);
  assert.deepEqual(bench.clock.aheadMs, [], 'nothing is looked at any more');
});

test('a load that fails says the error of the expert, and not one of an earlier load', async (context) => {
  const old = { code: 'old', message: 'an old one', hint: null, retryable: true };
  const bench = new Bench(context, expert('medical', { error: old }));
  bench.device.isSlow = true;
  await bench.order({});
  assert.deepEqual(bench.states('c1'), ['ACCEPTED', 'IN_PROGRESS']);
  const error = { code: 'bad_graph', message: 'see mqtt://me:hunter22@host/x', hint: null, retryable: true };
  bench.device.become('medical', { error });
  bench.orders.changed();
  await settledSoon();
  const { state, reason, detail } = bench.last('c1') ?? {};
  assert.deepEqual([state, reason], ['FAILED', 'bad_graph']);
  assert.equal(detail, 'see mqtt://[hidden]@host/x');
});

test('a load whose expert left again without an error has failed', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.device.isSlow = true;
  await bench.order({});
  for (const state of ['loading', 'absent'] as const) {
    bench.device.become('medical', { state });
    bench.orders.changed();
  }
  await settledSoon();
  assert.deepEqual([bench.last('c1')?.state, bench.last('c1')?.reason], ['FAILED', 'load_failed']);
});

test('a load that is never done times out', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.device.isSlow = true;
  await bench.order({});
  await bench.clock.advance(15 * 60_000 + 2_000);
  assert.equal(bench.last('c1')?.state, 'TIMED_OUT');
  assert.equal(bench.last('c1')?.reason, 'late');
});

test('what can never fit, is not there or cannot be parked fails with the reason', async (context) => {
  const memory = { residentBytes: 5_000, loadBytes: 5_000, loadMs: 1, measured: true };
  const bench = new Bench(context, expert('large', { memory }), expert('stiff', { state: 'resident' }));
  bench.device.isSlow = true;
  await bench.order({ args: { expert: 'large' } });
  await bench.order({ id: 'c2', args: { expert: 'nobody' }, ctr: 2 });
  await bench.order({ id: 'c3', type: 'park', args: { expert: 'stiff' }, ctr: 3 });
  await bench.order({ id: 'c4', type: 'clear', args: { expert: 'large' }, ctr: 4 });
  const ends = ['c1', 'c2', 'c3', 'c4'].map((id) => [bench.last(id)?.state, bench.last(id)?.reason]);
  assert.deepEqual(ends, [
    ['FAILED', 'too_large'],
    ['FAILED', 'model_not_found'],
    ['FAILED', 'not_parkable'],
    ['SUCCEEDED', null],
  ]);
});

test('an expert that is being fetched is loaded when it is there', async (context) => {
  const bench = new Bench(context, expert('medical', { state: 'fetching', memory: null }));
  bench.device.isSlow = true;
  await bench.order({});
  bench.device.become('medical', { state: 'absent' });
  bench.device.isSlow = false;
  bench.orders.changed();
  await settledSoon();
  assert.deepEqual(bench.device.done, ['load medical', 'load medical']);
  assert.deepEqual(bench.states('c1'), DONE);
});

test('an unload takes the place of a load that waits', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.device.isSlow = true;
  await bench.order({});
  bench.device.isSlow = false;
  await bench.order({ id: 'c2', type: 'unload', ctr: 2 });
  assert.deepEqual(bench.states('c1'), ['ACCEPTED', 'IN_PROGRESS', 'CANCELED']);
  assert.equal(bench.last('c1')?.reason, 'superseded');
  assert.deepEqual(bench.states('c2'), DONE);
});

test('a policy is set, or its refusal told', async (context) => {
  const bench = new Bench(context);
  await bench.order({ type: 'policy', args: { residency: 'lru' } });
  assert.deepEqual(bench.policies, [{ residency: 'lru' }]);
  bench.policyFails = new Error('no');
  await bench.order({ id: 'c2', type: 'policy', args: { residency: 'gdsf' }, ctr: 2 });
  assert.deepEqual(bench.states('c1'), DONE);
  assert.equal(bench.last('c2')?.state, 'FAILED');
});

test('a repeated command is answered again, and not done again', async (context) => {
  const bench = new Bench(context, expert('medical'));
  for (let time = 0; time < 3; time += 1) await bench.order({});
  assert.deepEqual(bench.device.done, ['load medical']);
  assert.deepEqual(bench.states('c1'), [...DONE, 'SUCCEEDED', 'SUCCEEDED']);
  await bench.restart();
  await bench.order({});
  assert.deepEqual(bench.device.done, ['load medical']);
  assert.equal(bench.last('c1')?.state, 'SUCCEEDED');
});

test('another command under an id that had one changes nothing of its result', async (context) => {
  const bench = new Bench(context, expert('medical'));
  await bench.order({});
  const before = bench.sent.length;
  await bench.order({ type: 'unload', ctr: 2 });
  assert.equal(bench.sent.length, before);
  assert.deepEqual(bench.orders.refused(), { forked: 1 });
});

test('what is signed and refused is answered, and recorded once', async (context) => {
  const bench = new Bench(context, expert('medical'));
  const expired = { id: 'late', exp: NOW_SECONDS - 3_600, nbf: NOW_SECONDS - 7_200 };
  for (let time = 0; time < 4; time += 1) await bench.order(expired);
  assert.deepEqual(bench.states('late'), Array(4).fill('REJECTED'));
  assert.equal(bench.last('late')?.reason, 'expired');
  assert.equal(bench.device.notes.length, 1);
  assert.deepEqual(bench.device.done, []);
});

test('what nobody signed, is for others or was retained is counted, logged once, and not answered', async (context) => {
  const bench = new Bench(context, expert('medical'));
  const wrong = [
    bytes(envelope('command', command(), STRANGER)),
    bytes(envelope('command', command({ aud: 'other' }), COMMAND)),
    Buffer.from('{"__proto__": 1}'),
    Buffer.alloc(200_000),
    Buffer.from('['.repeat(10_000)),
    bytes(envelope('desired', command(), COMMAND)),
  ];
  for (const payload of [...wrong, ...wrong]) await bench.receive(payload);
  await bench.order({}, { retain: true });
  await bench.order({}, { retain: true });
  assert.deepEqual(bench.sent, []);
  assert.deepEqual(bench.device.done, []);
  assert.deepEqual(bench.orders.refused(), {
    unknown_key: 2,
    wrong_audience: 2,
    forbidden_key: 2,
    oversize: 2,
    too_deep: 2,
    wrong_type: 2,
    retained: 2,
  });
  assert.equal(bench.logged.length, 7);
});

test('results that the link lost are sent again in their order, each part once it is known to be there', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.isUp = false;
  await bench.order({});
  await bench.order({});
  await bench.order({ id: 'c2', type: 'unload', ctr: 2 });
  assert.deepEqual(bench.sent, []);
  bench.acksLost = 1;
  await bench.up();
  assert.deepEqual(bench.states('c1'), ['ACCEPTED']);
  await bench.up();
  const said = bench.sent.map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(said, [
    'c1 ACCEPTED',
    ...DONE.map((state) => `c1 ${state}`),
    ...DONE.map((state) => `c2 ${state}`),
  ]);
});

test('a result that the broker does not have outlives the process', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.isUp = false;
  await bench.order({});
  await bench.restart();
  await bench.up();
  assert.deepEqual(bench.states('c1'), ['SUCCEEDED']);
  await bench.restart('ended');
  await bench.up();
  assert.deepEqual(bench.states('c1'), ['SUCCEEDED'], 'and is not said again once it is there');
  assert.deepEqual(bench.device.done, ['load medical']);
});

test('a killed process leaves its load and its diagnostics to the next', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.device.isSlow = true;
  await bench.order({});
  bench.isUp = false;
  await bench.order({ id: 'c2', type: 'diagnostics', args: {}, ctr: 2 });
  bench.device.isSlow = false;
  await bench.restart();
  await bench.up();
  assert.deepEqual(bench.device.done, ['load medical', 'load medical']);
  assert.equal(bench.last('c1')?.state, 'SUCCEEDED');
  assert.equal(JSON.parse(bench.last('c2')?.detail ?? 'null').v, 1);
});

test('a restart says so, and is done once', async (context) => {
  const bench = new Bench(context);
  const payload = signed({ type: 'restart', args: {} });
  await bench.receive(payload);
  assert.equal(bench.device.restarts, 1);
  assert.deepEqual(bench.states('c1'), DONE);
  await assert.rejects(bench.orders.receive(signed({ id: 'c2', ctr: 2 }), PLAIN), { retryable: true });
  await bench.restart('ended');
  await bench.receive(payload);
  assert.equal(bench.device.restarts, 1);
  assert.equal(bench.last('c1')?.state, 'SUCCEEDED');
});

test('a restart does not wait for ever to be heard', async (context) => {
  const bench = new Bench(context);
  bench.isUp = false;
  await bench.order({ type: 'restart', args: {} });
  assert.equal(bench.device.restarts, 0);
  await bench.clock.advance(5_000);
  assert.equal(bench.device.restarts, 1);
  await bench.restart('ended');
  await bench.up();
  assert.deepEqual(bench.states('c1'), ['SUCCEEDED']);
});

test('a process that was killed before it restarted has restarted', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.isUp = false;
  await bench.order({ type: 'restart', args: {} });
  const path = join(bench.stateDir, COMMANDS_FILE);
  const kept = JSON.parse(readFileSync(path, 'utf8'));
  kept.results[0].state = 'ACCEPTED';
  kept.held = [{ command: command({ type: 'restart', args: {} }), signers: [COMMAND.id] }];
  kept.unsent = [];
  writeFileSync(path, JSON.stringify(kept));
  await bench.restart();
  await bench.up();
  assert.equal(bench.device.restarts, 0);
  assert.equal(bench.last('c1')?.state, 'SUCCEEDED');
});

test('a command that expired or lost its keys while it waited is not carried out', async (context) => {
  const bench = new Bench(context, expert('medical'), expert('legal'));
  bench.device.isSlow = true;
  await bench.order({});
  await bench.order({ id: 'c2', args: { expert: 'legal' }, exp: NOW_SECONDS + 86_400, ctr: 2 });
  bench.here = { ...HERE, nowMs: HERE.nowMs + 3_600_000 };
  const after = makeKey();
  bench.trust = {
    ...ENROLLED,
    ring: ringOf(checkKeySet(keySet({ keys: [entry(ROOT, 'root'), entry(after, 'command')] })), null),
  };
  await bench.restart();
  await settledSoon();
  assert.deepEqual(bench.device.done, ['load medical', 'load legal']);
  assert.deepEqual([bench.last('c1')?.state, bench.last('c1')?.reason], ['TIMED_OUT', 'expired']);
  assert.deepEqual([bench.last('c2')?.state, bench.last('c2')?.reason], ['CANCELED', 'revoked_key']);
});

test('a command that cannot be stored is not carried out, and the broker sends it again', async (context) => {
  const bench = new Bench(context, expert('medical'));
  // A file where the folder would be: writing fails, also for root.
  writeFileSync(join(bench.stateDir, 'fleet'), '');
  await assert.rejects(bench.orders.receive(signed({}), PLAIN), { code: 'not_stored', retryable: true });
  assert.deepEqual(bench.device.done, []);
  rmSync(join(bench.stateDir, 'fleet'));
  await bench.order({});
  assert.deepEqual(bench.states('c1'), DONE);
});

test('keys come on the same topic, are kept, and recorded', async (context) => {
  const bench = new Bench(context, expert('medical'));
  const next = makeKey();
  const set = keySet({
    version: 2,
    keys: [entry(ROOT, 'root'), entry(RELEASE, 'release'), entry(next, 'command')],
  });
  const payload = bytes(envelope('keys', set, ROOT));
  bench.keepsNothing = true;
  await assert.rejects(bench.orders.receive(payload, PLAIN), { code: 'not_stored', retryable: true });
  bench.keepsNothing = false;
  await bench.receive(payload);
  await bench.receive(payload);
  assert.equal(bench.trust.ring?.version, 2);
  assert.deepEqual(bench.orders.refused(), { old_keys: 1 });
  assert.deepEqual(
    bench.device.notes.map(({ order, state }) => [order, state]),
    [['keys 2', 'SUCCEEDED']],
  );
  await bench.order({});
  assert.deepEqual(bench.device.done, [], 'the old key gives no orders any more');
  await bench.receive(bytes(envelope('command', command({ id: 'c2' }), next)));
  assert.deepEqual(bench.device.done, ['load medical']);
});

test('a device without keys takes no orders', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.trust = NO_TRUST;
  await bench.order({});
  assert.deepEqual(bench.orders.refused(), { no_keys: 1 });
});

test('after damage nothing is taken that may have been carried out', async (context) => {
  const bench = new Bench(context, expert('medical'));
  await bench.order({});
  for (const damage of ['{', '{"v":2}', '[]', '']) {
    mkdirSync(join(bench.stateDir, 'fleet'), { recursive: true });
    writeFileSync(join(bench.stateDir, COMMANDS_FILE), damage);
    // The clock may have been set back meanwhile.
    bench.here = { ...HERE, nowMs: HERE.nowMs - 1_000 };
    await bench.restart();
    await bench.order({});
    assert.equal(bench.last('c1')?.reason, 'forgotten');
  }
  assert.deepEqual(bench.device.done, ['load medical']);
  assert.ok(readdirSync(join(bench.stateDir, 'fleet')).includes('commands.json.damaged'));
  const nbf = NOW_SECONDS + 60;
  bench.here = { ...HERE, nowMs: nbf * 1_000 };
  await bench.order({ id: 'c9', ctr: 9, nbf, exp: nbf + 31 * 86_400 });
  assert.equal(bench.last('c9')?.state, 'SUCCEEDED', 'what expires later than all before is new');
});
