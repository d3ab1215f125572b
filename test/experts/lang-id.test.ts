import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { hashRule, perceive } from '../../agent/perception.ts';
import type { Label } from '../../agent/ports.ts';
import { rules } from '../../policies/router/rules.ts';
import { listFiles, parseManifest } from '../../scripts/experts/manifest.ts';
import { chat, LANG_ID, openPackage, plainRun } from '../runtime/embedding-open.ts';

const manifest = parseManifest(readFileSync(`${LANG_ID}/expert.json`, 'utf8'));
const lines = (path: string) => readFileSync(`${LANG_ID}/${path}`, 'utf8').trim().split('\n');
const task = await openPackage(LANG_ID);
after(() => task.release());

test('lists its files as they are', async () => {
  assert.deepEqual(manifest.files, await listFiles(LANG_ID));
});

test('176 labels, each a language tag with a name', () => {
  const labels = lines('labels.txt');
  assert.equal(new Set(labels).size, 176);
  for (const label of labels) assert.match(label, /^[a-z]{2,3}$/);
  const named = lines('languages.tsv').map((line) => line.split('\t'));
  assert.deepEqual(
    named.map(([label]) => label),
    labels,
  );
  assert.ok(named.every(([, name]) => name !== undefined && name !== ''));
  assert.equal(new Set(named.map(([, name]) => name)).size, 176);
});

test('golden answers', async () => {
  assert.ok(manifest.golden.length >= 4);
  for (const { input, output } of manifest.golden) {
    const { label, score, tolerance } = output as Label & { tolerance: number };
    const best = await identify(input);
    assert.equal(best.label, label, input);
    assert.ok(Math.abs(best.score - score) <= tolerance, `${input}: ${best.score}`);
  }
});

test('says what fastText says', async () => {
  const rows = readFileSync('test/fixtures/lang-id-reference.jsonl', 'utf8').trim().split('\n');
  assert.ok(rows.length > 150);
  for (const row of rows) {
    const [text, label, score]: [string, string, number] = JSON.parse(row);
    const best = await identify(text);
    assert.equal(best.label, label, text);
    assert.ok(Math.abs(best.score - score) < 1e-3, `${text}: ${best.score} for ${score}`);
  }
});

test('its rules match questions about the language of a text, and no others', () => {
  const asked = [
    'What language is this text?',
    'in which language is this: ¿dónde está la biblioteca?',
    'Which language is the following written in: hola',
    'en qué idioma está esto',
    'En quelle langue est ce texte ?',
    'Welche Sprache ist das?',
    'на каком языке это написано',
    'detect the language of: bonjour',
  ];
  const others = [
    'which programming language should I learn',
    'what programming language is this written in',
    'What language should I learn first?',
    'what language do they speak in Brazil',
    'which language is spoken in Chad',
    'what is the official language of Peru? and what language of this region',
    'which language model is the best',
    'what language family has clicks? I want to learn',
    'what is tachycardia?',
    'translate hello to French',
  ];
  for (const question of asked) assert.ok(routed(question), question);
  for (const question of others) assert.ok(!routed(question), question);
});

async function identify(text: string): Promise<Label> {
  const answer = await task.run(chat(text), plainRun());
  assert.ok(answer.kind === 'labels');
  const [best] = answer.labels;
  assert.ok(best);
  return best;
}

/** Whether the rules of this expert claim a question. */
function routed(question: string): boolean {
  const features = perceive(question);
  const { any = [], all = [], not = [] } = { ...manifest.routing.rules[0] };
  const expert = { id: manifest.id, routing: { rules: [hashRule({ any, all, not })] } };
  return rules({ features, experts: [expert] } as unknown as Parameters<typeof rules>[0]).length > 0;
}
