/**
 * The requests that routing is measured with: every question of the glossaries with the expert that should take it,
 * questions about languages, questions in French, Spanish and German, and everyday requests that none should take.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Question } from './fitting-samples.ts';
import { readMakerJson } from './places.ts';
import { GLOSSARIES } from './registry.ts';

export const NONE = 'none';

export interface Routed {
  readonly question: string;
  /** Id of an expert, or `none`. */
  readonly expert: string;
  readonly language: string;
  /** Terms of right entries; empty where none is known. */
  readonly expected: readonly string[];
}

/** For measuring: nothing was chosen by these. `clinc` is a folder with `val.json` and `oos_val.json`, or absent. */
export function measuringSet(clinc: string | undefined): Routed[] {
  const files = GLOSSARIES.flatMap(({ id, questionSets }) => questionSets.map(({ file }) => ({ id, file })));
  return [
    ...files.flatMap(({ id, file }) => glossaryQuestions(id, file)),
    ...readMakerJson<Routed[]>('glossary', 'routing-questions.json'),
    ...everyday(clinc, ['val.json', 'oos_val.json'], 1),
  ];
}

/** For choosing between ways to score: the questions that the glossaries are fitted on, and a fifth of CLINC's training. */
export function choosingSet(clinc: string | undefined): Routed[] {
  return [
    ...GLOSSARIES.flatMap(({ id }) => glossaryQuestions(id, 'fitting-questions.json')),
    ...everyday(clinc, ['train.json', 'oos_train.json'], 5),
  ];
}

function glossaryQuestions(id: string, file: string): Routed[] {
  return readMakerJson<Question[]>(id, file).map(({ question, expected }) => {
    return { question, expert: id, language: 'en', expected };
  });
}

/** CLINC150 (Larson et al., EMNLP 2019): `[text, intent]` pairs, every `step`th. */
function everyday(clinc: string | undefined, files: readonly string[], step: number): Routed[] {
  if (clinc === undefined || !existsSync(clinc)) return [];
  const pairs = files.flatMap((file): [string, string][] =>
    JSON.parse(readFileSync(join(clinc, file), 'utf8')),
  );
  return pairs
    .filter((_, at) => at % step === 0)
    .map(([question]) => ({ question, expert: NONE, language: 'en', expected: [] }));
}
