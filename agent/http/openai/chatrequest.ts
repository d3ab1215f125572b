/** From the body of `/v1/chat/completions` to a typed request: what is not understood is refused by name. */
import { Type } from 'typebox';
import type { AskRequest } from '../../service.ts';
import { splitMessage } from '../../words.ts';
import { FieldError } from '../errors.ts';
import { CHAT_FIELDS, isObject, needModel, STREAM_OPTION_FIELDS, screen } from '../fields.ts';
import { keepAliveMs } from '../keepalive.ts';
import { bodyCheck } from '../validate.ts';
import {
  GENERATION_PROPERTIES,
  generationOf,
  MAX_ALTERNATIVES,
  screenFormat,
  TokenLimit,
} from './generation.ts';
import { lastUserText, MessagesSchema, screenMessage, toMessage } from './messages.ts';

const strict = { additionalProperties: false } as const;

/** What the requests of both APIs say about streams. */
export const STREAM_PROPERTIES = {
  stream: Type.Optional(Type.Boolean()),
  stream_options: Type.Optional(Type.Object({ include_usage: Type.Optional(Type.Boolean()) }, strict)),
} as const;

export const ChatSchema = Type.Object(
  {
    model: Type.String(),
    messages: MessagesSchema,
    ...STREAM_PROPERTIES,
    ...GENERATION_PROPERTIES,
    max_completion_tokens: Type.Optional(TokenLimit),
    logprobs: Type.Optional(Type.Boolean()),
    top_logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_ALTERNATIVES })),
  },
  strict,
);

/** A request to generate, with how its reply is to come. */
export interface GenerationCall {
  readonly model: string;
  readonly ask: Extract<AskRequest['ask'], { kind: 'chat' }>;
  readonly keepAliveMs: number | null;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

const checkChat = bodyCheck(ChatSchema);
const KNOWN = Object.keys(ChatSchema.properties);

/** Throws a FieldError that names the field at fault. */
export function parseChat(body: unknown): GenerationCall {
  const checked = checkChat(screenChat(body));
  const messages = checked.messages.map(toMessage);
  const split = splitMessage(lastUserText(messages));
  if ((checked.top_logprobs ?? 0) > 0 && checked.logprobs !== true)
    throw new FieldError('bad_input', 'top_logprobs', '"top_logprobs" needs "logprobs": true');
  const logprobs = checked.logprobs === true ? (checked.top_logprobs ?? 0) : null;
  const generation = generationOf(checked, checked.max_completion_tokens, logprobs);
  return {
    model: checked.model,
    ask: { kind: 'chat', messages, ...split, embedding: null, raw: null, generation },
    keepAliveMs: keepAliveMs(checked.keep_alive),
    ...streamOf(checked),
  };
}

export function streamOf({ stream = false, stream_options }: StreamBody) {
  if (stream_options !== undefined && !stream)
    throw new FieldError('bad_input', 'stream_options', '"stream_options" needs "stream": true');
  return { stream, includeUsage: stream_options?.include_usage ?? false };
}

interface StreamBody {
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
}

/** Takes out what is harmless and refuses what is not supported, so that the schema meets only what it knows. */
function screenChat(body: unknown): unknown {
  if (!isObject(body)) return body;
  const kept = screen(body, KNOWN, CHAT_FIELDS);
  needModel(kept);
  const { messages } = kept;
  if (Array.isArray(messages)) kept['messages'] = messages.map(screenMessage);
  return screenInside(kept);
}

/** Screens what chat and text requests hold inside of fields. */
export function screenInside(kept: Record<string, unknown>): unknown {
  const { stream_options: options, response_format: format } = kept;
  return {
    ...kept,
    ...(isObject(options)
      ? { stream_options: screen(options, ['include_usage'], STREAM_OPTION_FIELDS, 'stream_options.') }
      : {}),
    ...(format === undefined ? {} : { response_format: screenFormat(format) }),
  };
}
