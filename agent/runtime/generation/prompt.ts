/** What is asked -> the tokens of the prompt, which leave room for an answer. */
import type { Manifest } from '../../catalog/manifest.ts';
import { AgentError } from '../../errors.ts';
import type { Ask, ChatMessage } from '../../ports.ts';
import { badExpert } from '../graph.ts';
import type { TextTokenizer } from '../tokenizers/tokenizer.ts';
import type { ChatTemplate } from './template.ts';

/** A longer prompt is refused before it is tokenised: no tokenizer puts more characters into one token. */
const MAX_CHARS_PER_TOKEN = 64;

export type Chat = Extract<Ask, { kind: 'chat' }>;

export interface PromptParts {
  readonly manifest: Manifest;
  readonly tokenizer: TextTokenizer;
  /** null: the model was not made for conversations. */
  readonly template: ChatTemplate | null;
  /** Most tokens of prompt and answer together. */
  readonly contextTokens: number;
  /** What the model was made for, where `contextTokens` is less because of its memory; else null. */
  readonly madeForTokens: number | null;
}

/** Ids, or a length of a prompt that is too long to be tokenised. */
type Tokenised = { readonly ids: readonly number[] } | { readonly chars: number };

export class Prompts {
  readonly #parts: PromptParts;
  readonly #specialIds: ReadonlySet<number>;

  constructor(parts: PromptParts) {
    this.#parts = parts;
    const { tokenizer } = parts;
    const ids = tokenizer.specialTexts.map((text) =>
      tokenizer.encode(text, { addSpecial: false, parseSpecial: true }),
    );
    this.#specialIds = new Set(ids.filter(({ length }) => length === 1).flat());
  }

  /**
   * At least one token, and fewer than the context. Rejects with `context_overflow`, which gives the numbers, where the
   * prompt leaves no room and may not be cut, and with `bad_input` where the template refuses the messages.
   */
  read(ask: Chat): readonly number[] {
    const { contextTokens, manifest } = this.#parts;
    const { overflow, maxTokens } = ask.generation;
    // Where a prompt has to be cut, an answer gets what it asks for, half of the context at most, else a quarter.
    const wanted = Math.min(maxTokens ?? Math.floor(contextTokens / 4), Math.floor(contextTokens / 2));
    const most = contextTokens - Math.max(1, wanted);
    const whole = ask.raw === null ? this.#chat(ask.messages) : this.#raw(ask.raw);
    const isCut = overflow === 'truncate' && !this.#fits(whole, most);
    const read = !isCut
      ? whole
      : ask.raw === null
        ? this.#shortened(ask.messages, most)
        : this.#tail(ask.raw, most);
    if (!this.#fits(read, contextTokens - 1)) throw this.#overflow(read);
    if (read.ids.length === 0) throw emptyPrompt(manifest, ask.raw !== null);
    return read.ids;
  }

  #fits(read: Tokenised, most: number): read is { readonly ids: readonly number[] } {
    return 'ids' in read && read.ids.length <= most;
  }

