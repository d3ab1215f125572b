/**
 * Reads WordNet's database files (`data.noun` ..., format: WordNet's wndb(5WN) manual page) into synsets.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type PartOfSpeech = 'noun' | 'verb' | 'adj' | 'adv';

export interface Pointer {
  /** `~` hyponym, `;c` topic, `\` pertains to, `+` derivationally related ... */
  readonly symbol: string;
  /** Key of the synset it points to. */
  readonly target: string;
}

export interface Synset {
  /** Part of speech and byte offset, as `noun 14110411`: unique, and the name under which its source is cited. */
  readonly key: string;
  readonly partOfSpeech: PartOfSpeech;
  /** Number of the lexicographer's file: 8 is `noun.body`, 29 `verb.body`. */
  readonly lexicographerFile: number;
  readonly terms: readonly string[];
  readonly pointers: readonly Pointer[];
  readonly gloss: string;
}

const PARTS: readonly PartOfSpeech[] = ['noun', 'verb', 'adj', 'adv'];
const PART_OF_LETTER: Readonly<Record<string, PartOfSpeech>> = {
  n: 'noun',
  v: 'verb',
  a: 'adj',
  s: 'adj',
  r: 'adv',
};

export class WordNet {
  readonly synsets: ReadonlyMap<string, Synset>;
  /** Keys of the synsets of `lemma|part`, the most frequent sense first. */
  readonly #order = new Map<string, readonly string[]>();

  /** `directory` holds the `data.*` and `index.*` files. */
  constructor(directory: string) {
    const synsets = new Map<string, Synset>();
    for (const part of PARTS) {
      for (const line of lines(join(directory, `data.${part}`))) {
        const synset = parseSynset(line, part);
        synsets.set(synset.key, synset);
      }
      for (const line of lines(join(directory, `index.${part}`))) this.#addSenses(line, part);
    }
    this.synsets = synsets;
  }

  get(key: string): Synset {
    const synset = this.synsets.get(key);
    if (synset === undefined) throw new Error(`WordNet 3.1 has no synset "${key}"`);
    return synset;
  }

  /** 1 for the sense that people mean most often by `term`, in WordNet's order of frequency. */
  senseNumber(term: string, key: string): number {
    const [part] = key.split(' ');
    return Math.max(1, (this.#order.get(`${lemma(term)}|${part}`) ?? []).indexOf(key) + 1);
  }

  /** Keys of all synsets that have this term, whatever their part of speech. */
  sensesOf(term: string): string[] {
    return PARTS.flatMap((part) => this.#order.get(`${lemma(term)}|${part}`) ?? []);
  }

  /** Every synset that is a kind of one of `roots`, these included; nothing below `without`. No named individuals. */
  kindsOf(roots: readonly string[], without: ReadonlySet<string>): Set<string> {
    const found = new Set<string>();
    const queue = [...roots];
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
      if (found.has(key) || without.has(key)) continue;
      found.add(key);
      for (const pointer of this.get(key).pointers) if (pointer.symbol === '~') queue.push(pointer.target);
    }
    return found;
  }

  /** `lemma pos synsets pointers [symbols] senses tagged [offsets in order of frequency]` */
  #addSenses(line: string, part: PartOfSpeech): void {
    const fields = line.trim().split(' ');
    const count = Number(fields[2]);
    this.#order.set(
      `${fields[0]}|${part}`,
      fields.slice(-count).map((offset) => `${part} ${offset}`),
    );
  }
}

function lemma(term: string): string {
  return term.toLowerCase().replaceAll(' ', '_');
}

/** Without the licence, whose lines open with two spaces. */
function lines(path: string): string[] {
  return readFileSync(path, 'latin1')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('  '));
}

function parseSynset(line: string, partOfSpeech: PartOfSpeech): Synset {
  const bar = line.indexOf(' | ');
  const fields = line.slice(0, bar).split(' ');
  const at = (index: number): string => fields[index] ?? '';
  const termCount = Number.parseInt(at(3), 16);
  const pointerStart = 4 + 2 * termCount;
  const pointers: Pointer[] = [];
  for (let index = 0; index < Number(at(pointerStart)); index += 1) {
    const start = pointerStart + 1 + 4 * index;
    pointers.push({ symbol: at(start), target: `${PART_OF_LETTER[at(start + 2)]} ${at(start + 1)}` });
  }
  return {
    key: `${partOfSpeech} ${at(0)}`,
    partOfSpeech,
    lexicographerFile: Number(at(1)),
    terms: Array.from({ length: termCount }, (_, index) => spoken(at(4 + 2 * index))),
    pointers,
    gloss: line.slice(bar + 3).trim(),
  };
}

/** `heart_attack` as people write it; adjectives carry a marker of their position, `galore(ip)`. */
function spoken(term: string): string {
  return term.replaceAll('_', ' ').replace(/\((?:a|p|ip)\)$/, '');
}
