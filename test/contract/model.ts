/** What every `Model` does, whichever way it reaches the runtime. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import type { Model, Sequence } from '../../agent/runtime/generation/model.ts';
import type { CacheKind } from '../../agent/runtime/generation/sharing.ts';
import { folder, type Package, tinyPackage } from '../runtime/generation/asking.ts';
import {
  COUNTING_VOCABULARY,
  type CountingOptions,
  countingPackage,
  NONSENSE,
} from '../runtime/generation/counting-package.ts';

export type OpenedModel = Model & { readonly cache: CacheKind };

/** Opens the package's model, as it is. */
export type OpenUnderTest = (files: Package) => Promise<OpenedModel>;

/** Steps of several sizes, 523 tokens in all: over the end of every first room. */
const STEPS = [7, 1, 40, 1, 30, 1, 1, 60, 1, 128, 128, 120, 1, 1, 1, 1, 1];

interface Given {
  readonly t: TestContext;
  readonly open: OpenUnderTest;
  /** With a shared cache. */
  tiny(): Promise<OpenedModel>;
  /** With a growing one. */
  counting(options?: CountingOptions): Promise<OpenedModel>;
}

type It = (what: string, body: (given: Given) => Promise<void>) => void;

/** `skip` is why it cannot be tested here; false where it can. */
export function modelContract(name: string, open: OpenUnderTest, skip: string | false): void {
  const it: It = (what, body) =>
    test(`${name}: ${what}`, { skip }, async (t) => {
      const opened = async (files: Package) => {
        const model = await open(files);
        t.after(() => model.release());
        return model;
      };
      await body({
        t,
        open,
        tiny: () => opened(tinyPackage(t)),
        counting: (options) => opened(countingPackage(folder(t), options)),
      });
    });
  stepping(it);
  parting(it);
  ending(it);
  growing(it);
  refusing(it);
}

function stepping(it: It): void {
  it('knows its sizes', async ({ tiny }) => {
    const model = await tiny();
    assert.equal(model.cache, 'shared');
    // Keys and values of 2 layers with 2 heads of 64 numbers.
    assert.equal(model.bytesPerToken, 2 * 2 * 2 * 64 * 4);
    assert.equal((await model.begin().predict([8])).length, model.vocabulary);
    for (let tokens = 0; tokens < 600; tokens += 1) {
      assert.ok(model.bytesFor(tokens) >= tokens * model.bytesPerToken);
      assert.ok(model.bytesFor(tokens + 1) >= model.bytesFor(tokens));
    }
  });

  it('predicts the same whether earlier logits were wanted or not', async ({ tiny }) => {
    const model = await tiny();
    const [asked, quiet] = [model.begin(), model.begin()];
    for (const ids of stepsOfText().slice(0, -1)) {
      await asked.predict(ids);
      await quiet.append(ids);
      assert.equal(quiet.tokens, asked.tokens);
      assert.ok(quiet.bytes >= quiet.tokens * model.bytesPerToken);
      assert.ok(quiet.bytes <= model.bytesFor(quiet.tokens));
    }
    assert.deepEqual(copy(await quiet.predict([9])), copy(await asked.predict([9])));
  });

  it('sequences do not disturb each other, also at once', async ({ tiny }) => {
    const model = await tiny();
    const alone = await Promise.all([3, 5].map((first) => lastOf(model.begin(), [[first, 20], [21]])));
    const [one, two] = [model.begin(), model.begin()];
    await Promise.all([one.append([3, 20]), two.append([5, 20])]);
    const together = await Promise.all([one.predict([21]), two.predict([21])]);
    assert.deepEqual(together.map(copy), alone);
    assert.notDeepEqual(alone[0], alone[1]);
  });

  it('an empty step is none', async ({ tiny }) => {
    const sequence = (await tiny()).begin();
    await sequence.append([]);
    assert.equal(sequence.tokens, 0);
    await assert.rejects(sequence.predict([]), RangeError);
  });

  it('what the runtime says of a run is passed on, and the sequence is as it was', async ({ tiny }) => {
    const model = await tiny();
    const sequence = model.begin();
    await sequence.append([7, 8, 9]);
    await assert.rejects(sequence.predict([model.vocabulary]), /indices|out of|bounds/i);
    await assert.rejects(sequence.append([8, model.vocabulary]), /indices|out of|bounds/i);
    assert.equal(sequence.tokens, 3);
    assert.deepEqual(copy(await sequence.predict([10])), await lastOf(model.begin(), [[7, 8, 9], [10]]));
  });
}

