/** From the bodies of `/api/generate` and `/api/chat` to typed requests: what is not understood is refused by name. */
import { Type } from 'typebox';
import type { AskRequest } from '../../service.ts';
import { splitMessage } from '../../words.ts';
import { FieldError } from '../errors.ts';
import { type FieldTable, isObject, type Json, needModel, screen } from '../fields.ts';
import { KeepAlive, keepAliveMs } from '../keepalive.ts';
import { lastUserText } from '../openai/messages.ts';
import { bodyCheck } from '../validate.ts';
import { CHAT_FIELDS, GENERATE_FIELDS, MESSAGE_FIELDS, OPTION_FIELDS } from './fields.ts';
import { generationOf, OptionsSchema, TEXT_PROPERTIES } from './options.ts';

const strict = { additionalProperties: false } as const;

const COMMON = {
  model: Type.String(),
  stream: Type.Optional(Type.Boolean({ description: 'Default: true, a line of JSON for each piece.' })),
  keep_alive: Type.Optional(KeepAlive),
  ...TEXT_PROPERTIES,
} as const;

export const GenerateSchema = Type.Object(
  {
    ...COMMON,
    prompt: Type.Optional(
      Type.String({ description: 'Without it the expert is loaded, or unloaded with "keep_alive": 0.' }),
    ),
    system: Type.Optional(Type.String()),
    raw: Type.Optional(Type.Boolean({ description: 'The prompt goes past the chat template, as it is.' })),
  },
  strict,
);

export const ChatSchema = Type.Object(
  {
    ...COMMON,
    messages: Type.Optional(
      Type.Array(
        Type.Object(
          {
            role: Type.Union(['system', 'user', 'assistant'].map((role) => Type.Literal(role))),
            content: Type.Optional(Type.String()),
          },
          strict,
        ),
        { description: 'Without one the expert is loaded, or unloaded with "keep_alive": 0.' },
      ),
    ),
  },
  strict,
);

export interface OllamaCall {
  /** As the client wrote it. */
  readonly model: string;
  readonly stream: boolean;
  readonly keepAliveMs: number | null;
  /** null: the expert is to be loaded, or unloaded, and asked nothing. */
  readonly ask: Extract<AskRequest['ask'], { kind: 'chat' }> | null;
}

const checkGenerate = bodyCheck(GenerateSchema);
const checkChat = bodyCheck(ChatSchema);

/** Throws a FieldError that names the field at fault. */
export function parseGenerate(body: unknown): OllamaCall {
  const checked = checkGenerate(screenBody(body, GenerateSchema.properties, GENERATE_FIELDS));
  const { prompt = '', system = '', raw = false } = checked;
  if (raw && system !== '')
    throw new FieldError('bad_input', 'system', '"system" needs the template, which "raw": true goes past');
  const messages = [
    ...(system === '' ? [] : [{ role: 'system' as const, content: system }]),
    { role: 'user' as const, content: prompt },
  ];
  const text = raw ? { messages: [], raw: prompt } : { messages, raw: null };
  const generation = generationOf(checked);
  const ask = { kind: 'chat', ...text, ...splitMessage(prompt), embedding: null, generation } as const;
  return { ...callOf(checked), ask: isNothing(prompt, generation.maxTokens) ? null : ask };
}

/** Throws a FieldError that names the field at fault. */
export function parseChat(body: unknown): OllamaCall {
  const checked = checkChat(screenBody(body, ChatSchema.properties, CHAT_FIELDS));
  const { messages: sent = [] } = checked;
  const generation = generationOf(checked);
  if (isNothing(sent, generation.maxTokens)) return { ...callOf(checked), ask: null };
  const messages = sent.map(({ role, content = '' }) => ({ role: roleOf(role), content }));
  const split = splitMessage(lastUserText(messages));
  return {
    ...callOf(checked),
    ask: { kind: 'chat', messages, ...split, embedding: null, raw: null, generation },
  };
}

/** Throws where something is asked and no token of an answer is wanted: nobody could tell that from an empty answer. */
function isNothing(asked: { readonly length: number }, maxTokens: number | null): boolean {
  if (asked.length === 0) return true;
  if (maxTokens !== 0) return false;
  const hint = 'Send 1 or more; -1 is no limit.';
  throw new FieldError('bad_input', 'options.num_predict', '"options.num_predict" is 0', hint);
}

interface Common {
  readonly model: string;
  readonly stream?: boolean;
  readonly keep_alive?: number | string;
}

function callOf({ model, stream = true, keep_alive }: Common) {
  return { model, stream, keepAliveMs: keepAliveMs(keep_alive) };
}

function roleOf(role: string): 'system' | 'user' | 'assistant' {
  return role === 'user' || role === 'assistant' ? role : 'system';
}

/** Takes out what is harmless and refuses what is not supported, so that the schema meets only what it knows. */
function screenBody(body: unknown, known: Json, table: FieldTable): unknown {
  if (!isObject(body)) return body;
  const kept = screen(body, Object.keys(known), table);
  needModel(kept);
  const { options, messages } = kept;
  return {
    ...kept,
    ...(isObject(options)
      ? { options: screen(options, Object.keys(OptionsSchema.properties), OPTION_FIELDS, 'options.') }
      : {}),
    ...(Array.isArray(messages) ? { messages: messages.map(screenMessage) } : {}),
  };
}

function screenMessage(message: unknown, index: number): unknown {
  if (!isObject(message)) return message;
  const path = `messages[${index}]`;
  if (message['role'] === 'tool') {
    const why = `"${path}.role" "tool" is not supported: experts do not call tools`;
    throw new FieldError('unsupported_field', `${path}.role`, why);
  }
  return screen(message, ['role', 'content'], MESSAGE_FIELDS, `${path}.`);
}
