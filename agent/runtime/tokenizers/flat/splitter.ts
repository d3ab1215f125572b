/** Splits a text into the words that the model sees, step by step: each step splits the pieces of the one before. */
import type { Behavior, SplitStep } from './settings.ts';

/** Gets the pieces in order, none empty. `first`: the piece is where the text begins. */
export type Emit = (piece: string, first: boolean) => void;
export type Split = (piece: string, first: boolean, emit: Emit) => void;

interface Part {
  readonly start: number;
  end: number;
  readonly found: boolean;
}

export function splitterOf(steps: readonly SplitStep[]): Split {
  const whole: Split = (piece, first, emit) => emit(piece, first);
  return steps
    .map(splitOf)
    .reduceRight(
      (after, step) => (piece, first, emit) => step(piece, first, (part, leads) => after(part, leads, emit)),
      whole,
    );
}

function splitOf(step: SplitStep): Split {
  switch (step.kind) {
    case 'prefix-space':
      return (piece, first, emit) => emit(piece.startsWith(' ') ? piece : ` ${piece}`, first);
    case 'metaspace': {
      const { replacement, scheme } = step;
      return (piece, first, emit) => {
        const text = piece.replaceAll(' ', () => replacement);
        const prepends = scheme === 'always' || (scheme === 'first' && first);
        emit(prepends && !text.startsWith(replacement) ? replacement + text : text, first);
      };
    }
    case 'pattern': {
      const matches = new Matches(step.pattern);
      const { behavior, invert } = step;
      if (behavior === 'Isolated') return (piece, first, emit) => isolate(matches, piece, first, emit);
      if (behavior === 'Removed') return (piece, first, emit) => remove(matches, piece, first, !invert, emit);
      return (piece, first, emit) => {
        const parts: Part[] = [];
        matches.each(piece, (start, end, matched) => {
          parts.push({ start, end, found: matched !== invert });
        });
        for (const { start, end } of merged(parts, behavior))
          emit(piece.slice(start, end), first && start === 0);
      };
    }
  }
}

function isolate(matches: Matches, piece: string, first: boolean, emit: Emit): void {
  matches.each(piece, (start, end) => {
    emit(piece.slice(start, end), first && start === 0);
  });
}

function remove(matches: Matches, piece: string, first: boolean, removed: boolean, emit: Emit): void {
  matches.each(piece, (start, end, matched) => {
    if (matched !== removed) emit(piece.slice(start, end), first && start === 0);
  });
}

/** The parts of a text that a pattern matches, and those between. */
class Matches {
  /** Matches at one place, or anywhere after it. */
  readonly #here: RegExp;
  readonly #next: RegExp;

  constructor(pattern: string) {
    this.#here = new RegExp(pattern, 'uy');
    this.#next = new RegExp(pattern, 'gu');
  }

  /** In order, without gaps; none is empty: what matches nothing is no match, so that there is always an end. */
  each(text: string, visit: (start: number, end: number, matched: boolean) => void): void {
    const here = this.#here;
    for (let at = 0; at < text.length; ) {
      here.lastIndex = at;
      // Unlike `exec`, `test` makes no array: most patterns match wherever the match before ended.
      if (here.test(text) && here.lastIndex > at) {
        visit(at, here.lastIndex, true);
        at = here.lastIndex;
        continue;
      }
      const start = this.#after(text, at);
      visit(at, start, false);
      at = start;
    }
  }

  /** Where the first match after `at` begins, where there is none. Most gaps are of one character, such as a space. */
  #after(text: string, at: number): number {
    const second = at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
    this.#here.lastIndex = second;
    if (this.#here.test(text)) return second;
    this.#next.lastIndex = second;
    return this.#next.exec(text)?.index ?? text.length;
  }
}

/**
 * Joins parts as the Rust library's `SplitDelimiterBehavior` says. Parts that are found and parts that are not need
 * not take turns: two matches may follow each other.
 */
function merged(parts: readonly Part[], behavior: Behavior): readonly Part[] {
  if (behavior === 'MergedWithNext') {
    const backwards = parts.map(({ start, end, found }) => ({ start: -end, end: -start, found })).reverse();
    return merged(backwards, 'MergedWithPrevious')
      .map(({ start, end, found }) => ({ start: -end, end: -start, found }))
      .reverse();
  }
  const joined: Part[] = [];
  let before = false;
  for (const part of parts) {
    const last = joined.at(-1);
    const joins = behavior === 'Contiguous' ? part.found === before : part.found && !before;
    if (joins && last !== undefined) last.end = part.end;
    else joined.push({ ...part });
    before = part.found;
  }
  return joined;
}
