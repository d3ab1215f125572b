/**
 * What a glossary finds for questions in French, Spanish and German, were it asked:
 *
 *     node scripts/experts/glossary/foreign.ts
 */
import type { Passage } from '../../../agent/ports.ts';
import { ask, embed, openExpert } from './embedding.ts';
import { packageFolder, readMakerJson } from './places.ts';
import { GLOSSARIES } from './registry.ts';
import type { Routed } from './routing-sets.ts';

const questions = readMakerJson<Routed[]>('glossary', 'routing-questions.json');
const embedder = await openExpert(packageFolder('embedder'));
for (const { id } of GLOSSARIES) {
  const expert = await openExpert(packageFolder(id));
  for (const language of ['fr', 'es', 'de']) {
    const own = questions.filter((one) => one.expert === id && one.language === language);
    let [both, words, silent] = [0, 0, 0];
    for (const { question, expected } of own) {
      const vector = await embed(embedder, question);
      const found = await ask(expert, question, vector);
      both += Number(isRight(found, expected));
      words += Number(isRight(await ask(expert, question, null), expected));
      silent += Number(found.length === 0);
    }
    process.stdout.write(
      `${id} ${language}: of ${own.length} first passage right ${both}, by words alone ${words}, no passage ${silent}\n`,
    );
  }
  await expert.release();
}
await embedder.release();

function isRight([first]: readonly Passage[], expected: readonly string[]): boolean {
  return expected.some((term) => term.toLowerCase() === first?.title.toLowerCase());
}
