import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expert } from './orders-set-up.ts';
import { message, sha256, World, wanted } from './twin-set-up.ts';

const GIB = 1024 ** 3;
const RETRY_MS = 300_000;

test('what does not fit on the disk is refused whole: the old state stays, over a restart too', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await one.twin.receive(message(1, { experts: [world.package('alpha')], budget: '900MB' }));
  await one.untilPhase('Applied', 1);
  const huge = world.package('huge', {
    files: [
      { path: 'onnx/model.onnx', bytes: 2 ** 52, sha256: sha256('') },
      { path: 'labels.txt', bytes: 1, sha256: sha256('') },
    ],
  });
  const payload = message(2, { experts: [huge, world.package('beta')], budget: '800MB' });
  await one.twin.receive(payload);
  await one.untilPhase('Refused', 2);
  assert.deepEqual(one.device.ids, ['alpha']);
  assert.equal(one.device.part?.budget, '900MB');
  assert.equal(one.last.gen_applied, 1);
  const said = one.last.conditions.find(({ type }) => type === 'DesiredRefused');
  assert.equal(said?.reason, 'disk_full');
  assert.equal(one.device.notes.at(-1)?.state, 'REJECTED');
  assert.match(one.device.notes.at(-1)?.why ?? '', /disk_full: \d+ bytes/);

  for (let again = 0; again < 2; again += 1) {
    await one.clock.advance(RETRY_MS);
    await one.until(() => one.clock.aheadMs.some((ms) => ms > RETRY_MS / 2), 'another look');
  }
  assert.equal(one.device.notes.length, 2, 'it is weighed again, and told once');
  one.twin.stop();
  const two = await world.start();
  await two.twin.receive(payload);
  await two.untilPhase('Refused', 2);
  assert.deepEqual(two.device.ids, ['alpha']);
  assert.deepEqual(two.device.notes, []);
});

test('what can never be in memory is refused whole', async (t) => {
  const world = new World(t);
  const memory = (residentBytes: number) => ({ memory: { residentBytes, loadBytes: residentBytes } });
  const giant = world.package('giant', memory(4 * GIB));
  const [big, large] = [world.package('big', memory(GIB)), world.package('large', memory(GIB))];
  const pinned = [big, large].map((one) => ({ ...one, pinned: true }));
  const refused = [
    [{ experts: [giant] }, 'too_large'],
    [{ experts: [giant], budget: '4GiB' }, 'too_large'],
    [{ experts: pinned, budget: '2GiB' }, 'all_pinned'],
    [{ experts: [], budget: '10MB' }, 'bad_config'],
  ] as const;
  const one = await world.start();
  for (const [index, [more, reason]] of refused.entries()) {
    await one.twin.receive(message(index + 1, { ...more, experts: [...more.experts] }));
    await one.untilPhase('Refused', index + 1);
    assert.equal(one.last.conditions[0]?.reason, reason);
  }
  assert.deepEqual(one.device.taken, []);
  await one.twin.receive(message(9, { experts: pinned, budget: '3GiB' }));
  await one.untilPhase('Applied', 9);
});

test('what was measured here counts more than what its maker says', async (t) => {
  const world = new World(t);
  const one = await world.start();
  const alpha = world.package('alpha', { memory: { residentBytes: 1, loadBytes: 1 } });
  const memory = { residentBytes: GIB, loadBytes: GIB, loadMs: 1, measured: true };
  const files = { bytes: 1, digest: sha256OfDigest(alpha.digest), precision: 'fp32', contextTokens: null };
  one.device.own = [expert('alpha', { memory, files })];
  await one.twin.receive(message(1, { experts: [alpha] }));
  await one.untilPhase('Refused', 1);
  assert.equal(one.last.conditions[0]?.reason, 'too_large');
});

test('a source with another content, or none, tells no sizes: that is said, and the document counts', async (t) => {
  const world = new World(t);
  const arrived = new Set<string>();
  const one = await world.start({ arrived });
  const memory = { residentBytes: 1, loadBytes: 1 };
  const other = { ...world.package('alpha', { memory }), digest: `sha256:${sha256('another')}` };
  await one.twin.receive(message(1, { experts: [other, wanted('beta')] }));
  await one.untilPhase('Fetching', 1);
  assert.deepEqual(one.conditions(), ['SizesUnknown']);
  assert.match(one.last.conditions.at(-1)?.message ?? '', /alpha, beta/);
  assert.equal(one.last.gen_applied, 0);
});

test('a package that is another than the document says could never come: the document is refused', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await one.twin.receive(message(1, { experts: [{ ...world.package('alpha'), id: 'beta' }] }));
  await one.untilPhase('Refused', 1);
  assert.equal(one.last.conditions[0]?.reason, 'bad_expert');
});

function sha256OfDigest(digest: string): string {
  return digest.slice('sha256:'.length);
}
