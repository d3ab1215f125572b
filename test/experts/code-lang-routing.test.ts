/** Questions through the real router, over the starter experts that could be taken for one another. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { type Embed, readExperts, route } from '../../scripts/experts/code-lang/routing.ts';
import { EMBEDDER, embed as embedWith, openPackage } from '../runtime/embedding-open.ts';

const RIVALS = ['code-lang', 'lang-id', 'spam'];
const questions: Record<string, readonly string[]> = JSON.parse(
  readFileSync('scripts/experts/code-lang/routing.json', 'utf8'),
);
const embedder = await openPackage(EMBEDDER);
after(() => embedder.release());
const embed: Embed = (texts) => embedWith(embedder, ...texts);
const experts = (await readExperts('experts', embed)).filter(({ id }) => RIVALS.includes(id));

for (const wanted of RIVALS) {
  test(`questions for ${wanted} reach it`, async () => {
    assert.equal(experts.length, RIVALS.length);
    const elsewhere: string[] = [];
    const reached = await Promise.all((questions[wanted] ?? []).map((text) => route(text, experts, embed)));
    for (const [at, { expert }] of reached.entries())
      if (expert !== wanted) elsewhere.push(`${questions[wanted]?.[at]} -> ${expert}`);
    assert.ok(reached.length >= 10 && elsewhere.length <= 1, elsewhere.join('; '));
    assert.ok(
      elsewhere.every((line) => line.endsWith('-> none')),
      elsewhere.join('; '),
    );
  });
}

test('without the embedder, rules send no question to the wrong one of them, and few nowhere', async () => {
  for (const wanted of ['code-lang', 'spam']) {
    const reached = await Promise.all((questions[wanted] ?? []).map((text) => route(text, experts, null)));
    const wrong = reached.filter(({ expert }) => expert !== wanted && expert !== 'none');
    assert.deepEqual(wrong, []);
    assert.ok(reached.filter(({ expert }) => expert === wanted).length >= 0.8 * reached.length);
  }
});

test('rules claim no question that only mentions code or spam', async () => {
  const claimed: string[] = [];
  for (const message of questions['none'] ?? []) {
    const { expert, router } = await route(message, experts, null);
    if (router === 'rules') claimed.push(`${message} -> ${expert}`);
  }
  assert.deepEqual(claimed, []);
});
