import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { Task } from '../../agent/runtime/task.ts';
import { chat, plainRun } from './embedding-open.ts';
import { OVERLAP, openRewriter, type Parts, WINDOW, writeRewriter } from './rewriting-package.ts';

const folder = await mkdtemp(join(tmpdir(), 'expertd-rewriting-'));
const lengths: number[] = [];
const manifest = writeRewriter(join(folder, 'right'));
const task = await openRewriter(join(folder, 'right'), manifest, lengths);
after(async () => {
  await task.release();
  await rm(folder, { recursive: true });
});

const rewrite = (text: string): Promise<string> => rewriteWith(task, text);
/** Without marks, as what is added is measured. */
const bare = (text: string): string => text.normalize('NFD').replace(/\p{M}/gu, '');

test('gives each letter its likeliest accent, in its own case', async () => {
  assert.equal(await rewrite('cafe'), 'càfé');
  assert.equal(await rewrite('CAFE Cafe eAu'), 'CÀFÉ Càfé eAu', 'a capital inside a word is code');
  assert.equal(await rewrite('cuic'), 'cuic', 'what the model holds unlikely is left');
});

test('reads the focus; what it read and wrote is counted in characters', async () => {
  const run = plainRun();
  const answer = await task.run(chat('le the', 'restore the accents of this'), run);
  const counted = { inputTokens: 6, outputTokens: 6, cachedTokens: 0, tokens: [] };
  assert.deepEqual(answer, { kind: 'text', text: 'lé thé', finish: 'stop', ...counted });
  assert.deepEqual([...run.stages.keys()], ['tokenize', 'run']);
});

test('nothing to do is done without a run', async () => {
  lengths.length = 0;
  for (const text of ['', ' \n', '42', '漢字', '😀', 'élève']) assert.equal(await rewrite(text), text);
  assert.deepEqual(lengths, []);
});

test('code, addresses and numbers stay as they are', async () => {
  const untouched = [
    'https://a.example/cafe?e=e',
    'moi@exemple.fr',
    'www.exemple.fr',
    '`git e` et',
    '``` \nle cafe\n```',
    'snake_case',
    'camelCase',
    '--force',
    '<p>',
    'R&a',
    '4e',
    'std::ere',
  ];
  for (const text of untouched) {
    const [code = ''] = text.split('` et');
    assert.ok((await rewrite(text)).startsWith(code), `${text} -> ${await rewrite(text)}`);
  }
  assert.equal(
    await rewrite('(le) **the** le, "the" l\'ere ; a-t-elle'),
    '(lé) **thé** lé, "thé" l\'éré ; à-t-éllé',
  );
});

test('accents that are there stay, whatever the model thinks of them', async () => {
  assert.equal(await rewrite('thê Müller señora the'), 'thê Müller señora thé');
  assert.equal(await rewrite('cafe\u0301'), 'café', 'the answer is in NFC');
  assert.equal(
    await rewrite('x\u0323e e\u20dd'),
    'x\u0323e e\u20dd',
    'nor does a mark without a letter of its own',
  );
});

test('a text that has its accents is believed, not the model', async () => {
  const right = `${'été né à là déjà '.repeat(20)}a le`;
  assert.equal(await rewrite(right), `${'été né à là déjà '.repeat(20)}a lé`);
  assert.equal(await rewrite('a le'), 'à lé');
});

test('a text that ends anywhere in a window is rewritten to its end, and no run is longer than a window', async () => {
  lengths.length = 0;
  for (let length = 1; length < 3 * WINDOW; length += 1) {
    const text = 'le '.repeat(WINDOW).slice(0, length);
    assert.equal(await rewrite(text), text.replaceAll('e', 'é'), `${length} characters`);
  }
  assert.ok(Math.max(...lengths) === WINDOW, `the longest run was ${Math.max(...lengths)}`);
});

