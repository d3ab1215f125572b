/** Objects: the named properties in the order of the schema, then others where it allows them. */
import type { Nfa, Rule } from '../nfa.ts';
import type { Punctuation } from './punctuation.ts';

export interface Member {
  readonly name: string;
  readonly value: Rule;
  readonly required: boolean;
}

/** Properties that are not named: a rule for their quoted names, and one for their values. */
export interface Others {
  readonly name: Rule;
  readonly value: Rule;
}

export function objectRule(
  nfa: Nfa,
  { gap }: Punctuation,
  members: readonly Member[],
  others: Others | null,
): Rule {
  const rule = nfa.rule();
  rule.start = nfa.state();
  const [opened, close] = [nfa.text(rule.start, '{'), nfa.state()];
  nfa.range(close, 0x7d, 0x7d, nfa.end(nfa.state()));
  // `begins[i]`: a property is due, and those before the i-th are past. `follows[i]`: one of them was said just now.
  const begins = Array.from({ length: members.length + 1 }, () => nfa.state());
  const follows = begins.map(() => nfa.state());
  const begin = (index: number): number => begins[index] ?? close;
  const follow = (index: number): number => follows[index] ?? close;
  nfa.call(opened, gap, begin(0));
  if (members.every(({ required }) => !required)) nfa.call(opened, gap, close);
  for (const [index, { name, value, required }] of members.entries()) {
    addValue(nfa, nfa.text(begin(index), JSON.stringify(name)), value, follow(index + 1));
    if (!required) nfa.skip(begin(index), begin(index + 1));
  }
  const lastRequired = members.findLastIndex(({ required }) => required);
  for (let index = 1; index <= members.length; index += 1) {
    nfa.call(nfa.text(follow(index), ','), gap, begin(index));
    if (index > lastRequired) nfa.call(follow(index), gap, close);
  }
  if (others !== null) addOthers(nfa, gap, others, begin(members.length), close);
  return rule;
}

function addOthers(nfa: Nfa, gap: Rule, { name, value }: Others, begin: number, close: number): void {
  const [named, follow] = [nfa.state(), nfa.state()];
  nfa.call(begin, name, named);
  addValue(nfa, named, value, follow);
  nfa.call(nfa.text(follow, ','), gap, begin);
  nfa.call(follow, gap, close);
}

/** A colon, a space or none, and the value. */
function addValue(nfa: Nfa, from: number, value: Rule, to: number): void {
  const colon = nfa.text(from, ':');
  nfa.call(colon, value, to);
  nfa.call(nfa.text(colon, ' '), value, to);
}