function parting(it: It): void {
  it('what was forgotten is as if it had never been', async ({ tiny }) => {
    const model = await tiny();
    const steps = stepsOfText();
    const sequence = model.begin();
    for (const ids of steps) await sequence.append(ids);
    const before = sequence.bytes;
    sequence.truncate(49);
    assert.equal(sequence.tokens, 49);
    assert.ok(sequence.bytes < before);
    assert.deepEqual(
      copy(await sequence.predict([11])),
      await lastOf(model.begin(), [...steps.slice(0, 4), [11]]),
    );
    sequence.truncate(0);
    assert.deepEqual(copy(await sequence.predict([12])), await lastOf(model.begin(), [[12]]));
  });

  it('what stays is whole where the room was full', async ({ tiny }) => {
    const model = await tiny();
    const quarter = Array.from({ length: 128 }, (_, at) => 7 + at);
    const sequence = model.begin();
    for (let at = 0; at < 4; at += 1) await sequence.append(quarter);
    sequence.truncate(128);
    assert.deepEqual(copy(await sequence.predict([9])), await lastOf(model.begin(), [quarter, [9]]));
  });

  it('a fork goes its own way, and outlives what it came from', async ({ tiny }) => {
    const model = await tiny();
    const steps = stepsOfText();
    const trunk = model.begin();
    for (const ids of steps) await trunk.append(ids);
    const branch = trunk.fork(49);
    assert.equal(branch.tokens, 49);
    const expected = [...steps.slice(0, 4), [11], [12]];
    await branch.append([11]);
    assert.deepEqual(copy(await trunk.predict([13])), await lastOf(model.begin(), [...steps, [13]]));
    trunk.release();
    assert.deepEqual(copy(await branch.predict([12])), await lastOf(model.begin(), expected));
    assert.equal(branch.fork(0).tokens, 0);
  });

  it('refuses parts that are none', async ({ tiny }) => {
    const sequence = (await tiny()).begin();
    await sequence.append([7, 8]);
    for (const tokens of [3, -1, 0.5, Number.NaN]) {
      assert.throws(() => sequence.truncate(tokens), RangeError);
      assert.throws(() => sequence.fork(tokens), RangeError);
    }
  });
}

function ending(it: It): void {
  it('what was released holds nothing and does nothing', async ({ tiny }) => {
    const sequence = (await tiny()).begin();
    await sequence.append([7, 8]);
    sequence.release();
    sequence.release();
    await assertReleased(sequence);
  });

  it('a model ends with its sequences', async ({ tiny }) => {
    const model = await tiny();
    const sequences = [model.begin(), model.begin()];
    for (const sequence of sequences) await sequence.append([7, 8]);
    await model.release();
    for (const sequence of sequences) await assertReleased(sequence);
  });
}

