/**
 * What a model that restores letters reads and says. It reads characters in lower case and without accents, each as a
 * number; it says for each which class it belongs to, and a class turns some letters into others: `é` from `e`.
 */
import { AgentError } from '../../errors.ts';
import type { NamedFile } from '../tokenizers/tokenizer.ts';

/** Numbers of UTF-16 code units up to here are kept; beyond it they are looked up. All letters with accents are below. */
const TABLE_UNITS = 0x500;
/** The label of class 0. */
const UNCHANGED = 'unchanged';

/** A code unit without its accent, in lower case: `É` -> `e`. What does not decompose stays as it is. */
export function bareUnit(unit: string): string {
  return unit.normalize('NFD').charAt(0).toLowerCase().charAt(0);
}

/** The numbers of characters: 0 for every one that the model does not know. */
export class Alphabet {
  /** Numbers are below it. */
  readonly size: number;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #table: Uint8Array;

  /** Parses a JSON array of strings; the characters of string `i` are number `i + 1`. Throws `bad_alphabet`. */
  constructor({ path, bytes }: NamedFile) {
    const groups = parseGroups(bytes, path);
    const ids = new Map<string, number>();
    for (const [at, group] of groups.entries()) {
      for (const character of group) {
        if (character.length !== 1 || bareUnit(character) !== character || ids.has(character))
          throw badAlphabet(
            path,
            `"${character}" is there twice, has an accent, or is no single lower-case unit`,
          );
        ids.set(character, at + 1);
      }
    }
    this.size = groups.length + 1;
    this.#ids = ids;
    this.#table = Uint8Array.from({ length: TABLE_UNITS }, (_, code) =>
      this.#find(String.fromCharCode(code)),
    );
  }

  /** One number for each UTF-16 code unit of `text`, which is in NFC. */
  encode(text: string): Uint8Array {
    return Uint8Array.from({ length: text.length }, (_, at) => {
      const code = text.charCodeAt(at);
      return code < TABLE_UNITS ? (this.#table[code] ?? 0) : (this.#ids.get(text.charAt(at)) ?? 0);
    });
  }

  #find(unit: string): number {
    return this.#ids.get(bareUnit(unit)) ?? 0;
  }
}

/** Which letters a class makes, and of what. */
export class Letters {
  /** How many classes there are, `unchanged` among them. */
  readonly classes: number;
  readonly #made: ReadonlyMap<string, readonly (string | undefined)[]>;

  /** Parses labels: `unchanged`, then a line for each class with the letters that it makes. Throws `bad_alphabet`. */
  constructor({ path, bytes }: NamedFile) {
    const [first, ...groups] = new TextDecoder().decode(bytes).replace(/\n$/, '').split('\n');
    if (first !== UNCHANGED) throw badAlphabet(path, `its first line is not "${UNCHANGED}"`);
    const made = new Map<string, (string | undefined)[]>();
    for (const [at, group] of groups.entries()) {
      if (group === '') throw badAlphabet(path, 'it has an empty line');
      for (const letter of group) {
        const base = bareUnit(letter);
        const row = made.get(base) ?? [];
        if (letter.length !== 1 || base === letter || row[at + 1] !== undefined)
          throw badAlphabet(path, `"${letter}" has no accent, or its line makes two letters of one`);
        row[at + 1] = letter;
        made.set(base, row);
      }
    }
    this.classes = groups.length + 1;
    this.#made = made;
  }

  /** Whether some class changes the letter, which has no accent; either case. */
  canChange(letter: string): boolean {
    return this.#made.has(letter.toLowerCase());
  }

  /** Whether some class makes the letter; either case. */
  canMake(letter: string): boolean {
    const lower = letter.toLowerCase();
    return this.#made.get(bareUnit(letter))?.includes(lower) ?? false;
  }

  /** What class `at` makes of a letter without accent, in the same case; undefined where it makes nothing of it. */
  made(letter: string, at: number): string | undefined {
    const lower = letter.toLowerCase();
    const made = this.#made.get(lower)?.[at];
    return made === undefined || lower === letter ? made : made.toUpperCase();
  }
}

function parseGroups(bytes: Uint8Array, path: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw badAlphabet(path, 'it is not JSON');
  }
  const isGroup = (group: unknown): group is string => typeof group === 'string' && group !== '';
  if (Array.isArray(value) && value.length > 0 && value.length < 256 && value.every(isGroup)) return value;
  throw badAlphabet(path, 'it is not an array of 1 to 255 strings');
}

function badAlphabet(path: string, what: string): AgentError {
  return new AgentError('bad_alphabet', `${path} cannot be used: ${what}.`, {
    hint: 'Install the expert again; if its files are sound, it was made for another version of expertd.',
  });
}
