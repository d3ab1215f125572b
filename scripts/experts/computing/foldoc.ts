/**
 * Reads FOLDOC, the Free On-line Dictionary of Computing, from Debian's `dict-foldoc` (`foldoc.index`,
 * `foldoc.dict.dz`; format: dictd's manual page) into articles and their senses, with its marks taken off.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export interface Sense {
  /** FOLDOC's own subjects, as `networking` and `standard`; none where it gives none. */
  readonly subjects: readonly string[];
  /** Plain paragraphs, without references, addresses and dates. */
  readonly paragraphs: readonly string[];
}

export interface Article {
  /** The first is the title. */
  readonly terms: readonly string[];
  /** In FOLDOC's order, the usual one first. */
  readonly senses: readonly Sense[];
  /** What the article as a whole refers to, in lower case. */
  readonly references: readonly string[];
  /** The term that it only points to (`broker`: `object request broker`), or null. */
  readonly pointsTo: string | null;
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** `index` and `dictionary` are the paths of the two files. In the order of the file. */
export function readArticles(index: string, dictionary: string): Article[] {
  const text = gunzipSync(readFileSync(dictionary));
  const words = new Map<number, { length: number; words: Set<string> }>();
  for (const line of readFileSync(index, 'utf8').split('\n')) {
    const [word = '', at = '', length = ''] = line.split('\t');
    if (word === '' || word.startsWith('00-database') || word.startsWith('00database')) continue;
    const found = words.get(fromBase64(at)) ?? { length: fromBase64(length), words: new Set() };
    found.words.add(word.toLowerCase());
    words.set(fromBase64(at), found);
  }
  return [...words]
    .sort(([left], [right]) => left - right)
    .map(([at, { length, words: heads }]) => parseArticle(text.toString('utf8', at, at + length), heads));
}

/** Dictd's numbers: digits of base 64, the most significant first. */
function fromBase64(number: string): number {
  return [...number].reduce((value, digit) => 64 * value + DIGITS.indexOf(digit), 0);
}

function parseArticle(text: string, heads: ReadonlySet<string>): Article {
  const start = text.search(/\n\s*\n/);
  const head = start < 0 ? text : text.slice(0, start);
  const body = start < 0 ? '' : text.slice(start);
  return {
    terms: termsOf(head, heads),
    senses: sensesOf(body),
    references: [...body.matchAll(/\{([^{}()]+?)\}/g)].map(([, to = '']) => unwrapped(to).toLowerCase()),
    pointsTo: /^\s*(?:<[^>]*>\s*)?(?:See\s+)?\{([^{}()]+)\}\.?\s*(?:\([\d-]+\)\s*)?$/.exec(body)?.[1] ?? null,
  };
}

/** A head is one term a line, or terms between `%%%`; a long term goes on in the next line, which the index tells. */
function termsOf(head: string, heads: ReadonlySet<string>): string[] {
  if (head.includes('%%%'))
    return unwrapped(head)
      .split('%%%')
      .map((term) => term.trim());
  const terms: string[] = [];
  for (const line of head.trim().split('\n')) {
    const last = terms.at(-1);
    if (last !== undefined && !heads.has(last.toLowerCase()))
      terms[terms.length - 1] = `${last} ${line.trim()}`;
    else terms.push(line.trim());
  }
  return terms;
}

/** Paragraphs that open with `1.`, `2.` ... are senses; without them there is one. */
function sensesOf(body: string): Sense[] {
  const paragraphs = body.split(/\n\s*\n/).filter((paragraph) => paragraph.trim() !== '');
  const groups: string[][] = [];
  let shared: readonly string[] = [];
  for (const paragraph of paragraphs) {
    const numbered = /^\s*(<[^>]*>\s*)?(\d+)\.\s+(?=\S)/.exec(paragraph);
    const opens = numbered !== null && Number(numbered[2]) === groups.length + 1;
    if (opens || groups.length === 0) {
      if (numbered?.[1] !== undefined) shared = subjectsOf(numbered[1]);
      groups.push([opens ? paragraph.slice(numbered[0].length) : paragraph]);
    } else groups.at(-1)?.push(paragraph);
  }
  return groups.map(([first = '', ...rest]) => {
    const own = subjectsOf(first);
    return {
      subjects: own.length > 0 ? own : shared,
      paragraphs: [withoutSubjects(first), ...rest].map(plain).filter((paragraph) => paragraph !== ''),
    };
  });
}

const SUBJECTS = /^\s*<([^<>@]+)>\s*/;

function subjectsOf(paragraph: string): string[] {
  return (SUBJECTS.exec(paragraph)?.[1] ?? '').split(',').flatMap((subject) => unwrapped(subject) || []);
}

function withoutSubjects(paragraph: string): string {
  return paragraph.replace(SUBJECTS, '');
}

/** One line without FOLDOC's marks: `{links}`, addresses, `[references]`, `/pronunciation/`, dates. */
export function plain(paragraph: string): string {
  return unwrapped(paragraph)
    .replaceAll(/\{\((?:https?|ftp|news|mailto|rfc|about)[^)]*\)?\)?\}/g, '')
    .replaceAll(/\{([^{}]*?)\s*\([^(){}]*(?:[:/.])[^(){}]*\)\}/g, '$1')
    .replaceAll(/[{}]/g, '')
    .replaceAll(/<[^<>\s]+@[^<>\s]+>/g, '')
    .replaceAll(/<(?:https?|ftp|news|mailto):[^>]*>/g, '')
    .replaceAll(/\(\s*(?:https?|ftp|news|mailto):[^)]*\)/g, '')
    .replaceAll(/\[[^\]]*(?:\]|$)/g, '')
    .replaceAll(/(?:^|\s)\/[^\s/][^/]*\/(?=\s|[.,]|$)(?:\s*(?:or|,)\s*\/[^/]+\/)*/g, ' ')
    .replaceAll(/\(\d{4}-\d{2}-\d{2}\)/g, '')
    .replaceAll(/\s+([.,;:])(?=\s|$)/g, '$1')
    .replaceAll(/\(\s*\)/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

function unwrapped(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