/** Graphs that cannot write their cache in place. */
function growing(it: It): void {
  const kinds: readonly CountingOptions[] = [
    {},
    { lastOnly: true },
    { lastOnly: 'asked' },
    { type: 'FLOAT16' },
    { type: 'FLOAT16', lastOnly: true },
  ];
  for (const options of kinds) {
    const { type = 'FLOAT' } = options;
    it(`counts with a growing cache: ${JSON.stringify(options)}`, async ({ counting }) => {
      const model = await counting(options);
      assert.equal(model.cache, 'growing');
      assert.equal(model.vocabulary, COUNTING_VOCABULARY);
      assert.equal(model.bytesPerToken, type === 'FLOAT' ? 8 : 4);
      const sequence = model.begin();
      await sequence.append([5, 5]);
      for (const id of [2, 3, 4]) assert.equal(likeliest(await sequence.predict([id])), id + 1);
      assert.equal(likeliest(await sequence.predict([3, 1])), 2);
      const branch = sequence.fork(4);
      sequence.truncate(3);
      for (const one of [branch, sequence]) {
        assert.equal(likeliest(await one.predict([3, 1])), 2);
        assert.equal(likeliest(await one.predict([4])), 5);
      }
      sequence.truncate(0);
      assert.equal(likeliest(await sequence.predict([4])), 5);
    });
  }

  it('logits that are not numbers are passed on', async ({ counting }) => {
    const sequence = (await counting()).begin();
    assert.ok((await sequence.predict([NONSENSE])).every(Number.isNaN));
    assert.equal(likeliest(await sequence.predict([1])), 2);
  });
}

function refusing(it: It): void {
  it('refuses what is no model', async ({ t, open }) => {
    const files = countingPackage(folder(t));
    writeFileSync(join(files.directory, 'model.onnx'), 'nothing of the kind');
    await refused(open(files), /model\.onnx cannot be loaded/);
  });

  it('refuses a graph with other inputs than the manifest says', async ({ t, open }) => {
    const { directory, manifest } = countingPackage(folder(t));
    const { position_ids: _, ...inputs } = manifest.model.inputs;
    const files = { directory, manifest: { ...manifest, model: { ...manifest.model, inputs } } };
    await refused(open(files), /the graph also needs input "position_ids"/);
  });

  it('refuses a graph that does not keep all of its text', async ({ t, open }) => {
    await refused(open(countingPackage(folder(t), { forgetful: true })), /one row of keys and values/);
  });

  it('refuses weights outside the folder', async ({ t, open }) => {
    const parent = folder(t);
    const weights = Buffer.alloc(4 * COUNTING_VOCABULARY ** 2);
    writeFileSync(join(parent, 'weights.bin'), weights);
    const files = countingPackage(parent, { external: '../weights.bin' });
    await refused(open(files), /cannot be loaded/);
    // The same weights inside are taken.
    const inside = countingPackage(folder(t), { external: 'weights.bin' });
    writeFileSync(join(inside.directory, 'weights.bin'), weights);
    await (await open(inside)).release();
  });
}

async function refused(opening: Promise<Model>, message: RegExp): Promise<void> {
  await assert.rejects(opening, (error) => {
    assert.ok(error instanceof AgentError);
    assert.equal(error.code, 'bad_expert');
    assert.match(error.message, message);
    return true;
  });
}

async function assertReleased(sequence: Sequence): Promise<void> {
  assert.deepEqual([sequence.tokens, sequence.bytes], [0, 0]);
  await assert.rejects(sequence.predict([7]), /released/);
  assert.throws(() => sequence.fork(0), /released/);
}

/** Any text, in steps of the sizes of `STEPS`. */
function stepsOfText(): readonly (readonly number[])[] {
  let tokens = 0;
  return STEPS.map((size) => {
    const ids = Array.from({ length: size }, (_, at) => 7 + ((tokens + 31 * at) % 200));
    tokens += size;
    return ids;
  });
}

/** The logits after the last of several steps. */
async function lastOf(sequence: Sequence, steps: readonly (readonly number[])[]): Promise<Float32Array> {
  for (const ids of steps.slice(0, -1)) await sequence.append(ids);
  return copy(await sequence.predict(steps.at(-1) ?? []));
}

/** They are good until the next call only. */
function copy(logits: Float32Array): Float32Array {
  return Float32Array.from(logits);
}

function likeliest(logits: Float32Array): number {
  return logits.indexOf(Math.max(...logits));
}
