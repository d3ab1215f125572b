/**
 * What a message asks, and what it asks about. "In which language is this: ¿dónde está?" asks a question about a
 * text; a router looks at the question, a classifier at the text. Pure, and linear in the length of the message.
 */

export interface SplitMessage {
  /** The message without the text it is about; the whole message where the two cannot be told apart. */
  readonly question: string;
  /** The text it is about: always a piece of the message. */
  readonly focus: string;
}

/** Half-open range: `from`..`to` is the text inside, `start`..`end` includes its marks. */
interface Span {
  readonly start: number;
  readonly from: number;
  readonly to: number;
  readonly end: number;
}

/** A quotation of at most this many words is a term that is asked about, and stays in the question. */
const TERM_WORDS = 3;
/** An instruction is short: a colon after more than this many characters belongs to prose. */
const INSTRUCTION_CHARS = 300;
const FENCE = '```';

/** Opening mark -> closing marks. Straight and single marks also need a word's edge: see `opens` and `closes`. */
const QUOTES: Readonly<Record<string, string>> = {
  '“': '”',
  '”': '”',
  '„': '“”',
  '«': '»',
  '»': '«',
  '‹': '›',
  '「': '」',
  '『': '』',
  '`': '`',
  '"': '"',
  "'": "'",
  '‘': '’',
};
/** Marks that also stand for an apostrophe, an inch or a foot. */
const AMBIGUOUS = new Set(['"', "'", '‘']);
const WORD = /[\p{L}\p{N}]/u;

/**
 * Splits a message. In this order: 1. a fenced block, 2. quotation marks, 3. what follows the colon of an
 * instruction, 4. neither: question and focus are both the whole message. Of several blocks or quotations the
 * longest is the focus, and all of them leave the question.
 */
export function splitMessage(text: string): SplitMessage {
  const fences = fenced(text);
  if (fences.length > 0) return around(text, fences);
  const quotes = quoted(text);
  if (quotes.length > 0) return around(text, quotes);
  return afterColon(text) ?? whole(text);
}

function whole(text: string): SplitMessage {
  const trimmed = text.trim();
  return { question: trimmed, focus: trimmed };
}

function around(text: string, spans: readonly Span[]): SplitMessage {
  const inside = spans.map((span) => text.slice(span.from, span.to).trim());
  const focus = inside.reduce((longest, part) => (part.length > longest.length ? part : longest));
  let question = '';
  let at = 0;
  spans.forEach((span, index) => {
    if (isTerm(inside[index] ?? '')) return;
    question += `${text.slice(at, span.start)} `;
    at = span.end;
  });
  question = (question + text.slice(at)).trim();
  return { question: WORD.test(question) ? question : text.trim(), focus };
}

function isTerm(part: string): boolean {
  return part.length <= 80 && part.split(/\s+/).length <= TERM_WORDS;
}

/** Blocks between ``` marks; one that is never closed reaches to the end, as Markdown has it. */
function fenced(text: string): Span[] {
  const spans: Span[] = [];
  for (let start = text.indexOf(FENCE); start >= 0; ) {
    const open = start + FENCE.length;
    const close = text.indexOf(FENCE, open);
    const to = close < 0 ? text.length : close;
    const end = close < 0 ? text.length : close + FENCE.length;
    const from = open + infoLength(text, open, to);
    if (WORD.test(text.slice(from, to))) spans.push({ start, from, to, end });
    start = text.indexOf(FENCE, end);
  }
  return spans;
}

/** Length of the fence's first line where it only names a language (```` ```python ````). */
function infoLength(text: string, open: number, to: number): number {
  const newline = text.indexOf('\n', open);
  if (newline < 0 || newline >= to || newline - open > 40) return 0;
  return /^\s*[\w+#.-]*\s*$/.test(text.slice(open, newline)) ? newline - open : 0;
}

/**
 * Quotations, outermost only. A closing mark that was looked for in vain is not looked for again, so each kind of
 * mark costs one failed search at most.
 */
function quoted(text: string): Span[] {
  const spans: Span[] = [];
  const hopeless = new Set<string>();
  for (let start = 0; start < text.length; start++) {
    const mark = text.charAt(start);
    const closing = QUOTES[mark];
    if (closing === undefined || hopeless.has(mark) || !opens(text, start, mark)) continue;
    const to = closingIndex(text, start, mark, closing);
    if (to < 0) {
      hopeless.add(mark);
      continue;
    }
    if (WORD.test(text.slice(start + 1, to))) spans.push({ start, from: start + 1, to, end: to + 1 });
    start = to;
  }
  return spans;
}

function closingIndex(text: string, start: number, mark: string, closing: string): number {
  for (let index = start + 1; index < text.length; index++) {
    if (closing.includes(text.charAt(index)) && closes(text, index, mark)) return index;
  }
  return -1;
}

/** An ambiguous mark opens at the front edge of a word: not in `don't`, `5"` or `dogs'`. */
function opens(text: string, index: number, mark: string): boolean {
  if (!AMBIGUOUS.has(mark)) return true;
  return !isWord(text, index - 1) && /\S/.test(text.charAt(index + 1));
}

/** ... and closes at the back edge of one: `‘don’t’` closes at its end. */
function closes(text: string, index: number, mark: string): boolean {
  if (!AMBIGUOUS.has(mark)) return true;
  return !isWord(text, index + 1) && /\S/.test(text.charAt(index - 1));
}

function isWord(text: string, index: number): boolean {
  return index >= 0 && WORD.test(text.charAt(index));
}

/** Splits at the first colon that ends an instruction; null where there is none. */
function afterColon(text: string): SplitMessage | null {
  const limit = Math.min(text.length, INSTRUCTION_CHARS);
  for (let index = 0; index < limit; index++) {
    if (!separates(text, index)) continue;
    const focus = text.slice(index + 1).trim();
    if (!WORD.test(focus)) return null;
    const instruction = text.slice(0, index).trim();
    const askedAlone = instruction.split(/\s+/).length > 1 && !isTerm(focus);
    return { question: askedAlone ? instruction : text.trim(), focus };
  }
  return null;
}

/**
 * A colon separates when a word stands before it and it is followed by space or by an opening mark: the colons of
 * `https://`, `10:30`, `C:\`, `std::map` and `key:value` do not, nor does that of `3 : 4`.
 */
function separates(text: string, index: number): boolean {
  const mark = text.charAt(index);
  if (mark !== ':' && mark !== '：') return false;
  if (!WORD.test(text.slice(0, index))) return false;
  const next = text.charAt(index + 1);
  if (mark === ':' && !/[\s¿¡([{<—–-]/.test(next)) return false;
  return !(
    /\d\s{0,3}$/.test(text.slice(Math.max(0, index - 4), index)) &&
    /^\s{0,3}\d/.test(text.slice(index + 1, index + 5))
  );
}
