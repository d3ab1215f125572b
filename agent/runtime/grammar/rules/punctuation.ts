/** What stands between the values. */
import { MAX_INDENT } from '../limits.ts';
import type { Nfa, Rule } from '../nfa.ts';

export interface Punctuation {
  /** Nothing, a space, or a line break and its indentation. */
  readonly gap: Rule;
}

export function punctuation(nfa: Nfa): Punctuation {
  const gap = nfa.leaf((start, end) => {
    nfa.end(start);
    nfa.range(start, 0x20, 0x20, end);
    let at = nfa.end(nfa.text(start, '\n'));
    for (let spaces = 0; spaces < MAX_INDENT; spaces += 1) at = nfa.end(nfa.text(at, ' '));
  });
  return { gap };
}
