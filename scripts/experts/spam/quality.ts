/**
 * Measures spam on mails that are newer than all it learned from, on pieces of them, and on messages of today:
 * `node scripts/experts/spam/quality.ts EXPERT MAILS_JSONL [LINES ...]`
 *
 * MAILS_JSONL is what corpus.py writes; messages.json was written by hand for this measure and took no part in
 * training. Each file of LINES holds one harmless message a line: how many of them are taken for spam.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Classifier, openClassifier } from '../code-lang/classifier.ts';

const TEST_FROM = '2002-09-01';
const SPAM = 'spam';
/** Beside the even chance, the probability from which acting alone is reasonable. */
const CAUTIOUS = 0.9;
const BINS = 10;
const MESSAGES = 'scripts/experts/spam/messages.json';

interface Mail {
  readonly spam: number;
  readonly group: string;
  readonly date: string;
  readonly text: string;
  readonly body: string;
}

interface Sample {
  readonly group: string;
  readonly spam: boolean;
  readonly text: string;
}

interface Judged extends Sample {
  /** Probability that it is spam. */
  readonly score: number;
}

async function judge(expert: Classifier, samples: readonly Sample[]): Promise<readonly Judged[]> {
  const judged: Judged[] = [];
  for (const sample of samples) {
    const labels = await expert.classify(sample.text);
    judged.push({ ...sample, score: labels.find(({ label }) => label === SPAM)?.score ?? 0 });
  }
  return judged;
}

function report(name: string, judged: readonly Judged[]): Record<string, unknown> {
  const groups = [...Map.groupBy(judged, ({ group }) => group)].map(([group, rows]) => {
    return [group, `${round(share(rows, (row) => isRight(row)))} of ${rows.length}`];
  });
  const ham = judged.filter(({ spam }) => !spam);
  const spam = judged.filter((row) => row.spam);
  return {
    name,
    spam: spam.length,
    notSpam: ham.length,
    accuracy: round(share(judged, isRight)),
    falsePositives: round(share(ham, ({ score }) => score > 0.5)),
    found: round(share(spam, ({ score }) => score > 0.5)),
    [`falsePositivesAt${CAUTIOUS}`]: round(share(ham, ({ score }) => score > CAUTIOUS)),
    [`foundAt${CAUTIOUS}`]: round(share(spam, ({ score }) => score > CAUTIOUS)),
    areaUnderCurve: round(areaUnderCurve(spam, ham)),
    calibrationError: round(calibrationError(judged)),
    groups: Object.fromEntries(groups),
  };
}

function isRight({ score, spam }: Judged): boolean {
  return score > 0.5 === spam;
}

function share<Row>(rows: readonly Row[], good: (row: Row) => boolean): number {
  return rows.length === 0 ? Number.NaN : rows.filter(good).length / rows.length;
}

/** Chance that a spam scores higher than a message that is none; ties count half. */
function areaUnderCurve(spam: readonly Judged[], ham: readonly Judged[]): number {
  const higher = spam.map(({ score }) =>
    ham.reduce((sum, other) => sum + (score > other.score ? 1 : score === other.score ? 0.5 : 0), 0),
  );
  return higher.reduce((sum, count) => sum + count, 0) / (spam.length * ham.length);
}

/** Expected calibration error over ten bins of the probability of spam. */
function calibrationError(judged: readonly Judged[]): number {
  const bins = Map.groupBy(judged, ({ score }) => Math.min(BINS - 1, Math.floor(score * BINS)));
  const distances = [...bins.values()].map((bin) => {
    const expected = bin.reduce((sum, { score }) => sum + score, 0) / bin.length;
    return (Math.abs(expected - share(bin, ({ spam }) => spam)) * bin.length) / judged.length;
  });
  return distances.reduce((sum, distance) => sum + distance, 0);
}

function round(value: number): number {
  return Number(value.toFixed(3));
}

/** `words` words out of the middle of each mail that has as many. */
function pieces(mails: readonly Mail[], words: number): readonly Sample[] {
  return mails.flatMap(({ spam, group, body }) => {
    const all = body.split(/\s+/).filter((word) => word !== '');
    if (all.length < words) return [];
    const start = Math.floor((all.length - words) / 2);
    return [{ spam: spam === 1, group, text: all.slice(start, start + words).join(' ') }];
  });
}

const [folder, mailsPath, ...linePaths] = process.argv.slice(2);
if (folder === undefined || mailsPath === undefined) {
  throw new Error('usage: quality.ts EXPERT MAILS_JSONL [LINES ...]');
}
const linesOf = async (path: string) => (await readFile(path, 'utf8')).trim().split('\n');
const mails = (await linesOf(mailsPath))
  .map((line): Mail => JSON.parse(line))
  .filter(({ date }) => date >= TEST_FROM);
const messages: Record<string, readonly string[]> = JSON.parse(await readFile(MESSAGES, 'utf8'));
const sets: Record<string, readonly Sample[]> = {
  'mails from September 2002': mails.map(({ spam, group, text }) => ({ spam: spam === 1, group, text })),
  '100 words of them': pieces(mails, 100),
  '25 words of them': pieces(mails, 25),
  '12 words of them': pieces(mails, 12),
  'messages of today, written by hand': Object.entries(messages).flatMap(([label, texts]) =>
    texts.map((text) => ({ spam: label === SPAM, group: label, text })),
  ),
};
for (const path of linePaths) {
  const texts = await linesOf(path);
  sets[basename(path)] = texts.map((text) => ({ spam: false, group: 'lines', text }));
}
const expert = await openClassifier(folder);
for (const [name, samples] of Object.entries(sets)) {
  process.stdout.write(`${JSON.stringify(report(name, await judge(expert, samples)))}\n`);
}
await expert.release();
