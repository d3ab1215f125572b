/** The bodies of `/v1/chat/completions`: one object, or a stream of chunks. */
import { randomUUID } from 'node:crypto';
import type { Answer } from '../../ports.ts';
import type { Reply } from '../../service.ts';
import { AUTO, replyNote } from './dispatch.ts';

/** What all parts of one completion have in common. */
export interface Head {
  readonly id: string;
  /** Unix time in seconds. */
  readonly created: number;
}

export function newHead(nowMs: number): Head {
  return { id: `chatcmpl-${randomUUID().replaceAll('-', '')}`, created: Math.floor(nowMs / 1_000) };
}

export function completion(head: Head, reply: Reply, content: string): object {
  const message = { role: 'assistant', content, refusal: null };
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: reply.expert ?? AUTO,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason(reply.answer) }],
    usage: usage(reply.answer),
    expertd: replyNote(reply),
  };
}

/** `usage: null` on every chunk but the last is what `include_usage` promises. */
export function chunk(
  head: Head,
  model: string,
  delta: { readonly role?: string; readonly content?: string },
  finish: string | null,
  includeUsage: boolean,
): object {
  return {
    id: head.id,
    object: 'chat.completion.chunk',
    created: head.created,
    model,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...(includeUsage ? { usage: null } : {}),
  };
}

export function usageChunk(head: Head, model: string, answer: Answer | null): object {
  const { id, created } = head;
  return { id, object: 'chat.completion.chunk', created, model, choices: [], usage: usage(answer) };
}

export function finishReason(answer: Answer | null): 'stop' | 'length' {
  return answer?.kind === 'text' && answer.finish === 'length' ? 'length' : 'stop';
}

function usage(answer: Answer | null): object {
  const prompt = answer?.inputTokens ?? 0;
  const written = answer?.kind === 'text' ? answer.outputTokens : 0;
  return { prompt_tokens: prompt, completion_tokens: written, total_tokens: prompt + written };
}
