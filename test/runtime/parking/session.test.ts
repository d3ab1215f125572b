/** Sessions of ONNX Runtime whose weights leave memory and come back: what they say stays the same to the bit. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import type { Model } from '../../../agent/runtime/generation/model.ts';
import { PortableModel } from '../../../agent/runtime/generation/portable.ts';
import { openNativeApi } from '../../../agent/runtime/native/api.ts';
import { NativeModel } from '../../../agent/runtime/native/model.ts';
import { hearGolden, prove, type Speak } from '../../../agent/runtime/parking/canary.ts';
import type { Claim } from '../../../agent/runtime/parking/claim.ts';
import { openGraph } from '../../../agent/runtime/session.ts';
import { type Package, tinyPackage } from '../generation/asking.ts';
import { folder, MB, parking, skip } from './allocations.ts';

const PAYLOAD_BYTES = 6 * MB;
const CANARY = [7, 9, 11, 13, 17];
const OTHERS = [21, 8, 30, 12, 10, 25, 14];

const kinds = {
  async native({ directory, manifest }: Package): Promise<Model> {
    const api = await openNativeApi();
    if (api === null) throw new TypeError('the C API cannot be reached');
    return await NativeModel.open(api, manifest, join(directory, manifest.model.path), 1);
  },
  async portable({ directory, manifest }: Package): Promise<Model> {
    const session = await openGraph(manifest, join(directory, manifest.model.path), 1);
    return await PortableModel.open(manifest, session);
  },
} as const;

interface Expert {
  readonly model: Model;
  readonly claim: Claim;
  readonly speak: Speak;
  readonly golden: Float32Array;
}

async function say(model: Model, ids: readonly number[]): Promise<Float32Array> {
  const sequence = model.begin();
  try {
    await sequence.append(ids.slice(0, 2));
    return Float32Array.from(await sequence.predict(ids.slice(2)));
  } finally {
    sequence.release();
  }
}

/** Loads a generated model and takes its weights, as a cell does. */
async function open(t: TestContext, kind: keyof typeof kinds, seed: number): Promise<Expert> {
  assert.ok(parking !== null);
  const files = tinyPackage(t, { seed, payloadBytes: PAYLOAD_BYTES });
  const watch = parking.watch();
  const model = await kinds[kind](files);
  const claim = watch.claim([files.directory]);
  t.after(async () => {
    await claim.release();
    await model.release();
  });
  const speak = () => say(model, CANARY);
  const golden = await hearGolden(claim, speak);
  await claim.copy(folder(t), 0);
  await claim.use(() => say(model, OTHERS));
  return { model, claim, speak, golden };
}

for (const kind of ['native', 'portable'] as const) {
  test(`${kind}: 50 times parked, it says the same to the bit`, { skip }, async (t) => {
    const { claim, golden, speak, model } = await open(t, kind, 1);
    assert.ok(claim.chunkBytes > PAYLOAD_BYTES / 2, `${claim.chunkBytes} bytes of weights were found`);
    await prove(claim, golden, speak, 50);
    const other = await say(model, OTHERS);
    assert.notDeepEqual(other, golden);
    const { leftBytes, lostChunks } = claim.park();
    assert.ok(leftBytes > 0.8 * claim.chunkBytes, `${leftBytes} of ${claim.chunkBytes} bytes left`);
    assert.equal(lostChunks, 0);
    await claim.resume(true);
    assert.deepEqual(await say(model, OTHERS), other);
  });

  test(`${kind}: from the disk it says the same to the bit, read ahead or as it is needed`, {
    skip,
  }, async (t) => {
    const { claim, golden, speak } = await open(t, kind, 1);
    await prove(claim, golden, speak, 1);
    for (const ahead of ['warmed', 'resumed ahead', 'not at all']) {
      claim.park();
      claim.chill();
      const { bytes, coldBytes } = claim.residency() ?? { bytes: 0, coldBytes: 0 };
      assert.ok(coldBytes > 0.9 * bytes && bytes > 0, `${coldBytes} of ${bytes} bytes are cold`);
      if (ahead === 'warmed') await claim.warm(() => false);
      assert.equal(claim.residency()?.coldBytes, ahead === 'warmed' ? 0 : coldBytes);
      const { readBytes } = await claim.resume(ahead === 'resumed ahead');
      assert.equal(readBytes, ahead === 'resumed ahead' ? coldBytes : 0);
      assert.deepEqual(await claim.use(speak), golden, ahead);
    }
  });

  test(`${kind}: two of a kind are parked in one process, each by itself`, { skip }, async (t) => {
    const one = await open(t, kind, 1);
    const other = await open(t, kind, 2);
    assert.notDeepEqual(one.golden, other.golden);
    await prove(one.claim, one.golden, one.speak, 1);
    await prove(other.claim, other.golden, other.speak, 1);
    for (let round = 0; round < 5; round += 1) {
      assert.equal(one.claim.park().lostChunks, 0);
      assert.deepEqual(await other.claim.use(other.speak), other.golden);
      assert.equal(other.claim.park().lostChunks, 0);
      await one.claim.resume(true);
      assert.deepEqual(await one.claim.use(one.speak), one.golden);
      await other.claim.resume(true);
    }
  });

  test(`${kind}: parked, it is released before and after its weights`, { skip }, async (t) => {
    const [first, second] = [await open(t, kind, 1), await open(t, kind, 2)];
    for (const { claim, golden, speak } of [first, second]) {
      await prove(claim, golden, speak, 1);
      claim.park();
    }
    await first.model.release();
    await first.claim.release();
    await second.claim.release();
    assert.deepEqual(await second.speak(), second.golden);
    await second.model.release();
    const third = await open(t, kind, 3);
    await prove(third.claim, third.golden, third.speak, 1);
  });
}

test('a canary that hears something else, or nothing to compare with, says so', { skip }, async (t) => {
  const { claim, golden, speak } = await open(t, 'native', 1);
  const isError = (code: string, message: RegExp) => (error: unknown) =>
    error instanceof AgentError && error.code === code && message.test(error.message);
  const isNoNumbers = isError('not_parkable', /not numbers/);
  await assert.rejects(
    hearGolden(claim, async () => Float32Array.of(1, Number.NaN)),
    isNoNumbers,
  );
  await assert.rejects(
    hearGolden(claim, async () => new Float32Array()),
    isNoNumbers,
  );
  /** Changes the lowest bit of one number from the second answer on. */
  const turning = (): Speak => {
    let heard = 0;
    return async () => {
      const said = Float32Array.from(await speak());
      const bits = new Uint32Array(said.buffer, 0, 1);
      bits[0] = (bits[0] ?? 0) ^ Number(heard > 0);
      heard += 1;
      return said;
    };
  };
  await assert.rejects(hearGolden(claim, turning()), isError('not_parkable', /the same twice/));
  const isOther = isError('weights_changed', /after it was parked 1 times/);
  await assert.rejects(prove(claim, golden, turning(), 3), isOther);
});
