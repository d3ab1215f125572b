/** What the packages of the Hugging Face layout have: text for models that read a bounded number of tokens. */
import type { TaskContext } from '../task.ts';
import { openTokenizer } from './open.ts';
import type { TextTokenizer } from './tokenizer.ts';

/** Text -> token ids, special tokens included. */
export interface BoundedEncoder {
  /** At most `maxTokens` ids: the rest of a longer text is left out, its last special tokens are kept. */
  encode(text: string, maxTokens: number): readonly number[];
}

/**
 * A text longer than this many characters a token is cut before it is tokenised, so that its cost is bounded. English
 * has about four; runs of spaces and words of more than 100 characters can have more.
 */
const MAX_CHARS_PER_TOKEN = 64;

/** Rejects with `bad_expert` for files that make no tokenizer. */
export async function openBounded(context: TaskContext): Promise<BoundedEncoder> {
  return encoderOf(await openTokenizer(context));
}

/** `[SEP]`, `[MASK]` and the like in a text are text, never control tokens. */
export function encoderOf(tokenizer: TextTokenizer): BoundedEncoder {
  const [before, after] = around(tokenizer);
  return {
    encode: (text, maxTokens) => {
      const room = Math.max(maxTokens - before.length - after.length, 0);
      const shortened = head(text, maxTokens * MAX_CHARS_PER_TOKEN);
      const ids = tokenizer.encode(shortened, { addSpecial: false, parseSpecial: false });
      return [...before, ...ids.slice(0, room), ...after];
    },
  };
}

/** The ids before and after every text. */
function around(tokenizer: TextTokenizer): readonly [readonly number[], readonly number[]] {
  const bare = tokenizer.encode('a', { addSpecial: false, parseSpecial: false });
  const whole = tokenizer.encode('a', { addSpecial: true, parseSpecial: false });
  const start = whole.findIndex((_, at) => bare.every((id, offset) => whole[at + offset] === id));
  return [whole.slice(0, start), whole.slice(start + bare.length)];
}

/** The first `chars` UTF-16 units, or one less where that would halve a character. */
export function head(text: string, chars: number): string {
  if (text.length <= chars) return text;
  const cut = text.charCodeAt(chars - 1);
  return text.slice(0, cut >= 0xd800 && cut <= 0xdbff ? chars - 1 : chars);
}
