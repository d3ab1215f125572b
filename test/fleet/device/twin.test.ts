import assert from 'node:assert/strict';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { keptOverlay } from '../../../agent/fleet/device/twin.ts';
import {
  bytes,
  desired,
  ENROLLED,
  entry,
  envelope,
  HERE,
  keySet,
  makeKey,
  NO_CLOCK,
  NOW_SECONDS,
  RELEASE,
  ROOT,
  STRANGER,
} from '../trust/made.ts';
import { expert } from './orders-set-up.ts';
import { message, World, wanted } from './twin-set-up.ts';

const KEPT = 'fleet/desired.json';

test('a document is kept, taken and recorded, and applied only when all of its experts are here', async (t) => {
  const world = new World(t);
  const arrived = new Set<string>();
  const one = await world.start({ arrived });
  await one.until(() => one.published.length > 0);
  assert.equal(one.last.phase, 'Idle');

  const [a, b] = [world.package('alpha'), world.package('beta')];
  await one.twin.receive(message(3, { experts: [a, { ...b, pinned: true }], policy: { minScore: 0.5 } }));
  await one.untilPhase('Fetching', 3);
  assert.deepEqual(one.device.ids, ['alpha', 'beta']);
  assert.equal(one.device.part?.experts[1]?.pinned, true);
  assert.equal(one.last.gen_applied, 0);
  assert.equal(one.last.conditions[0]?.type, 'ExpertsReady');
  assert.equal(one.last.conditions[0]?.status, 'false');

  arrived.add(sha256OfDigest(a.digest));
  one.twin.changed();
  await one.clock.advance(1_500);
  assert.equal(one.last.phase, 'Fetching');
  arrived.add(sha256OfDigest(b.digest));
  one.twin.changed();
  await one.untilPhase('Applied', 3);
  assert.equal(one.last.gen_applied, 3);
  assert.deepEqual(
    one.last.experts.map(({ id, digest }) => [id, digest]),
    [
      ['alpha', a.digest],
      ['beta', b.digest],
    ],
  );
  assert.deepEqual(one.device.notes, [{ order: 'gen 3', what: 'desired', state: 'SUCCEEDED', why: null }]);
  assert.equal(statSync(join(world.stateDir, KEPT)).mode & 0o777, 0o600);
});

test('the same document again, and an older one, do nothing', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await one.twin.receive(message(5));
  await one.untilPhase('Applied', 5);
  for (const again of [message(5), message(4, { experts: [wanted('alpha')] }), message(5)])
    await one.twin.receive(again);
  await one.clock.advance(5_000);
  assert.equal(one.device.taken.length, 1);
  assert.deepEqual(one.device.ids, []);
  assert.equal(one.last.gen_seen, 5);
  assert.deepEqual(one.twin.refused(), { old_generation: 1 }, 'a broker repeats what it keeps');
  assert.deepEqual(one.twin.standing(), { genSeen: 5, genApplied: 5, phase: 'Applied' });
});

test('what nobody may say is counted, told once a reason, shown, and changes nothing', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await one.twin.receive(message(2, { experts: [wanted('alpha')] }));
  await one.untilPhase('Applied', 2);
  const bad = [
    Buffer.from('{'),
    bytes(envelope('desired', desired({ gen: 9 }))),
    bytes(envelope('desired', desired({ gen: 9 }), STRANGER)),
    bytes(envelope('desired', desired({ gen: 9, exp: NOW_SECONDS - 900 }), RELEASE)),
    bytes(envelope('desired', desired({ gen: 9, aud: 'other-1' }), RELEASE)),
    Buffer.alloc(200_000, ' '),
  ];
  for (const payload of [...bad, ...bad]) await one.twin.receive(payload);
  await one.clock.advance(3_000);
  assert.deepEqual(one.twin.refused(), {
    bad_json: 2,
    unsigned: 2,
    unknown_key: 2,
    expired: 2,
    wrong_audience: 2,
    oversize: 2,
  });
  assert.equal(one.device.notes.filter(({ state }) => state === 'REJECTED').length, bad.length);
  assert.equal(
    one.logged.filter((line) => line.startsWith('a document of the fleet is not')).length,
    bad.length,
  );
  assert.deepEqual(one.conditions(), ['ExpertsReady', 'DesiredRefused']);
  assert.equal(one.last.phase, 'Applied');
  assert.deepEqual(one.device.ids, ['alpha']);

  await one.twin.receive(message(3));
  await one.untilPhase('Applied', 3);
  assert.deepEqual(one.conditions(), ['ExpertsReady'], 'it is over with the next good one');
});

