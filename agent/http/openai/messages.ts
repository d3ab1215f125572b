/** The messages of a chat, as OpenAI's clients send them: what is not text is refused by its place. */
import { type Static, Type } from 'typebox';
import type { ChatMessage } from '../../ports.ts';
import { FieldError } from '../errors.ts';
import { isObject, MESSAGE_FIELDS, screen } from '../fields.ts';

const strict = { additionalProperties: false } as const;
const TextPart = Type.Object({ type: Type.Literal('text'), text: Type.String() }, strict);

export const MessagesSchema = Type.Array(
  Type.Object(
    {
      role: Type.Union(['system', 'developer', 'user', 'assistant'].map((role) => Type.Literal(role))),
      content: Type.Optional(Type.Union([Type.String(), Type.Array(TextPart)])),
    },
    strict,
  ),
  { minItems: 1 },
);

/** Takes out what is harmless and refuses what is not supported. */
export function screenMessage(message: unknown, index: number): unknown {
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

export function toMessage({ role, content = [] }: Static<typeof MessagesSchema>[number]): ChatMessage {
  const text = typeof content === 'string' ? content : content.map((part) => part.text).join('\n');
  return { role: role === 'user' || role === 'assistant' ? role : 'system', content: text };
}

/** Throws a FieldError where nobody asks anything. */
export function lastUserText(messages: readonly ChatMessage[]): string {
  const index = messages.findLastIndex(({ role }) => role === 'user');
  const text = messages[index]?.content ?? '';
  if (index < 0)
    throw new FieldError('bad_input', 'messages', '"messages" holds no message with the role "user"');
  if (text.trim() !== '') return text;
  throw new FieldError('bad_input', `messages[${index}].content`, `"messages[${index}].content" is empty`);
}