  #raw(text: string): Tokenised {
    return this.#tokenise(text, { addSpecial: true, parseSpecial: true });
  }

  /** The end of a text, after what the tokenizer puts in front of every text. */
  #tail(text: string, most: number): Tokenised {
    const { tokenizer } = this.#parts;
    const options = { addSpecial: true, parseSpecial: true };
    const end = text.slice(-most * MAX_CHARS_PER_TOKEN).replace(/^[\uDC00-\uDFFF]/, '');
    const ids = tokenizer.encode(end, options);
    const around = tokenizer.encode('', options);
    const front = around.every((id, at) => ids[at] === id) ? around : [];
    return { ids: ids.length <= most ? ids : [...front, ...ids.slice(front.length - most)] };
  }

  /**
   * Drops the oldest messages behind the system messages, as few as it takes, so that what is left begins with a
   * question. The more are dropped the shorter it gets, so halves are searched.
   */
  #shortened(messages: readonly ChatMessage[], most: number): Tokenised {
    const firstOther = messages.findIndex(({ role }) => role !== 'system');
    const system = messages.slice(0, Math.max(firstOther, 0));
    const starts = messages.flatMap(({ role }, at) => (role === 'user' && at > firstOther ? [at] : []));
    let best = this.#chat([...system, ...messages.slice(starts.at(-1) ?? system.length)]);
    for (let from = 0, to = starts.length - 1; from < to; ) {
      const middle = (from + to) >> 1;
      const tried = this.#chat([...system, ...messages.slice(starts[middle])]);
      if (this.#fits(tried, most)) {
        best = tried;
        to = middle;
      } else from = middle + 1;
    }
    return best;
  }

  /**
   * The template's own control tokens are tokens; those that somebody wrote into a message are the letters that they
   * are, or a message could end itself and speak for another role. Where there are such, the parts that were written
   * by people are marked, so that they can be told apart once the template has put all into one text.
   */
  #chat(messages: readonly ChatMessage[]): Tokenised {
    const { template, manifest, tokenizer, contextTokens } = this.#parts;
    if (template === null) throw notForChats(manifest);
    // A message takes a token at least; so many would take the template all the steps that it may do.
    if (messages.length > contextTokens)
      return { chars: messages.reduce((chars, { content }) => chars + content.length, 0) };
    const rendered = template.render(messages);
    if (this.#isTooLong(rendered)) return { chars: rendered.length };
    const risky = new Set(messages.filter(({ content }) => this.#isRisky(content)));
    if (risky.size === 0) return this.#tokenise(rendered, { addSpecial: false, parseSpecial: true });
    const marks = freshMarks(rendered);
    for (const mark of this.#waysToMark(risky)) {
      const marked = messages.map((message) =>
        risky.has(message) ? { ...message, content: mark(message.content, marks) } : message,
      );
      const parts = partsOf(template.render(marked), marks);
      if (parts?.join('') === rendered)
        return { ids: parts.flatMap((part, at) => this.#part(part, at % 2 === 1)) };
    }
    throw new AgentError(
      'bad_input',
      "The messages hold control tokens, which the model's template would change.",
      {
        hint: `Leave them out: ${tokenizer.specialTexts.slice(0, 3).join(' ')}`,
      },
    );
  }

  /** To mark the control tokens alone is enough where nothing between them is risky. */
  #waysToMark(risky: ReadonlySet<ChatMessage>): readonly Mark[] {
    const pattern = patternOf(this.#parts.tokenizer.specialTexts);
    const isEnough = [...risky].every(({ content }) =>
      content.split(pattern).every((part) => !this.#isRisky(part)),
    );
    return isEnough ? [markWhole, (content, marks) => markAll(content, pattern, marks)] : [markWhole];
  }

  /** It holds a control token, or letters that the tokenizer's normalizer makes one of. */
  #isRisky(text: string): boolean {
    const { tokenizer } = this.#parts;
    return (
      tokenizer.specialTexts.some((special) => text.includes(special)) ||
      this.#holdsSpecial(tokenizer.encode(text, { addSpecial: false, parseSpecial: true }))
    );
  }

  #holdsSpecial(ids: readonly number[]): boolean {
    return ids.some((id) => this.#specialIds.has(id));
  }

  #part(text: string, isWritten: boolean): readonly number[] {
    const ids = this.#parts.tokenizer.encode(text, { addSpecial: false, parseSpecial: !isWritten });
    if (!isWritten || !this.#holdsSpecial(ids)) return ids;
    throw new AgentError(
      'bad_input',
      'The messages hold control tokens, which this tokenizer cannot take as text.',
    );
  }

  #isTooLong(text: string): boolean {
    return text.length > this.#parts.contextTokens * MAX_CHARS_PER_TOKEN;
  }

  #tokenise(text: string, options: { addSpecial: boolean; parseSpecial: boolean }): Tokenised {
    return this.#isTooLong(text)
      ? { chars: text.length }
      : { ids: this.#parts.tokenizer.encode(text, options) };
  }

  #overflow(read: Tokenised): AgentError {
    const { manifest, contextTokens, madeForTokens } = this.#parts;
    const length = 'ids' in read ? `${read.ids.length} tokens` : `${read.chars} characters`;
    return new AgentError(
      'context_overflow',
      `The prompt has ${length}; ${manifest.id} takes ${contextTokens} tokens, its answer included.`,
      {
        hint:
          madeForTokens === null
            ? 'Send less: leave out old messages, or shorten the longest one.'
            : `Send less, or raise experts[].contextTokens: the model was made for ${madeForTokens} tokens, its memory is what limits it.`,
      },
    );
  }
}

interface Marks {
  readonly before: string;
  readonly after: string;
}

type Mark = (content: string, marks: Marks) => string;

/** Two texts that `rendered` does not hold, of characters that no template looks for. */
function freshMarks(rendered: string): Marks {
  for (let number = 0; ; number += 1) {
    const before = `\uE000${number}\uE001`;
    const after = `\uE002${number}\uE001`;
    if (!rendered.includes(before) && !rendered.includes(after)) return { before, after };
  }
}

/** What the template wrote and what people wrote, in turns; null where it has torn the marks apart. */
function partsOf(marked: string, { before, after }: Marks): readonly string[] | null {
  const [first = '', ...others] = marked.split(before);
  const pairs = others.map((text) => text.split(after));
  return !first.includes(after) && pairs.every(({ length }) => length === 2)
    ? [first, ...pairs.flat()]
    : null;
}

/** Marks all of a message: it is tokenised in one go. A template that trims messages, or cuts them, spoils it. */
function markWhole(content: string, { before, after }: Marks): string {
  return before + content + after;
}

/** Marks only the texts of control tokens. */
function markAll(content: string, pattern: RegExp, { before, after }: Marks): string {
  return content.replace(pattern, (text) => before + text + after);
}

/** Any of some texts, the longest that fits; nothing where there are none. */
function patternOf(texts: readonly string[]): RegExp {
  const longestFirst = texts.filter((text) => text !== '').sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.length === 0 ? '(?!)' : longestFirst.map(literally).join('|'), 'g');
}

function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function emptyPrompt(manifest: Manifest, isRaw: boolean): AgentError {
  if (!isRaw) return badExpert(manifest, 'its chat template makes an empty prompt');
  return new AgentError('bad_input', 'The prompt is empty.', { hint: 'Send at least one character.' });
}

function notForChats({ id }: Manifest): AgentError {
  return new AgentError(
    'bad_input',
    `${id} has no chat template: it continues texts and takes no messages.`,
    {
      hint: 'Send the text as a prompt to /v1/completions, or choose a model that is made for chats.',
    },
  );
}
