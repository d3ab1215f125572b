/**
 * Regular expressions of a tokenizer.json, in the syntax of Oniguruma, as ones of JavaScript that match the same.
 * Properties and classes become lists of code points, so neither engine's version of Unicode matters.
 *
 * Only what can be matched in bounded time is taken: what is repeated is one character or a fixed string of them, and
 * in each branch at most one repetition without an end is followed by something that can fail. So one attempt at a
 * place takes time linear in the text. Patterns that can match nothing, anchors, back references, and whatever
 * Oniguruma reads differently than it looks (`a{2}+`, `\h`) are refused.
 */
import {
  type CodePoints,
  classOf,
  complement,
  has,
  isProperty,
  only,
  property,
  union,
} from './code-points.ts';
import { unsupported } from './refusal.ts';

type Node =
  | { readonly kind: 'set'; readonly set: CodePoints }
  | { readonly kind: 'sequence'; readonly items: readonly Node[] }
  | { readonly kind: 'choice'; readonly branches: readonly Node[] }
  | {
      readonly kind: 'repeat';
      readonly item: Node;
      readonly min: number;
      readonly max: number;
      readonly lazy: boolean;
    }
  | { readonly kind: 'look'; readonly opening: string; readonly item: Node };

const MAX_CHARS = 4_096;
const MAX_DEPTH = 32;
const MAX_REPEAT = 1_000;
const NEWLINE = 10;
const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27 };
const LONG_NAMES: Readonly<Record<string, string>> = {
  letter: 'L',
  mark: 'M',
  number: 'N',
  punctuation: 'P',
  separator: 'Z',
  symbol: 'S',
  other: 'C',
};
const GENERAL =
  'Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn'.split(' ');
/** Superscripts and fractions of Latin-1: to Oniguruma, letters of words, but not inside a class. */
const WORD_ALONE = only(0xb2, 0xb3, 0xb9, 0xbc, 0xbd, 0xbe);
/** Strings of ASCII that another single character folds to (ß is ss): where case is ignored, they would match it. */
const FOLDED = ['ss', 'st', 'ff', 'fi', 'fl'];

/** The source of the same expression for JavaScript's flag `u`. Throws `unsupported_tokenizer`, naming `pattern`. */
export function translate(pattern: string): string {
  const node = new PatternParser(pattern).parse();
  const refuse = (why: string) => unsupported(`the regular expression ${JSON.stringify(pattern)}: ${why}`);
  if (leastChars(node) === 0) throw refuse('it can match nothing');
  if (mostRetries(node) > 1) throw refuse('it could take too long');
  return emit(node);
}

class PatternParser {
  readonly #pattern: string;
  readonly #chars: readonly string[];
  #at = 0;
  #depth = 0;
  #ignoreCase = false;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#chars = [...pattern];
    if (this.#chars.length > MAX_CHARS) throw this.#refuse(`it has more than ${MAX_CHARS} characters`);
  }

  parse(): Node {
    const node = this.#choice();
    if (this.#at < this.#chars.length) throw this.#refuse('it has a ) without a (');
    return node;
  }

  #refuse(why: string): Error {
    return unsupported(`the regular expression ${JSON.stringify(this.#pattern)}: ${why}`);
  }

  #takes(text: string): boolean {
    if (
      !this.#chars
        .slice(this.#at, this.#at + text.length)
        .join('')
        .startsWith(text)
    )
      return false;
    this.#at += text.length;
    return true;
  }

