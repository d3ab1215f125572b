/** Characters as ranges of their UTF-8 bytes. */
import { FREE, type Guard, type Nfa } from '../nfa.ts';

type ByteRange = readonly [low: number, high: number];

/** Last code point of each length. */
const LAST = [0x7f, 0x7ff, 0xffff, 0x10ffff];
const SURROGATES = { first: 0xd800, last: 0xdfff };

/** Adds all characters from `low` to `high`, without surrogates. The guard is on the first byte of each. */
export function addCharacters(
  nfa: Nfa,
  from: number,
  low: number,
  high: number,
  to: number,
  guard: Guard = FREE,
): void {
  if (low > high) return;
  if (low <= SURROGATES.last && high >= SURROGATES.first) {
    addCharacters(nfa, from, low, SURROGATES.first - 1, to, guard);
    addCharacters(nfa, from, SURROGATES.last + 1, high, to, guard);
    return;
  }
  for (const last of LAST) {
    if (low <= last && high > last) {
      addCharacters(nfa, from, low, last, to, guard);
      addCharacters(nfa, from, last + 1, high, to, guard);
      return;
    }
  }
  for (const ranges of sequences(low, high)) addSequence(nfa, from, ranges, to, guard);
}

/** `low` and `high` have the same number of bytes: splits where the bytes of one place would not be one range. */
function* sequences(low: number, high: number): Generator<readonly ByteRange[]> {
  for (let bits = 6; bits <= 18; bits += 6) {
    const mask = (1 << bits) - 1;
    if ((low & ~mask) === (high & ~mask)) break;
    if ((low & mask) !== 0) {
      yield* sequences(low, low | mask);
      yield* sequences((low | mask) + 1, high);
      return;
    }
    if ((high & mask) !== mask) {
      yield* sequences(low, (high & ~mask) - 1);
      yield* sequences(high & ~mask, high);
      return;
    }
  }
  const ends = encode(high);
  yield encode(low).map((byte, at) => [byte, ends[at] ?? byte]);
}

function addSequence(nfa: Nfa, from: number, ranges: readonly ByteRange[], to: number, guard: Guard): void {
  let at = from;
  for (const [index, [low, high]] of ranges.entries()) {
    const next = index === ranges.length - 1 ? to : nfa.state();
    nfa.range(at, low, high, next, index === 0 ? guard : FREE);
    at = next;
  }
}

function encode(code: number): readonly number[] {
  return [...new TextEncoder().encode(String.fromCodePoint(code))];
}