test('100,000 characters take windows, not memory; each window judges all but its edges', async () => {
  lengths.length = 0;
  const text = 'le the '.repeat(14_286);
  assert.equal(await rewrite(text), text.replaceAll('e', 'é'));
  assert.ok(Math.max(...lengths) <= WINDOW);
  assert.ok(lengths.length <= Math.ceil(text.length / (WINDOW - 2 * OVERLAP)) + 1);
});

test('a long text without white space is no trap', async () => {
  const text = 'e'.repeat(200_000);
  const startMs = performance.now();
  assert.equal(await rewrite(`${text}@`), `${text}@`);
  assert.equal(await rewrite('`'.repeat(100_001)), '`'.repeat(100_001));
  assert.ok(performance.now() - startMs < 5_000);
});

test('any Unicode: only accents are added, and none is taken away', async () => {
  const letters = fc.constantFrom(..."aceuAEé ç\u0301\u0302\u0327`'@.:\n\t😀漢ß\u200dİſK\ud83d".split(''));
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.array(letters).map((all) => all.join('')),
  );
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      const before = text.normalize('NFC');
      const found = await rewrite(text);
      assert.equal(found.length, before.length);
      assert.equal(bare(found), bare(before));
      for (const [at, unit] of found.split('').entries()) {
        const was = before.charAt(at);
        if (unit !== was) assert.equal(was.normalize('NFD'), was, `${was} has an accent and became ${unit}`);
      }
      assert.equal(found.normalize('NFC'), found);
    }),
    { numRuns: 300 },
  );
});

test('stops between windows when it is cancelled', async () => {
  let looks = 0;
  const cancelled = (): boolean => {
    looks += 1;
    return looks > 3;
  };
  const run = { ...plainRun(), cancelled };
  await assert.rejects(task.run(chat('le '.repeat(1_000)), run), { code: 'cancelled' });
});

test('refuses embeddings', async () => {
  await assert.rejects(task.run({ kind: 'embeddings', texts: ['le'] }, plainRun()), { code: 'wrong_task' });
});

test('refuses packages whose parts do not fit together', async () => {
  const tokenizer = { kind: 'characters', path: 'characters.json', maxTokens: 16, overlap: 8 } as const;
  const faults: readonly (readonly [Parts, RegExp])[] = [
    [{ characters: [...'abcdefghijklmnop'] }, /first run failed/],
    [{ characters: ['a', 'a'] }, /there twice/],
    [{ characters: ['é'] }, /has an accent/],
    [{ characters: ['A'] }, /lower-case/],
    [{ characters: [] }, /array of 1 to 255/],
    [{ characters: { a: 1 } }, /array of 1 to 255/],
    [{ labels: ['àèù', 'é', 'ç', 'ñ'] }, /first line/],
    [{ labels: ['unchanged', 'é'] }, /2 labels for 4 outputs/],
    [{ labels: ['unchanged', 'éè', 'à', 'ç'] }, /two letters of one/],
    [{ labels: ['unchanged', 'e', 'à', 'ç'] }, /no accent/],
    [{ labels: ['unchanged', '', 'à', 'ç'] }, /empty line/],
    [{ manifest: { tokenizer } }, /judge nothing/],
    [{ manifest: { tokenizer: { ...tokenizer, maxTokens: 17, path: 'none.json' } } }, /none\.json/],
    [{ manifest: { tokenizer: { kind: 'byte-pairs', maxPairs: 8 } } }, /"characters"/],
    [{ manifest: { labels: 'none.txt' } }, /none\.txt/],
    [{ manifest: { model: { ...manifest.model, outputs: { scores: 'float32[t,l,4]' } } } }, /"logits"/],
  ];
  for (const [at, [parts, message]] of faults.entries()) {
    const directory = join(folder, `wrong-${at}`);
    const wrong = writeRewriter(directory, parts);
    await assert.rejects(openRewriter(directory, wrong), { code: 'bad_expert', message }, message.source);
  }
});

async function rewriteWith(rewriter: Task, text: string): Promise<string> {
  const answer = await rewriter.run(chat(text), plainRun());
  assert.ok(answer.kind === 'text');
  assert.equal(answer.finish, 'stop');
  return answer.text;
}