  #next(): string {
    const char = this.#chars[this.#at];
    if (char === undefined) throw this.#refuse('it ends too early');
    this.#at += 1;
    return char;
  }

  #choice(): Node {
    const branches = [this.#sequence()];
    while (this.#takes('|')) branches.push(this.#sequence());
    return branches.length === 1 ? (branches[0] as Node) : { kind: 'choice', branches };
  }

  #sequence(): Node {
    const items: Node[] = [];
    for (let char = this.#chars[this.#at]; char !== undefined && char !== '|' && char !== ')'; ) {
      items.push(this.#repeated(this.#item()));
      char = this.#chars[this.#at];
    }
    if (this.#ignoreCase) this.#checkFolding(items);
    return { kind: 'sequence', items };
  }

  #repeated(item: Node): Node {
    const counts = this.#counts();
    if (counts === null) return item;
    const lazy = counts.braced ? false : this.#takes('?');
    if ('*+?{'.includes(this.#chars[this.#at] ?? '.')) throw this.#refuse('it repeats a repetition');
    if (item.kind === 'look') throw this.#refuse('it repeats a look around');
    if (counts.max > 1 && !isFixed(item)) throw this.#refuse('it repeats what is not always alike');
    return { kind: 'repeat', item, min: counts.min, max: counts.max, lazy };
  }

  #counts(): { readonly min: number; readonly max: number; readonly braced: boolean } | null {
    if (this.#takes('*')) return { min: 0, max: Number.POSITIVE_INFINITY, braced: false };
    if (this.#takes('+')) return { min: 1, max: Number.POSITIVE_INFINITY, braced: false };
    if (this.#takes('?')) return { min: 0, max: 1, braced: false };
    if (!this.#takes('{')) return null;
    const end = this.#chars.indexOf('}', this.#at);
    const match = /^(\d{1,4})(?:(,)(\d{0,4}))?$/.exec(this.#chars.slice(this.#at, end).join(''));
    if (end < 0 || match === null) throw this.#refuse('it has a { that opens no count');
    this.#at = end + 1;
    const [, least, comma, most] = match;
    const min = Number(least);
    const max = comma === undefined ? min : most === '' ? Number.POSITIVE_INFINITY : Number(most);
    if (max < min || min > MAX_REPEAT || (max > MAX_REPEAT && max !== Number.POSITIVE_INFINITY) || max === 0)
      throw this.#refuse('it has a count that is out of bounds');
    return { min, max, braced: true };
  }

  #item(): Node {
    const char = this.#next();
    if (char === '(') return this.#group();
    if (char === '[') return { kind: 'set', set: this.#class() };
    if (char === '.') return { kind: 'set', set: complement(only(NEWLINE)) };
    if (char === '\\') return { kind: 'set', set: this.#cased(this.#escape(WORD_ALONE)) };
    if ('^$*+?{'.includes(char)) throw this.#refuse(`it has a ${char} where there is no way to take it`);
    return { kind: 'set', set: this.#cased(only(char.codePointAt(0) ?? 0)) };
  }

  #group(): Node {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw this.#refuse('its groups are too deep');
    const outer = this.#ignoreCase;
    let opening = '(?:';
    if (this.#takes('?')) {
      const kind = ['i:', '-i:', ':', '=', '!', '<=', '<!'].find((known) => this.#takes(known));
      if (kind === undefined) throw this.#refuse('it has a group of an unknown kind');
      if (kind.endsWith('i:')) this.#ignoreCase = kind === 'i:';
      else opening = `(?${kind}`;
    }
    const item = this.#choice();
    if (!this.#takes(')')) throw this.#refuse('it has a ( without a )');
    this.#ignoreCase = outer;
    this.#depth -= 1;
    return opening === '(?:' ? item : { kind: 'look', opening, item };
  }

  #class(): CodePoints {
    const negated = this.#takes('^');
    const sets: CodePoints[] = [];
    while (!this.#takes(']')) {
      sets.push(this.#cased(this.#rangeFrom(this.#classItem())));
    }
    if (sets.length === 0) throw this.#refuse('it has an empty class');
    return negated ? complement(union(...sets)) : union(...sets);
  }

  /** `set`, or the range that it begins. */
  #rangeFrom(set: CodePoints): CodePoints {
    if (this.#chars[this.#at] !== '-' || this.#chars[this.#at + 1] === ']') return set;
    this.#at += 1;
    const last = this.#classItem();
    const [start = 0, end] = set;
    const [from = 0, to] = last;
    const single = set.length === 2 && end === start + 1 && last.length === 2 && to === from + 1;
    if (!single || from < start) throw this.#refuse('it has a range in a class that is none');
    return [start, from + 1];
  }

  #classItem(): CodePoints {
    const char = this.#next();
    if (char === '\\') return this.#escape([]);
    if (char === '[' || (char === '&' && this.#chars[this.#at] === '&'))
      throw this.#refuse('it has a class inside a class');
    return only(char.codePointAt(0) ?? 0);
  }

  /** `alsoWord` is what `\w` matches beside its table, which is that of a class. */
  #escape(alsoWord: CodePoints): CodePoints {
    const char = this.#next();
    if (char === 'p' || char === 'P') {
      const set = this.#property();
      return char === 'P' ? complement(set) : set;
    }
    if (char === 'w') return union(property('\\w'), alsoWord);
    if (char === 'W') return complement(union(property('\\w'), alsoWord));
    if (char === 's' || char === 'd') return property(`\\${char}`);
    if (char === 'S') return complement(property('\\s'));
    if (char === 'D') return complement(property('\\d'));
    if (char === 'x' || char === 'u') return only(this.#hex(char));
    const control = ESCAPES[char];
    if (control !== undefined) return only(control);
    if (/[\p{L}\p{N}]/u.test(char)) throw this.#refuse(`it has a \\${char}`);
    return only(char.codePointAt(0) ?? 0);
  }

  #hex(kind: string): number {
    const rest = this.#chars.slice(this.#at, this.#at + 10).join('');
    const match = (
      kind === 'u' ? /^([0-9A-Fa-f]{4})/ : /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-7][0-9A-Fa-f]))/
    ).exec(rest);
    const point = Number.parseInt(match?.[1] ?? match?.[2] ?? '', 16);
    const scalar = point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
    if (match === null || !scalar) throw this.#refuse(`it has a \\${kind} without a character`);
    this.#at += match[0].length;
    return point;
  }

  #property(): CodePoints {
    const end = this.#chars.indexOf('}', this.#at);
    if (!this.#takes('{') || end < 0) throw this.#refuse('it has a \\p without a name');
    const negated = this.#takes('^');
    const written = this.#chars.slice(this.#at, end).join('');
    this.#at = end + 1;
    const name = LONG_NAMES[written.toLowerCase()] ?? written;
    const parts = /^[A-Z]$/.test(name) ? GENERAL.filter((part) => part.startsWith(name)) : [name];
    const known = parts.filter(isProperty).filter((part) => /^[A-Z]/.test(part));
    if (known.length === 0) throw this.#refuse(`it has the property ${written}`);
    const set = union(...known.map(property));
    return negated ? complement(set) : set;
  }

  /** With the other case where case is ignored; only ASCII, which folds with K (the Kelvin sign) and ſ. */
  #cased(set: CodePoints): CodePoints {
    if (!this.#ignoreCase) return set;
    const [end = 0] = set.slice(-1);
    if (end > 0x80) throw this.#refuse('it ignores the case of more than ASCII');
    const points = Array.from({ length: end }, (_, point) => point).filter((point) => has(set, point));
    const chars = points.map((point) => String.fromCodePoint(point));
    const other = chars.flatMap((char) => [char.toLowerCase(), char.toUpperCase()]);
    const odd = [
      ...(/k/i.test(chars.join('')) ? ['\u212a'] : []),
      ...(/s/i.test(chars.join('')) ? ['ſ'] : []),
    ];
    return only(...[...chars, ...other, ...odd].map((char) => char.codePointAt(0) ?? 0));
  }

  #checkFolding(items: readonly Node[]): void {
    const begins = (item: Node | undefined, letter: string | undefined) =>
      item?.kind !== 'set' ? item !== undefined : has(item.set, letter?.codePointAt(0) ?? 0);
    items.forEach((item, at) => {
      const folded = FOLDED.find(([left, right]) => begins(item, left) && begins(items[at + 1], right));
      if (folded !== undefined) throw this.#refuse(`it ignores the case of ${folded}`);
    });
  }
}

/** A string of characters without a choice in it: there is one way at most to match it somewhere. */
function isFixed(node: Node): boolean {
  return node.kind === 'set' || (node.kind === 'sequence' && node.items.every(isFixed));
}

function leastChars(node: Node): number {
  switch (node.kind) {
    case 'set':
      return 1;
    case 'look':
      return 0;
    case 'repeat':
      return node.min * leastChars(node.item);
    case 'sequence':
      return node.items.reduce((sum, item) => sum + leastChars(item), 0);
    case 'choice':
      return Math.min(...node.branches.map(leastChars));
  }
}

/** How many repetitions without an end, one after the other, may each have to be tried at every length. */
function mostRetries(node: Node): number {
  switch (node.kind) {
    case 'set':
      return 0;
    case 'look':
      return retries(node.item, true);
    default:
      return retries(node, false);
  }
}

/** As `mostRetries`; `fails` tells whether what comes after the node can fail. */
function retries(node: Node, fails: boolean): number {
  switch (node.kind) {
    case 'set':
      return 0;
    case 'look':
      return mostRetries(node);
    case 'repeat':
      return retries(node.item, fails) + (fails && node.max === Number.POSITIVE_INFINITY ? 1 : 0);
    case 'choice':
      return Math.max(...node.branches.map((branch) => retries(branch, fails)));
    case 'sequence':
      return node.items.reduceRight(
        ({ sum, after }, item) => ({ sum: sum + retries(item, after), after: after || canFail(item) }),
        { sum: 0, after: fails },
      ).sum;
  }
}

function canFail(node: Node): boolean {
  return node.kind === 'look' || leastChars(node) > 0;
}

function emit(node: Node): string {
  switch (node.kind) {
    case 'set':
      return classOf(node.set);
    case 'look':
      return `${node.opening}${emit(node.item)})`;
    case 'sequence':
      return node.items.map((item) => (item.kind === 'choice' ? `(?:${emit(item)})` : emit(item))).join('');
    case 'choice':
      return node.branches.map(emit).join('|');
    case 'repeat': {
      const most = node.max === Number.POSITIVE_INFINITY ? '' : String(node.max);
      return `(?:${emit(node.item)}){${node.min},${most}}${node.lazy ? '?' : ''}`;
    }
  }
}
