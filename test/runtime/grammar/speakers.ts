/** A small vocabulary, and models that say whatever they are allowed to. */
import { AgentError } from '../../../agent/errors.ts';
import type { Grammar } from '../../../agent/runtime/generation/constraint.ts';
import { FollowedText } from '../../../agent/runtime/grammar/followed-text.ts';
import { openGrammar } from '../../../agent/runtime/grammar/grammar.ts';
import type { Tokens } from '../../../agent/runtime/grammar/spoken.ts';

/** What tokens say beside the 256 bytes: pieces that reach over the borders of JSON in many ways. */
const PIECES = [
  ...[
    '{"',
    '":',
    '": ',
    '","',
    '", "',
    '"}',
    '"}}',
    '"]',
    '"],',
    '[[',
    ']]',
    '[]',
    '{}',
    '},{',
    '}, {',
    '[{"',
    '"},',
  ],
  ...['\n  ', '\n    ', '  ', '            ', ', ', ' "', ': ', ':[', ': {', '":"', '":["', '":{"', '":true'],
  ...[
    'true',
    'false',
    'null',
    'tr',
    'ull',
    '12',
    '00',
    '3.5',
    '-1',
    '0.',
    'e+',
    'E1',
    '1e',
    '.0',
    '0,',
    '1}',
    '10]',
  ],
  ...[
    'a',
    'ab',
    'name',
    'alpha',
    'beta"',
    '"alpha',
    '"a',
    'the ',
    ' quick',
    'ä',
    'éa',
    '€',
    '🙂',
    '日本',
    '\\n',
    '\\u',
  ],
  ...[
    '\\ud83d',
    '\\ude42',
    '\\"',
    '\\\\',
    'd83d',
    '\\u00',
    'A',
    'AB',
    '2024',
    '-01',
    '-',
    '@',
    '.co',
    '/',
    '\u0000',
  ],
];

const UTF8 = new TextEncoder();
export const END = 0;
/** A special token, one that says nothing, and a twin of `{"`. */
const SAID: readonly (Uint8Array | null)[] = [
  null,
  null,
  new Uint8Array(),
  UTF8.encode('{"'),
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...PIECES.map((piece) => UTF8.encode(piece)),
  // The first two and the last two bytes of an emoji.
  Uint8Array.of(0xf0, 0x9f),
  Uint8Array.of(0x99, 0x82),
];

export const TOKENS: Tokens = { size: SAID.length, bytesOf: (id) => SAID[id] ?? null };
/** More logits than tokens, as many models have. */
export const LOGITS = TOKENS.size + 37;

export function smallGrammar(): Promise<Grammar> {
  return openGrammar(TOKENS, LOGITS, new Set([END]));
}

/** The text of a schema, followed from its beginning. */
export async function follow(grammar: Grammar, schema: unknown): Promise<FollowedText> {
  const text = typeof schema === 'string' ? schema : JSON.stringify(schema);
  const constraint = await grammar.constrain({ kind: 'json-schema', schema: text });
  if (constraint instanceof FollowedText) return constraint;
  throw new TypeError('the grammar gave another constraint');
}

/** The same, or null for a schema that is refused. */
export async function followIfKept(grammar: Grammar, schema: unknown): Promise<FollowedText | null> {
  try {
    return await follow(grammar, schema);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'bad_input') return null;
    throw error;
  }
}

export function idsOf(mask: Int32Array | null, logits = LOGITS): readonly number[] {
  if (mask === null) throw new TypeError('everything is allowed');
  const ids: number[] = [];
  for (let id = 0; id < 32 * mask.length; id += 1) {
    if (((mask[id >> 5] ?? 0) >>> (id & 31)) & 1) ids.push(id);
  }
  if (ids.some((id) => id >= logits)) throw new RangeError('a token without a logit is allowed');
  return ids;
}

/** Chooses one of the allowed tokens. */
export type Model = (allowed: readonly number[], tokens: Tokens) => number;

/** Chooses as the numbers from 0 to 1 say, in turn. */
export function randomModel(next: () => number): Model {
  return (allowed) => allowed[Math.floor(next() * allowed.length)] ?? END;
}

/** Ends nothing that it need not: it opens and goes on, with the longest words that are not known to close something. */
export const endlessModel: Model = (allowed, tokens) => {
  let best = allowed[0] ?? END;
  let most = -Infinity;
  for (const id of allowed) {
    const text = Buffer.from(tokens.bytesOf(id) ?? []).toString('latin1');
    const opens = (text.match(/[[{,]/g) ?? []).length;
    const closes = (text.match(/[\]}]/g) ?? []).length;
    const score =
      10 * opens -
      20 * closes -
      5 * (text.match(/"/g) ?? []).length +
      text.length / 10 -
      (id === END ? 99 : 0);
    if (score > most) {
      most = score;
      best = id;
    }
  }
  return best;
};

export interface Said {
  readonly text: string;
  readonly finish: 'stop' | 'length';
}

/** Lets a model say a text of at most `limit` tokens, as the loop of generation does. */
export function say(constraint: FollowedText, limit: number, model: Model, tokens: Tokens = TOKENS): Said {
  const pieces: Uint8Array[] = [];
  for (let left = limit; !constraint.complete; left -= 1) {
    if (left === 0) return { text: Buffer.concat(pieces).toString(), finish: 'length' };
    const allowed = idsOf(constraint.allowed(left), Number.POSITIVE_INFINITY);
    if (allowed.length === 0) throw new Error(`nothing may follow ${Buffer.concat(pieces).toString()}`);
    const id = model(allowed, tokens);
    constraint.accept(id);
    pieces.push(tokens.bytesOf(id) ?? new Uint8Array());
  }
  return { text: Buffer.concat(pieces).toString(), finish: 'stop' };
}

/** Does a text, byte by byte, follow a grammar from its beginning to an end? */
export function isSayable(constraint: FollowedText, text: string): boolean {
  try {
    for (const byte of UTF8.encode(text)) constraint.accept(4 + byte);
    return constraint.complete || idsOf(constraint.allowed(1)).includes(END);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
