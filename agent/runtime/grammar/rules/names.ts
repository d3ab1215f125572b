/** Names of properties that a schema does not name. */
import type { Nfa, Rule } from '../nfa.ts';
import { addPlain, QUOTE } from './text.ts';

/** Names that begin alike, as a tree of bytes. */
interface Names {
  isName: boolean;
  readonly next: Map<number, Names>;
}

/** An edge of the first byte of a character, to a state from which the rest leads to where all of them lead. */
type Lead = readonly [low: number, high: number, to: number];

/**
 * A name in quotes that is none of `taken`. It has no escapes, so that no name has two spellings; and where `taken`
 * names go on with a letter beyond ASCII, it has none that begins with the same byte.
 */
export function otherName(nfa: Nfa, taken: Iterable<string>): Rule {
  const root: Names = { isName: false, next: new Map() };
  for (const name of taken) plant(root, name);
  return nfa.leaf((start, end) => {
    const [free, before] = [nfa.state(), nfa.state()];
    addPlain(nfa, free, free);
    nfa.range(free, QUOTE, QUOTE, end);
    nfa.range(start, QUOTE, QUOTE, before);
    addOthers(nfa, before, root, leadsInto(nfa, free), end);
  });
}

function plant(root: Names, name: string): void {
  // A name that is written with escapes is no plain name.
  if (JSON.stringify(name) !== `"${name}"`) return;
  let node = root;
  for (const byte of new TextEncoder().encode(name)) {
    const next: Names = node.next.get(byte) ?? { isName: false, next: new Map() };
    node.next.set(byte, next);
    node = next;
  }
  node.isName = true;
}

/** The names share these edges, so that each of their bytes takes one state and not ten. */
function leadsInto(nfa: Nfa, to: number): readonly Lead[] {
  const leads: Lead[] = [];
  const from = nfa.state();
  addPlain(nfa, from, to);
  nfa.eachRange(from, (low, high, target) => leads.push([low, high, target]));
  return leads;
}

/** From each byte of a taken name on: that name, or one that parts from it here. */
function addOthers(nfa: Nfa, before: number, root: Names, leads: readonly Lead[], end: number): void {
  const open = [{ names: root, state: before, missing: 0 }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { names, state, missing } = place;
    if (missing === 0) {
      if (!names.isName) nfa.range(state, QUOTE, QUOTE, end);
      for (const [low, high, to] of leads) {
        for (const [first, last] of without(low, high, names.next)) nfa.range(state, first, last, to);
      }
    }
    for (const [byte, inner] of names.next) {
      const next = nfa.state();
      nfa.range(state, byte, byte, next);
      open.push({ names: inner, state: next, missing: missing > 0 ? missing - 1 : continuations(byte) });
    }
  }
}

/** The parts of a range of bytes that are not in `taken`. */
function* without(
  low: number,
  high: number,
  taken: ReadonlyMap<number, unknown>,
): Generator<readonly [number, number]> {
  let first = low;
  for (let byte = low; byte <= high + 1; byte += 1) {
    if (byte <= high && !taken.has(byte)) continue;
    if (first < byte) yield [first, byte - 1];
    first = byte + 1;
  }
}

/** Bytes of a character after its first one. */
function continuations(lead: number): number {
  if (lead < 0xc0) return 0;
  return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}
