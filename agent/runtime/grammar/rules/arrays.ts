/** Lists: first the items of the prefix, each by its own rule, then others by one rule. */
import { COUNTS, ENOUGH, type Nfa, type Rule } from '../nfa.ts';
import type { Punctuation } from './punctuation.ts';

export interface Items {
  readonly prefix: readonly Rule[];
  /** What comes after the prefix; null: nothing. */
  readonly others: Rule | null;
  readonly least: number;
  /** Infinity: no end. */
  readonly most: number;
}

export function arrayRule(nfa: Nfa, { gap }: Punctuation, { prefix, others, least, most }: Items): Rule {
  const rule = nfa.rule();
  rule.start = nfa.state();
  const [opened, close] = [nfa.text(rule.start, '['), nfa.state()];
  nfa.range(close, 0x5d, 0x5d, nfa.end(nfa.state()));
  if (least === 0) nfa.call(opened, gap, close);
  // The first item needs no comma, so it is unrolled with the prefix.
  const unrolled = [...prefix, ...(prefix.length === 0 && others !== null ? [others] : [])].slice(0, most);
  let begin = opened;
  for (const [index, item] of unrolled.entries()) {
    const [gapped, said] = [nfa.state(), nfa.state()];
    nfa.call(begin, gap, gapped);
    nfa.call(gapped, item, said);
    const isLast = index === unrolled.length - 1;
    if (isLast && others !== null && most > unrolled.length) {
      addLoop(nfa, gap, others, said, close);
      rule.loop = others;
      rule.least = Math.max(0, least - unrolled.length);
      rule.most = most - unrolled.length;
    } else if (index + 1 >= least) nfa.call(said, gap, close);
    if (!isLast) begin = nfa.text(said, ',');
  }
  return rule;
}

/** After an item: more of them, one comma each, or the end. */
function addLoop(nfa: Nfa, gap: Rule, item: Rule, said: number, close: number): void {
  const gapped = nfa.state();
  nfa.call(nfa.text(said, ',', COUNTS), gap, gapped);
  nfa.call(gapped, item, said);
  nfa.call(said, gap, close, ENOUGH);
}
