/** From the body of `/v1/chat/completions` to a typed request: what is not understood is refused by name. */
import { type Static, Type } from 'typebox';
import type { ChatMessage } from '../../ports.ts';
import { splitMessage } from '../../words.ts';
import { FieldError } from '../errors.ts';
import { CHAT_FIELDS, MESSAGE_FIELDS, STREAM_OPTION_FIELDS, screen } from '../fields.ts';
import { bodyCheck } from '../validate.ts';
import type { Form } from './wording.ts';

const strict = { additionalProperties: false } as const;
const TextPart = Type.Object({ type: Type.Literal('text'), text: Type.String() }, strict);
const Stop = Type.String({ minLength: 1, maxLength: 256 });

export const ChatSchema = Type.Object(
  {
    model: Type.String(),
    messages: Type.Array(
      Type.Object(
        {
          role: Type.Union(['system', 'developer', 'user', 'assistant'].map((role) => Type.Literal(role))),
          content: Type.Optional(Type.Union([Type.String(), Type.Array(TextPart)])),
        },
        strict,
      ),
      { minItems: 1 },
    ),
    stream: Type.Optional(Type.Boolean()),
    stream_options: Type.Optional(
      Type.Object({ include_usage: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
    ),
    max_tokens: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_048_576 })),
    max_completion_tokens: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_048_576 })),
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
    seed: Type.Optional(Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER })),
    stop: Type.Optional(Type.Union([Stop, Type.Array(Stop, { maxItems: 4 })])),
    response_format: Type.Optional(
      Type.Object({ type: Type.Union([Type.Literal('text'), Type.Literal('json_object')]) }, strict),
    ),
  },
  strict,
);

type Body = Static<typeof ChatSchema>;
type Json = Readonly<Record<string, unknown>>;

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly question: string;
  readonly focus: string;
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly seed: number | null;
  readonly stop: readonly string[];
  readonly form: Form;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

const checkChat = bodyCheck(ChatSchema);
const KNOWN = Object.keys(ChatSchema.properties);

/** Throws a FieldError that names the field at fault. */
export function parseChat(body: unknown): ChatRequest {
  const checked = checkChat(screenBody(body));
  const messages = checked.messages.map(toMessage);
  const { question, focus } = splitMessage(lastUserText(messages));
  if (checked.stream_options !== undefined && checked.stream !== true) {
    throw new FieldError('bad_input', 'stream_options', '"stream_options" needs "stream": true');
  }
  return {
    model: checked.model,
    messages,
    question,
    focus,
    maxTokens: checked.max_completion_tokens ?? checked.max_tokens ?? null,
    temperature: checked.temperature ?? null,
    seed: checked.seed ?? null,
    stop: typeof checked.stop === 'string' ? [checked.stop] : (checked.stop ?? []),
    form: checked.response_format?.type === 'json_object' ? 'json' : 'text',
    stream: checked.stream ?? false,
    includeUsage: checked.stream_options?.include_usage ?? false,
  };
}

/** Takes out what is harmless and refuses what is not supported, so that the schema meets only what it knows. */
function screenBody(body: unknown): unknown {
  if (!isObject(body)) return body;
  const kept = screen(body, KNOWN, CHAT_FIELDS);
  needModel(kept);
  const { messages, stream_options, response_format } = kept;
  if (Array.isArray(messages)) kept['messages'] = messages.map(screenMessage);
  if (isObject(stream_options)) {
    kept['stream_options'] = screen(
      stream_options,
      ['include_usage'],
      STREAM_OPTION_FIELDS,
      'stream_options.',
    );
  }
  if (isObject(response_format) && response_format['type'] === 'json_schema') {
    const hint = 'Use {"type": "json_object"}: its keys are label, score and alternatives for a classifier.';
    throw new FieldError(
      'unsupported_field',
      'response_format',
      '"response_format" json_schema is not supported',
      hint,
    );
  }
  return kept;
}

/** Throws where there is no model: the error names the one that always works. */
export function needModel(body: Json): void {
  if (body['model'] !== undefined) return;
  throw new FieldError(
    'bad_input',
    'model',
    '"model" is missing',
    'Send "auto" to let the router choose an expert.',
  );
}

function screenMessage(message: unknown, index: number): unknown {
  if (!isObject(message)) return message;
  const path = `messages[${index}]`;
  if (message['role'] === 'tool' || message['role'] === 'function') {
    const why = `"${path}.role" "${message['role']}" is not supported: experts do not call tools`;
    throw new FieldError('unsupported_field', `${path}.role`, why);
  }
  const { content } = message;
  if (Array.isArray(content)) {
    content.forEach((part, at) => {
      needText(part, `${path}.content[${at}]`);
    });
  }
  return screen(message, ['role', 'content'], MESSAGE_FIELDS, `${path}.`);
}

function needText(part: unknown, path: string): void {
  if (!isObject(part) || typeof part['type'] !== 'string' || part['type'] === 'text') return;
  const type = part['type'].slice(0, 60);
  throw new FieldError('unsupported_field', path, `"${path}" is of type "${type}": experts read text only`);
}

function toMessage(message: Body['messages'][number]): ChatMessage {
  const { content } = message;
  const text = typeof content === 'string' ? content : (content ?? []).map((part) => part.text).join('\n');
  if (message.role === 'user' || message.role === 'assistant') return { role: message.role, content: text };
  return { role: 'system', content: text };
}

function lastUserText(messages: readonly ChatMessage[]): string {
  const index = messages.findLastIndex(({ role }) => role === 'user');
  const text = messages[index]?.content ?? '';
  if (index < 0)
    throw new FieldError('bad_input', 'messages', '"messages" holds no message with the role "user"');
  if (text.trim() !== '') return text;
  throw new FieldError('bad_input', `messages[${index}].content`, `"messages[${index}].content" is empty`);
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
