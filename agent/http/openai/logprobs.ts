/** Log probabilities of tokens, as chats and as texts have them. */
import type { SaidToken, TokenChance } from '../../generation.ts';

/** Of a chat: `choices[].logprobs`. */
export function chatLogprobs(tokens: readonly SaidToken[]): object {
  const content = tokens.map((token) => ({ ...chance(token), top_logprobs: token.top.map(chance) }));
  return { content, refusal: null };
}

function chance({ text, logprob, bytes }: TokenChance): object {
  return { token: text, logprob, bytes: Array.from(bytes) };
}

/**
 * Of a text: parallel lists, and where each token begins in the text, in characters (code points) and not in bytes. It
 * counts on from one piece to the next.
 */
export class TextLogprobs {
  readonly #decoder = new TextDecoder();
  #offset = 0;

  next(tokens: readonly SaidToken[]): object {
    return {
      tokens: tokens.map(({ text }) => text),
      token_logprobs: tokens.map(({ logprob }) => logprob),
      // The one that was said is among them, as with OpenAI.
      top_logprobs: tokens.map((token) =>
        Object.fromEntries([...token.top, token].map(({ text, logprob }) => [text, logprob])),
      ),
      text_offset: tokens.map(({ bytes }) => this.#advance(bytes)),
    };
  }

  /** A character that several tokens share begins with the first of them, and counts with the last. */
  #advance(bytes: Uint8Array): number {
    const begin = this.#offset;
    for (const _character of this.#decoder.decode(bytes, { stream: true })) this.#offset += 1;
    return begin;
  }
}