test('two documents of one generation are a fork, and the first one stays', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await one.twin.receive(message(2, { experts: [wanted('alpha')] }));
  await one.untilPhase('Applied', 2);
  await one.twin.receive(message(2, { experts: [wanted('beta')] }));
  await one.clock.advance(2_000);
  assert.deepEqual(one.conditions(), ['ExpertsReady', 'Forked']);
  assert.deepEqual(one.device.ids, ['alpha']);
});

test('a clock that nobody has set is said; what it calls expired is taken', async (t) => {
  const world = new World(t);
  const circumstances = () => ({ ...NO_CLOCK, nowMs: Date.UTC(2090, 0, 1) });
  const one = await world.start({ circumstances });
  await one.twin.receive(message(1));
  await one.untilPhase('Applied', 1);
  assert.deepEqual(one.conditions(), ['ExpertsReady', 'ClockUntrusted']);
  assert.equal(one.last.clock, 'unsynced');
});

test('a document that is not valid yet waits for its time, and is not kept before', async (t) => {
  const world = new World(t);
  const circumstances = { ...HERE };
  const one = await world.start({ circumstances: () => circumstances });
  await one.twin.receive(message(1, { nbf: NOW_SECONDS + 600, exp: NOW_SECONDS + 9_000 }));
  await one.clock.advance(2_000);
  assert.deepEqual(one.conditions(), ['DesiredWaits']);
  assert.equal(one.last.gen_seen, 0);
  circumstances.nowMs += 600_000;
  await one.clock.advance(598_000);
  await one.untilPhase('Applied', 1);
  assert.deepEqual(one.conditions(), ['ExpertsReady']);
});

test('keys that were made for another device are said', async (t) => {
  const world = new World(t);
  const one = await world.start({ trust: { ...ENROLLED, device: 'kitchen-2' } });
  await one.until(() => one.published.length > 0);
  assert.deepEqual(one.conditions(), ['WrongDevice']);
});

test('what is kept for another device, as on a copied disk, does not count here and holds back nothing', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await one.twin.receive(message(3, { budget: '350MB' }));
  await one.untilPhase('Applied', 3);
  one.twin.stop();
  assert.notEqual(keptOverlay(world.stateDir, HERE), null);
  const copy = { ...HERE, device: 'kitchen-2' };
  assert.equal(keptOverlay(world.stateDir, copy), null);
  const other = await world.start({ circumstances: () => copy });
  await other.twin.receive(message(2, { aud: 'kitchen-2' }));
  await other.untilPhase('Applied', 2);
});

test('new keys that come with a document are kept before it', async (t) => {
  const world = new World(t);
  const fresh = makeKey();
  const set = keySet({ version: 2, keys: [entry(ROOT, 'root'), entry(fresh, 'release')] });
  const payload = bytes(envelope('desired', desired({ gen: 4 }), fresh), envelope('keys', set, ROOT));
  const seen: (object | null)[] = [];
  const one = await world.start({ keepTrust: () => seen.push(keptOverlay(world.stateDir, HERE)) });
  await one.twin.receive(payload);
  assert.equal(one.trust.ring?.version, 2);
  assert.deepEqual(seen, [null]);
  await one.untilPhase('Applied', 4);
});

test('keys that cannot be kept: nothing is done, and the message is not acknowledged', async (t) => {
  const world = new World(t);
  const fresh = makeKey();
  const set = keySet({ version: 2, keys: [entry(ROOT, 'root'), entry(fresh, 'release')] });
  const payload = bytes(envelope('desired', desired({ gen: 4 }), fresh), envelope('keys', set, ROOT));
  let isFull = true;
  const one = await world.start({
    keepTrust: () => {
      if (isFull) throw new Error('no space left on device');
    },
  });
  await assert.rejects(one.twin.receive(payload), retryable);
  await one.clock.advance(2_000);
  assert.equal(one.device.taken.length, 0);
  assert.deepEqual(one.conditions(), ['NotKept']);
  isFull = false;
  await one.twin.receive(payload);
  await one.untilPhase('Applied', 4);
});

