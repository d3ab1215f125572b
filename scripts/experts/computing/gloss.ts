/** The first sentences of a FOLDOC sense, and the names that it gives in passing. */
const MAX_CHARS = 400;
/** A first paragraph this short that is all capitals of words is what an acronym stands for. */
const MAX_EXPANSION_WORDS = 8;
/** Paragraphs of a list that are shown at most. */
const MAX_LISTED = 3;
const MIN_CHARS = 40;
const SENTENCE_END = /[.!?]["')]*(?=\s+["'(]?\p{Lu})/gu;
/** Not the end of a sentence, though a capital follows. */
const ABBREVIATION =
  /(?:\b(?:e\.g|i\.e|etc|cf|vs|ca|St|Dr|Mr|Mrs|Prof|Inc|Ltd|Corp|Co|No|Fig|approx|al)\.|\b\p{Lu}\.)$/u;

export interface Gloss {
  readonly gloss: string;
  /** Acronyms in brackets at the front, and what an acronym stands for. */
  readonly names: readonly string[];
}

/** `paragraphs` as `Sense` holds them. The gloss is empty where they say nothing. */
export function glossOf(paragraphs: readonly string[]): Gloss {
  const names: string[] = [];
  for (const [at, paragraph] of paragraphs.entries()) {
    const text = withoutFrontNames(completed(paragraph, paragraphs.slice(at + 1)), names);
    if (isExpansion(text)) {
      names.push(text.replace(/\.$/, ''));
      continue;
    }
    const [first = ''] = sentences(text);
    if (isExpansion(first) && first.length < text.length) {
      names.push(first.replace(/\.$/, ''));
      return { gloss: shortened(text.slice(first.length).trim()), names };
    }
    if (/\p{L}{3}/u.test(text)) return { gloss: shortened(text), names };
  }
  return { gloss: '', names };
}

/**
 * A last sentence that leads to a list or a formula goes; one that stands alone takes it along. A paragraph that says
 * next to nothing (`binary digit.`) takes along the next.
 */
function completed(paragraph: string, rest: readonly string[]): string {
  const isOpen = /[^.!?"')]$/.test(paragraph);
  const whole = isOpen ? sentences(paragraph).slice(0, -1).join('') : paragraph;
  if (whole === '') return [paragraph, ...rest.slice(0, MAX_LISTED)].join(' ');
  const [next] = rest;
  const isMore =
    whole.length < MIN_CHARS && next !== undefined && !isExpansion(whole) && !/^See\b/.test(next);
  return isMore ? `${whole} ${completed(next, rest.slice(1))}` : whole;
}

/** `(LAN) A network ...`, `(Or "enabling") ...`: such brackets name the thing again, or say where a name is from. */
function withoutFrontNames(paragraph: string, names: string[]): string {
  const [all, inside = ''] = /^\(([^()]{1,120})\)[.:]?\s+(?=\S)/.exec(paragraph) ?? [''];
  if (all === '') return paragraph;
  const quoted = [...inside.matchAll(/"([^"]{2,40})"/g)].map(([, name = '']) => name);
  if (/^or\b/i.test(inside)) names.push(...quoted);
  else if (/^[\p{L}\p{N}][\p{L}\p{N}/.+-]{0,11}$/u.test(inside) && /\p{Lu}/u.test(inside)) names.push(inside);
  return paragraph.slice(all.length);
}

/** `Brown University Interactive Language.` */
function isExpansion(text: string): boolean {
  const words = text.replace(/\.$/, '').split(/[\s-]+/);
  if (words.length < 2 || words.length > MAX_EXPANSION_WORDS) return false;
  const small = /^(?:a|an|and|for|in|of|on|or|the|to|with)$/;
  return words.every((word) => /^\p{Lu}[\p{L}\p{N}/]*$/u.test(word) || small.test(word));
}

/** Whole sentences as far as they fit; of a longer first sentence as many words as fit. */
function shortened(text: string): string {
  if (text.length <= MAX_CHARS) return text;
  let kept = '';
  for (const sentence of sentences(text)) {
    if (kept.length + sentence.length > MAX_CHARS) break;
    kept += sentence;
  }
  if (kept !== '') return kept.trim();
  return `${text.slice(0, text.lastIndexOf(' ', MAX_CHARS - 1)).replace(/[,;:(\s]+$/, '')}…`;
}

/** The text in pieces, each with the space before it; joined they are the text. */
export function sentences(text: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (const { 0: mark, index } of text.matchAll(SENTENCE_END)) {
    const end = index + mark.length;
    if (ABBREVIATION.test(text.slice(start, index + 1))) continue;
    pieces.push(text.slice(start, end));
    start = end;
  }
  return [...pieces, text.slice(start)];
}
