/**
 * Questions for fitting, from another dictionary: what Webster (GCIDE, as in Debian's `dict-gcide`) says of a word
 * that a glossary also explains, in Webster's own words. Only the weights of the fusion are made from them; no text
 * of GCIDE is in any package.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { OtherDefinition } from './definition.ts';

const MIN_CHARS = 25;
const MAX_CHARS = 220;

/** First definitions that a tag such as `(Med.)` gives to the field, from the dictzip file `gcide.dict.dz`. */
export function websterDefinitions(path: string, field: RegExp): OtherDefinition[] {
  const articles = gunzipSync(readFileSync(path))
    .toString('utf8')
    .split(/\n\n(?=\S)/);
  return articles.flatMap((article) => {
    const word = /^([^\\\n]+?) \\/.exec(article)?.[1];
    const tag = field.exec(article);
    if (word === undefined || tag === null) return [];
    const definition = definitionAfter(article.slice(tag.index + tag[0].length), word);
    return definition === null ? [] : [{ word, definition }];
  });
}

/** Null where what follows the field is too short, too long, or gives the word away. */
function definitionAfter(text: string, word: string): string | null {
  const [body = ''] = text.split(/\n\s*\n|\[1913|\n\s+\((?:a|b)\)|--/);
  const plain = body
    .replaceAll(/\[([ao])e\]/g, '$1e')
    .replaceAll(/[{}]/g, '')
    .replaceAll(/\s+/g, ' ')
    .replace(/^[\s(a)\d.]+/, '')
    .trim();
  const tellsWord = plain.toLowerCase().includes(word.toLowerCase().slice(0, 6));
  const isOdd = /[[\]\\]|\bSee\b|\?/.test(plain);
  return plain.length < MIN_CHARS || plain.length > MAX_CHARS || tellsWord || isOdd ? null : plain;
}