test('a document that the disk does not take is not acted on, and comes again', async (t) => {
  const world = new World(t);
  mkdirSync(world.stateDir);
  const one = await world.start();
  // A file in the place of the folder: nobody, not even root, writes into that.
  writeFileSync(join(world.stateDir, 'fleet'), '');
  await assert.rejects(one.twin.receive(message(1)), retryable);
  await one.clock.advance(2_000);
  assert.equal(one.device.taken.length, 0);
  assert.equal(one.last.gen_seen, 0);
  rmSync(join(world.stateDir, 'fleet'));
  await one.twin.receive(message(1));
  await one.untilPhase('Applied', 1);
});

test('a damaged memory stops documents, not the device, and is said', async (t) => {
  const world = new World(t);
  const first = await world.start();
  await first.twin.receive(message(7, { experts: [wanted('alpha')] }));
  await first.untilPhase('Applied', 7);
  first.twin.stop();
  writeFileSync(join(world.stateDir, KEPT), '{"v":1,');
  const one = await world.start();
  assert.equal(one.device.part, null);
  await one.twin.receive(message(8));
  await assert.rejects(one.twin.setPolicy({ minScore: 0.1 }), { code: 'bad_memory' });
  await one.clock.advance(3_000);
  assert.equal(one.last.phase, 'Failed');
  assert.deepEqual(one.conditions(), ['MemoryDamaged']);
  assert.equal(one.device.taken.length, 0);
});

// ---- the device -------------------------------------------------------------------------------------------------

test('a device that cannot take it: failed, the old state stays, and what may pass is tried again', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await one.twin.receive(message(1, { experts: [wanted('alpha')] }));
  await one.untilPhase('Applied', 1);
  one.device.failure = new AgentError('busy', 'not now', { retryable: true });
  await one.twin.receive(message(2));
  await one.untilPhase('Failed', 2);
  assert.deepEqual(one.device.ids, ['alpha']);
  assert.deepEqual(one.device.notes.at(-1), {
    order: 'gen 2',
    what: 'desired',
    state: 'FAILED',
    why: 'busy: not now',
  });
  one.device.failure = null;
  await one.clock.advance(300_000);
  await one.untilPhase('Applied', 2);
});

test('where it cannot be kept that a document counts, it does not', async (t) => {
  const world = new World(t);
  const one = await world.start({
    onStep: (step) => {
      if (step !== 'overlaid' || one.device.taken.length !== 2) return;
      rmSync(join(world.stateDir, 'fleet'), { recursive: true });
      writeFileSync(join(world.stateDir, 'fleet'), '');
    },
  });
  await one.twin.receive(message(1, { experts: [wanted('alpha')] }));
  await one.untilPhase('Applied', 1);
  await one.twin.receive(message(2, { experts: [wanted('beta')] }));
  await one.untilPhase('Failed', 2);
  assert.deepEqual(one.device.ids, ['alpha']);
  rmSync(join(world.stateDir, 'fleet'));
  await one.clock.advance(300_000);
  await one.untilPhase('Applied', 2);
  assert.deepEqual(one.device.ids, ['beta']);
});

test('experts to remove are awaited, and experts by hand stay', async (t) => {
  const world = new World(t);
  const one = await world.start();
  one.device.own = [expert('by-hand'), expert('unwanted')];
  await one.twin.receive(message(1, { experts: [wanted('alpha')], experts_remove: ['unwanted'] }));
  await one.untilPhase('Applied', 1);
  assert.deepEqual(
    one.last.experts.map(({ id }) => id),
    ['alpha', 'by-hand'],
  );
});

test('a policy by command counts over the document, over a restart, until the next document', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await one.twin.receive(message(1, { policy: { minScore: 0.5, tieMargin: 0.1 } }));
  await one.untilPhase('Applied', 1);
  await one.twin.setPolicy({ minScore: 0.7 });
  assert.deepEqual(one.device.part?.policy, { minScore: 0.7, tieMargin: 0.1 });
  one.device.failure = new AgentError('bad_config', 'no');
  await assert.rejects(one.twin.setPolicy({ minScore: 0.9 }), { code: 'bad_config' });
  one.twin.stop();
  const two = await world.start();
  assert.deepEqual(two.device.part?.policy, { minScore: 0.7, tieMargin: 0.1 });
  await two.twin.receive(message(2, { policy: { minScore: 0.4 } }));
  await two.untilPhase('Applied', 2);
  assert.deepEqual(two.device.part?.policy, { minScore: 0.4 });
});

function retryable(error: unknown): boolean {
  return error instanceof AgentError && error.code === 'not_kept' && error.retryable;
}

function sha256OfDigest(digest: string): string {
  return digest.slice('sha256:'.length);
}
