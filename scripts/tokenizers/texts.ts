/** Texts to compare tokenizers on, from a seed: pieces of files, odd characters, and both mixed. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export type Chance = () => number;

export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<T>(chance: Chance, list: readonly T[]): T {
  const one = list[Math.floor(chance() * list.length)];
  if (one === undefined) throw new Error('There is nothing to pick from.');
  return one;
}

/** What trips tokenizers: contractions, folding, spaces of all kinds, emoji, names of bytes, marks of pieces. */
const ODD = [
  ..."'s 't 're 've 'm 'll 'd 'S 'RE 'ſ ſ K İ ı ß ẞ ﬁ ﬆ Σ ς ΑΣ Ǆ ŉ n't do not ?! ... ▁ ▁▁ ## ##ing Ġ Ċ <0x0A> <0xE2>".split(
    ' ',
  ),
  ...[
    '\u0085',
    '\ufeff',
    '\u00a0',
    '\u2028',
    '\u3000',
    '\u180e',
    '\u200b',
    '\v',
    '\f',
    '\r\n',
    '\t',
    ' ',
    '  ',
    '\n',
    '\0',
  ],
  ...[
    '👩‍👩‍👧',
    '❤️',
    '🇩🇪',
    '👍🏽',
    '²',
    '½',
    '٣',
    '߀',
    '〇',
    'Ⅷ',
    '①',
    '१',
    '𝟘',
    '１２３',
    '1234567',
    'e\u0301',
    'Å',
    'Å',
    'ﷺ',
    'ǆ',
  ],
  ...[
    '한글',
    '각',
    '\u1100\u1161\u11a8',
    '漢字',
    '𠀀',
    '豈',
    'ひらがな',
    'カタカナ',
    'ﾊﾟ',
    'ไทย',
    'हिन्दी',
    'العربية',
    'עברית',
    '\ud800',
    '\udc00a',
  ],
] as const;

/** Starts and lengths of ranges to take single characters from. */
const RANGES: readonly (readonly [number, number])[] = [
  [0x20, 95],
  [0, 32],
  [0x7f, 0x180],
  [0x300, 0x70],
  [0x370, 0x300],
  [0x600, 0xa00],
  [0x1000, 0x1000],
  [0x2000, 0x300],
  [0x2300, 0x900],
  [0x3000, 0x200],
  [0xa000, 0xd00],
  [0xac00, 0x2ba4],
  [0xf900, 0x700],
  [0x10000, 0x2000],
  [0x16000, 0x2000],
  [0x1d000, 0x1000],
  [0x1e000, 0x2000],
  [0x0, 0xd800],
  [0xe000, 0x102000],
];

export class Texts {
  readonly #chance: Chance;
  readonly #files: readonly string[];
  readonly #added: readonly string[];
  #file = '';
  #left = 0;

  /** `added` are texts of added tokens, put in here and there. Of `files` (plain or gzip) some are read. */
  constructor(seed: number, files: readonly string[], added: readonly string[]) {
    this.#chance = chanceOf(seed);
    this.#files = files;
    this.#added = added;
  }

  next(): string {
    const kind = this.#chance();
    if (kind < 0.45) return this.#piece(400);
    if (kind < 0.6) return this.#woven(this.#piece(120));
    if (kind < 0.7) return this.#woven('');
    if (kind < 0.85) return Array.from({ length: this.#below(40) }, () => this.#char()).join('');
    if (kind < 0.95) return this.#around();
    return this.#long();
  }

  #below(limit: number): number {
    return Math.floor(this.#chance() * limit);
  }

  #piece(most: number): string {
    if (this.#files.length === 0) return '';
    if (this.#left-- <= 0) {
      this.#file = readText(pick(this.#chance, this.#files));
      this.#left = 8;
    }
    const start = this.#below(Math.max(this.#file.length, 1));
    return this.#file.slice(start, start + 1 + this.#below(most));
  }

  #char(): string {
    const [start, length] = pick(this.#chance, RANGES);
    const point = start + this.#below(length);
    return String.fromCodePoint(point >= 0xd800 && point < 0xe000 ? 0xfffd : Math.min(point, 0x10ffff));
  }

  /** `text` with odd things put in. */
  #woven(text: string): string {
    let woven = text;
    for (let left = 1 + this.#below(10); left > 0; left -= 1) {
      const at = this.#below(woven.length + 1);
      const odd = this.#chance() < 0.7 ? pick(this.#chance, ODD) : this.#char();
      woven = woven.slice(0, at) + odd + woven.slice(at);
    }
    return woven;
  }

  /** Added tokens, whole and in parts, among other things. */
  #around(): string {
    if (this.#added.length === 0) return this.#woven('');
    const parts = Array.from({ length: 1 + this.#below(8) }, () => {
      const token = pick(this.#chance, this.#added);
      const form = this.#chance();
      if (form < 0.5) return token;
      if (form < 0.6) return token.slice(0, this.#below(token.length));
      if (form < 0.65) return token.toLowerCase();
      return this.#chance() < 0.5 ? pick(this.#chance, ODD) : this.#piece(20);
    });
    return parts.join(pick(this.#chance, ['', ' ', '  ', '\n']));
  }

  /** Something again and again, as words and runs of white space that are too long. */
  #long(): string {
    const unit = this.#chance() < 0.5 ? pick(this.#chance, ODD) : this.#piece(6) || 'a';
    const most = this.#chance() < 0.1 ? 3_000 : 200;
    return this.#piece(10) + unit.repeat(1 + this.#below(most)) + this.#piece(10);
  }
}

function readText(path: string): string {
  const bytes = readFileSync(path);
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}
