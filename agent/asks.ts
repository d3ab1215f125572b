/** The usual form of an ask. */
import { AS_MADE } from './generation.ts';
import type { Ask } from './ports.ts';

export type ChatAsk = Extract<Ask, { kind: 'chat' }>;

/** One message of a user, to be answered as the makers of the expert say; `change` is what is unusual about it. */
export function chatAbout(text: string, change: Partial<ChatAsk> = {}): ChatAsk {
  return {
    kind: 'chat',
    messages: [{ role: 'user', content: text }],
    question: text,
    focus: text,
    embedding: null,
    raw: null,
    generation: AS_MADE,
    ...change,
  };
}
