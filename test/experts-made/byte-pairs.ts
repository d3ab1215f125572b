/** A byte-level BPE tokenizer in the layout of `tokenizer.json`, trained on a few sentences. */

const SAMPLE = `The expert that a request needs is loaded when there is room for it, and the one that nobody has asked
for goes first. Memory is the limit of a small device: a model is read from the disk, it answers, and it stays
until something else has to be in its place. What is the capital of France? Write one sentence about the sea.
Explain how this works, and where the answers come from. Count from one to ten: one two three four five six seven
eight nine ten. The weather of the mountain and the stories of the other side are not the same thing at all.`;

export interface AddedToken {
  readonly content: string;
  readonly special: boolean;
}

export interface BytePairs {
  /** Token to id. `added` come first, then the 256 bytes, then the merges in order. */
  readonly size: number;
  readonly json: object;
}

/** Any text can be encoded: what no merge covers falls apart into its UTF-8 bytes. */
export function trainBytePairs(added: readonly AddedToken[], mergeCount: number): BytePairs {
  const merges = learnMerges(SAMPLE, mergeCount);
  const tokens = [...new Set([...byteCharacters().values(), ...merges.map((pair) => pair.join(''))])];
  const vocab = Object.fromEntries([
    ...added.map(({ content }, id) => [content, id] as const),
    ...tokens.map((token, index) => [token, added.length + index] as const),
  ]);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map((token, id) => ({
      id,
      ...token,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: merges.map((pair) => pair.join(' ')),
    },
  };
  return { size: added.length + tokens.length, json };
}

/**
 * The character that stands for each byte in a byte-level vocabulary: printable Latin-1 stands for itself, the
 * others are moved above U+0100 in ascending order (GPT-2's table).
 */
function byteCharacters(): Map<number, string> {
  let moved = 0;
  return new Map(
    Array.from({ length: 256 }, (_, byte) => {
      const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
      return [byte, String.fromCodePoint(printable ? byte : 0x100 + moved++)];
    }),
  );
}

/** The most frequent neighbours become one token, again and again; ties go to the smaller pair. */
function learnMerges(sample: string, count: number): [string, string][] {
  const characters = byteCharacters();
  const words = (sample.match(/ ?\p{L}+|[^\p{L}\s]/gu) ?? []).map((word) =>
    [...Buffer.from(word)].map((byte) => characters.get(byte) ?? ''),
  );
  const merges: [string, string][] = [];
  while (merges.length < count) {
    const best = mostFrequentPair(words);
    if (best === null) break;
    merges.push(best);
    for (const word of words) mergeInPlace(word, best);
  }
  return merges;
}

function mostFrequentPair(words: readonly string[][]): [string, string] | null {
  const counts = new Map<string, number>();
  for (const word of words) {
    for (let index = 1; index < word.length; index += 1) {
      const pair = `${word[index - 1]} ${word[index]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
  }
  const ranked = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  const [left, right] = ranked[0]?.[0].split(' ') ?? [];
  return left === undefined || right === undefined ? null : [left, right];
}

function mergeInPlace(word: string[], [left, right]: readonly [string, string]): void {
  for (let index = 0; index + 1 < word.length; index += 1) {
    if (word[index] === left && word[index + 1] === right) word.splice(index, 2, left + right);
  }
}
