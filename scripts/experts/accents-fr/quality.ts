/**
 * How good the expert is on text it never saw: `quality.ts FOLDER CORPUS [CONLLU...]` prints JSON.
 *
 * CORPUS is what corpus.py wrote: its train.tsv teaches the baseline, which gives every word its most frequent form,
 * and its test.tsv is the test. A CONLLU file (a Universal Dependencies treebank) is a test from another world. Four
 * ways are compared: doing nothing, the baseline, the expert, and the expert on text that has its accents or half of
 * them already.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Letters } from '../../../agent/runtime/tasks/rewriting-alphabet.ts';
import { openRestorer, type Restorer } from './expert.ts';
import { Forms, type Word, withoutAccents, wordsOf } from './words.ts';

const LIGATURES: Readonly<Record<string, string>> = { œ: 'oe', Œ: 'Oe', æ: 'ae', Æ: 'Ae', '’': "'" };
/** Words that are another word with an accent; by context alone they are told apart. */
const PAIRS = ['a', 'ou', 'la', 'du', 'des', 'sur'];
/** Lines that are restored together, as a text is asked. */
const LINES = 8;

interface Score {
  words: number;
  right: number;
}
type Scores = Map<string, Score>;

async function evaluate(restorer: Restorer, letters: Letters, forms: Forms, lines: readonly string[]) {
  const scores: Scores = new Map();
  for (let at = 0; at < lines.length; at += LINES) {
    const text = lines.slice(at, at + LINES).join('\n');
    const bare = withoutAccents(text);
    const half = halfAccented(text);
    const restored = await restorer.restore(bare);
    const kept = await restorer.restore(text);
    const completed = await restorer.restore(half);
    for (const word of wordsOf(text, letters)) {
      const found = (in_: string) => in_.slice(word.start, word.start + word.form.length).toLowerCase();
      const plain = withoutAccents(word.form);
      const baseline = forms.mostFrequent(plain);
      const ways = { nothing: plain, baseline, expert: found(restored) };
      for (const group of groupsOf(word, plain, forms)) {
        for (const [way, form] of Object.entries(ways)) count(scores, `${group}: ${way}`, form === word.form);
      }
      count(scores, 'all words, text that has its accents: expert', found(kept) === word.form);
      count(scores, 'all words, text that has half of its accents: nothing', found(half) === word.form);
      count(scores, 'all words, text that has half of its accents: expert', found(completed) === word.form);
    }
  }
  return Object.fromEntries(
    [...scores].map(([name, { words, right }]) => [name, [percent(right / words), words]]),
  );
}

/** What a word counts for. A word can carry an accent if it has one here, or had one in the training text. */
function groupsOf({ form }: Word, plain: string, forms: Forms): readonly string[] {
  const groups = ['all words'];
  if (form !== plain || forms.canCarry(plain)) groups.push('words that can carry accents');
  if (form !== plain && !forms.has(form)) groups.push('words with accents that the training text lacks');
  if (PAIRS.includes(plain)) groups.push(`"${plain}" that is "${form}"`);
  const other = form.endsWith('é') ? `${form.slice(0, -1)}e` : `${form.slice(0, -1)}é`;
  if (/[eé]$/.test(form) && form.length > 3 && forms.has(other) && forms.has(form))
    groups.push(form.endsWith('é') ? 'in -é, where -e exists too' : 'in -e, where -é exists too');
  return groups;
}

/** Every other word without its accents. */
function halfAccented(text: string): string {
  let turn = 0;
  return text.replace(/\S+/g, (word) => {
    turn += 1;
    return turn % 2 === 0 ? word : withoutAccents(word);
  });
}

function count(scores: Scores, name: string, isRight: boolean): void {
  const score = scores.get(name) ?? { words: 0, right: 0 };
  score.words += 1;
  score.right += Number(isRight);
  scores.set(name, score);
}

function percent(share: number): number {
  return Number((100 * share).toFixed(2));
}

async function readCorpus(path: string): Promise<readonly (readonly [source: string, text: string])[]> {
  const rows = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return rows.map((row) => {
    const [source = '', , text = ''] = row.split('\t');
    return [source, text] as const;
  });
}

/** The sentences of a treebank. */
async function readTreebank(path: string): Promise<readonly string[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line.startsWith('# text = '));
  return lines.map((line) =>
    line
      .slice(9)
      .normalize('NFC')
      .replace(/[œŒæÆ’]/g, (found) => LIGATURES[found] ?? ''),
  );
}

const [folder, corpus, ...treebanks] = process.argv.slice(2);
if (folder === undefined || corpus === undefined)
  throw new Error('usage: quality.ts FOLDER CORPUS [CONLLU...]');
const letters = new Letters({ path: 'labels.txt', bytes: await readFile(`${folder}/labels.txt`) });
const forms = new Forms();
for (const [, text] of await readCorpus(`${corpus}/train.tsv`)) {
  for (const { form } of wordsOf(text, letters)) forms.add(form);
}
const restorer = await openRestorer(folder);
const rows = await readCorpus(`${corpus}/test.tsv`);
const isPage = (source: string): boolean => source !== 'stardict-xmlittre';
const tests: Record<string, readonly string[]> = {
  documentation: rows.filter(([source]) => isPage(source)).map(([, text]) => text),
  dictionary: rows.filter(([source]) => !isPage(source)).map(([, text]) => text),
};
for (const path of treebanks) tests[basename(path)] = await readTreebank(path);
for (const [name, lines] of Object.entries(tests)) {
  const scores = await evaluate(restorer, letters, forms, lines);
  process.stdout.write(`${JSON.stringify({ [name]: scores }, null, 1)}\n`);
}
await restorer.release();
