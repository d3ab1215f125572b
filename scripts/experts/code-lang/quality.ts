/**
 * Measures code-lang on sample files that took no part in choosing its settings:
 * `node scripts/experts/code-lang/quality.ts EXPERT LINGUIST_SAMPLES PYGMENTS_EXAMPLEFILES ROUGE_DEMOS [all]`
 *
 * `leastPairs` was chosen on every second file, so the other half is measured. A language counts as much as any
 * other, however many files it has; the worst languages are listed among those with 5 pieces at least.
 */
import { type Classifier, openClassifier } from './classifier.ts';
import { cut, hash, readSources, type SourceFile } from './snippets.ts';

const LENGTHS: readonly number[] = [50, 100, 300, 1000, Number.POSITIVE_INFINITY];
const WORST = 12;
const LEAST_PIECES = 5;
const BINS = 10;

interface Row {
  readonly label: string;
  readonly answers: readonly string[];
  readonly score: number;
}

async function measure(
  expert: Classifier,
  files: readonly SourceFile[],
  chars: number,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const file of files) {
    for (const piece of cut(file, chars)) {
      const labels = await expert.classify(piece);
      const answers = labels.map(({ label }) => label);
      rows.push({ label: file.label, answers, score: labels[0]?.score ?? 0 });
    }
  }
  return rows;
}

const isRight = ({ label, answers }: Row): boolean => answers[0] === label;

function share(rows: readonly Row[], good: (row: Row) => boolean): number {
  return rows.filter(good).length / rows.length;
}

function report(chars: number, rows: readonly Row[]): Record<string, unknown> {
  const groups = [...Map.groupBy(rows, ({ label }) => label)];
  const accuracies = groups.map(([label, group]) => ({ label, group, accuracy: share(group, isRight) }));
  const mean = accuracies.reduce((sum, { accuracy }) => sum + accuracy, 0) / accuracies.length;
  const worst = accuracies
    .filter(({ group }) => group.length >= LEAST_PIECES)
    .toSorted((left, right) => left.accuracy - right.accuracy)
    .slice(0, WORST)
    .map(({ label, group, accuracy }) => `${label} ${accuracy.toFixed(2)} (${mostOften(group)})`);
  return {
    chars,
    pieces: rows.length,
    accuracy: round(share(rows, isRight)),
    meanOfLanguages: round(mean),
    top3: round(share(rows, ({ label, answers }) => answers.slice(0, 3).includes(label))),
    calibrationError: round(calibrationError(rows)),
    worst,
  };
}

/** What is answered most often where the answer is wrong. */
function mostOften(rows: readonly Row[]): string {
  const wrong = Map.groupBy(
    rows.filter((row) => !isRight(row)),
    ({ answers }) => answers[0] ?? '',
  );
  const [first] = [...wrong].toSorted((left, right) => right[1].length - left[1].length);
  return first?.[0] ?? '-';
}

/** Expected calibration error: the mean distance of confidence and accuracy over ten bins of confidence. */
function calibrationError(rows: readonly Row[]): number {
  const bins = Map.groupBy(rows, ({ score }) => Math.min(BINS - 1, Math.floor(score * BINS)));
  const distances = [...bins.values()].map((bin) => {
    const confidence = bin.reduce((sum, { score }) => sum + score, 0) / bin.length;
    return (Math.abs(confidence - share(bin, isRight)) * bin.length) / rows.length;
  });
  return distances.reduce((sum, distance) => sum + distance, 0);
}

function round(value: number): number {
  return Number(value.toFixed(3));
}

const [folder, linguist, pygments, rouge, which] = process.argv.slice(2);
if (folder === undefined || linguist === undefined || pygments === undefined || rouge === undefined) {
  throw new Error('usage: quality.ts EXPERT LINGUIST_SAMPLES PYGMENTS_EXAMPLEFILES ROUGE_DEMOS [all]');
}
const all = await readSources({ linguist, pygments, rouge });
const files = which === 'all' ? all : all.filter(({ label, name }) => hash(label + name) % 2 === 1);
const variants = {
  'as it ships': await openClassifier(folder),
  'as the package has it': await openClassifier(folder, { kind: 'byte-pairs', maxPairs: 10_000 }),
};
for (const [variant, expert] of Object.entries(variants)) {
  for (const chars of LENGTHS) {
    const rows = await measure(expert, files, chars);
    process.stdout.write(`${JSON.stringify({ variant, files: files.length, ...report(chars, rows) })}\n`);
  }
  await expert.release();
}
