import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import type { Task } from '../../agent/runtime/task.ts';
import {
  axis,
  chat,
  ENTRIES,
  indexBytes,
  makePackage,
  openPackage,
  type Package,
  passagesOf,
  RUN,
} from './retrieval-package.ts';

describe('a retrieval expert', () => {
  let made: Package;
  let task: Task;
  before(async () => {
    made = makePackage();
    task = await openPackage(made);
  });
  after(async () => {
    await task.release();
    made.remove();
  });
  const titles = async (...ask: Parameters<typeof chat>) =>
    (await passagesOf(task, chat(...ask))).map(({ title }) => title);

  test('an exact term wins over any meaning', async () => {
    for (const [at] of ENTRIES.entries()) {
      const [first] = await titles('what is tachycardia?', axis(at));
      assert.equal(first, 'tachycardia');
    }
  });

  test('a description is found by meaning, though its words point elsewhere', async () => {
    const [first] = await titles('the heart is too slow', axis(1));
    assert.equal(first, 'bradycardia');
  });

  test('without an embedding words alone answer', async () => {
    assert.equal((await titles('rapid heartbeat', null))[0], 'tachycardia');
    assert.equal((await titles('what is that pump', null))[0], 'heart');
  });

  test('a word within two slips of a term is taken for it', async () => {
    assert.equal((await titles('what is tachicardai', null))[0], 'tachycardia');
    assert.equal((await titles('bradicardia', axis(100)))[0], 'bradycardia');
  });

  test('a common word that no entry is about is not taken for a slip', async () => {
    assert.deepEqual(await titles('music', null), []);
  });

  test('terms are found in every spelling of them', async () => {
    for (const spelling of ['x-ray', 'X ray', 'xray', 'X-Rays', 'rontgen ray', 'RÖNTGEN RAY']) {
      assert.equal((await titles(spelling, null))[0], 'X-ray', spelling);
    }
    for (const spelling of ["Crohn's disease", 'crohns disease', 'Crohn’s disease']) {
      assert.equal((await titles(spelling, null))[0], "Crohn's disease", spelling);
    }
  });

  test('the longest term counts, not the one inside it', async () => {
    const [first, second] = await passagesOf(task, chat('what is a heart attack?', null));
    assert.equal(first?.title, 'heart attack');
    assert.ok((second?.score ?? 0) < (first?.score ?? 0) / 2, `${second?.title} ${second?.score}`);
  });

  test('a comparison answers with both of its terms', async () => {
    const found = await titles('difference between tachycardia and bradycardia', null);
    assert.deepEqual(found.slice(0, 2).sort(), ['bradycardia', 'tachycardia']);
  });

  test('what a message quotes is looked up, and the vector of the rest does not mislead', async () => {
    assert.equal((await titles('what does that mean', axis(0), 'death of muscle'))[0], 'heart attack');
  });

  test('passages carry synonyms, their source, and scores from best to worst', async () => {
    const passages = await passagesOf(task, chat('heart attack', axis(3)));
    const [first] = passages;
    assert.equal(first?.text, 'death of muscle of the heart. Also: infarction.');
    assert.equal(first?.source, 'test, heart attack');
    assert.ok((first?.score ?? 0) > 0.9);
    const scores = passages.map(({ score }) => score);
    assert.deepEqual(
      scores,
      scores.toSorted((left, right) => right - left),
    );
    assert.ok(scores.every((score) => score > 0 && score < 1));
  });

  test('nothing fits: no passages', async () => {
    assert.deepEqual(await titles('asdf qwer zxcv', null), []);
    assert.deepEqual(await titles('', null), []);
    assert.deepEqual(await titles('🫀 ؟', null), []);
  });

  test('a very long question is answered', async () => {
    assert.equal((await titles(`tachycardia ${'music '.repeat(20_000)}`, axis(0)))[0], 'tachycardia');
  });

  test('runs at once do not mix', async () => {
    const asked = ENTRIES.map(({ terms }, at) =>
      titles(`what is ${terms[0]}`, axis((at + 1) % ENTRIES.length)),
    );
    const firsts = (await Promise.all(asked)).map(([first]) => first);
    assert.deepEqual(
      firsts,
      ENTRIES.map(({ terms }) => terms[0]),
    );
  });

  test('an ask for embeddings is refused as the wrong task', async () => {
    await assert.rejects(
      task.run({ kind: 'embeddings', texts: ['tachycardia'] }, RUN),
      refusal('wrong_task'),
    );
  });

  test('a vector of another embedder is refused, with the embedder to use', async () => {
    await assert.rejects(task.run(chat('tachycardia', axis(0, 512)), RUN), (error) => {
      assert.ok(error instanceof AgentError);
      assert.match(error.message, /512.*384/);
      assert.match(error.hint ?? '', /"embedder"/);
      return true;
    });
  });
});

describe('a package that does not fit together is refused on load', () => {
  const refused = async (
    change: Parameters<typeof makePackage>[0],
    message: RegExp,
    spoil?: (made: Package) => void,
  ) => {
    const made = makePackage(change);
    try {
      spoil?.(made);
      await assert.rejects(openPackage(made), refusal('bad_expert', message));
    } finally {
      made.remove();
    }
  };

  test('a graph with more entries than the index', () =>
    refused({ vectors: 9 }, /model\.onnx scores 9 entries, index\.bin holds 6/));
  test('an index with fewer entries than the graph', () =>
    refused({ index: indexBytes(ENTRIES.slice(1)) }, /scores 6 entries, index\.bin holds 5/));
  test('inputs that the graph does not have', () => {
    const model = { path: 'model.onnx', precision: 'int8', outputs: { scores: 'float32[questions,6]' } };
    const inputs = { input_ids: 'int64[batch,sequence]' };
    return refused({ manifest: { model: { ...model, inputs } } }, /no input "input_ids"/);
  });
  test('a manifest without an index', async () => {
    const made = makePackage();
    const { index: _, ...manifest } = made.manifest;
    await assert.rejects(openPackage({ ...made, manifest }), refusal('bad_expert', /no "index"/));
    made.remove();
  });
  test('an index that the manifest does not list', () =>
    refused(
      { manifest: { index: { entries: 'other.bin', embedder: 'embedder', embedderSha256: '0'.repeat(64) } } },
      /other\.bin/,
    ));
  test('an index that is not there', () =>
    refused({}, /index\.bin/, ({ directory }) => rmSync(join(directory, 'index.bin'))));
  test('a file that is no index', () =>
    refused({ index: Buffer.from('hello') }, /index\.bin is not a retrieval index/));
});

function refusal(code: string, message = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.ok(error.hint);
    return true;
  };
}
