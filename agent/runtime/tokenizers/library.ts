/** Tokenizers of kinds that `flat/` does not know, by the library `@huggingface/tokenizers`. */
import type { Tokenizer } from '@huggingface/tokenizers';
import { AgentError } from '../../errors.ts';
import { literal } from './flat/literal.ts';
import type { TextTokenizer } from './tokenizer.ts';

/** Rejects with `bad_expert` for files that make no tokenizer. The library is only loaded where it is used. */
export async function openLibrary(tokenizerJson: object, config: object): Promise<TextTokenizer> {
  const { Tokenizer } = await import('@huggingface/tokenizers');
  try {
    return new LibraryTokenizer(new Tokenizer(tokenizerJson, config));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('bad_expert', `The tokenizer cannot be used: ${reason}`, {
      hint: 'It must be a tokenizer.json of the Hugging Face tokenizers library.',
      cause,
    });
  }
}

class LibraryTokenizer implements TextTokenizer {
  readonly size: number;
  readonly specialTexts: readonly string[];
  readonly #tokenizer: Tokenizer;
  /** Matches the texts of special tokens; null where there are none. */
  readonly #special: RegExp | null;
  /** Special tokens around every text. */
  readonly #before: readonly number[];
  readonly #after: readonly number[];

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    let highest = -1;
    for (const id of tokenizer.get_vocab(true).values()) highest = Math.max(highest, id);
    this.size = highest + 1;
    const added = [...tokenizer.get_added_tokens_decoder().values()];
    this.specialTexts = added.filter(({ special }) => special).map(({ content }) => content);
    const sought = this.specialTexts.filter((text) => text !== '').map(literal);
    this.#special = sought.length === 0 ? null : new RegExp(sought.join('|'), 'g');
    const bare = this.#bare('a');
    const whole: readonly number[] = tokenizer.encode('a').ids;
    const start = whole.findIndex((_, at) => bare.every((id, offset) => whole[at + offset] === id));
    this.#before = whole.slice(0, start);
    this.#after = whole.slice(start + bare.length);
  }

  encode(text: string, options: { readonly addSpecial: boolean; readonly parseSpecial: boolean }): number[] {
    const parts = options.parseSpecial ? [text] : this.#withoutSpecial(text);
    const bare = parts.flatMap((part) => this.#bare(part));
    return options.addSpecial ? [...this.#before, ...bare, ...this.#after] : bare;
  }

  decode(ids: readonly number[], options: { readonly skipSpecial: boolean }): string {
    // The library refuses an empty list.
    if (ids.length === 0) return '';
    return this.#tokenizer.decode([...ids], {
      skip_special_tokens: options.skipSpecial,
      clean_up_tokenization_spaces: false,
    });
  }

  /** What the library cannot say. */
  bytesOf(): null {
    return null;
  }

  #bare(text: string): readonly number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /**
   * The library takes the text of a special token for that token, whatever it is told. So the text is cut after the
   * first character of each; one of a single character is left out.
   */
  #withoutSpecial(text: string): readonly string[] {
    const special = this.#special;
    if (special === null) return [text];
    const parts: string[] = [];
    let from = 0;
    special.lastIndex = 0;
    for (let match = special.exec(text); match !== null; match = special.exec(text)) {
      const [found] = match;
      const first = String.fromCodePoint(found.codePointAt(0) ?? 0);
      parts.push(text.slice(from, match.index + (found === first ? 0 : first.length)));
      from = match.index + first.length;
      special.lastIndex = from;
    }
    return [...parts, text.slice(from)];
  }
}
