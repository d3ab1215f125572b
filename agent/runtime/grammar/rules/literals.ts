/** Values that are written in one way. */
import type { Nfa, Rule } from '../nfa.ts';
import type { Json } from '../schema/json.ts';

/** Any one of these values. */
export function literalRule(nfa: Nfa, values: readonly Json[]): Rule {
  return nfa.leaf((start, end) => {
    for (const value of values) nfa.skip(nfa.text(start, JSON.stringify(value)), end);
  });
}
