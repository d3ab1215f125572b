/** `POST /v1/chat/completions`: asks, and puts the answer into words. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Ask } from '../../ports.ts';
import type { AskRequest, Chosen, Reply } from '../../service.ts';
import { type Problem, problemOf } from '../errors.ts';
import { EVENT_STREAM } from '../sse.ts';
import { type ChatRequest, parseChat } from './chatrequest.ts';
import { completion, newHead } from './completion.ts';
import { AUTO, type Dispatch, hangUpSignal, replyHeaders } from './dispatch.ts';
import { CompletionStream } from './stream.ts';
import { wordAbstention, wordAnswer } from './wording.ts';

export function addChat(
  app: FastifyInstance,
  dispatch: Dispatch,
  onLateProblem: (problem: Problem) => void,
): void {
  app.post('/v1/chat/completions', async (request, reply) => {
    const chat = parseChat(request.body);
    const asked = toAskRequest(chat, dispatch.modelOf(chat.model));
    const signal = hangUpSignal(reply);
    if (chat.stream) return streamed({ chat, asked, dispatch, signal, reply, onLateProblem });
    const answered = await dispatch.ask(asked, {}, signal);
    const body = completion(newHead(Date.now()), answered, contentOf(dispatch, chat, answered));
    return reply.headers(replyHeaders(answered)).send(body);
  });
}

interface StreamedCall {
  readonly chat: ChatRequest;
  readonly asked: AskRequest;
  readonly dispatch: Dispatch;
  readonly signal: AbortSignal;
  readonly reply: FastifyReply;
  readonly onLateProblem: (problem: Problem) => void;
}

/**
 * The head of the reply waits for the first piece or the whole answer, so that a refusal keeps its status; by then it
 * is known who answers. JSON is sent in one piece: half of an object is of no use to anybody.
 */
async function streamed(call: StreamedCall): Promise<FastifyReply> {
  const { chat, asked, dispatch, signal, reply, onLateProblem } = call;
  const { includeUsage } = chat;
  let chosen: Chosen | null = null;
  const stream = new CompletionStream({
    head: newHead(Date.now()),
    model: () => chosen?.expert ?? asked.model ?? AUTO,
    includeUsage,
  });
  const onChosen = (one: Chosen): void => {
    chosen = one;
  };
  const onDelta = (text: string): void => {
    if (chat.form === 'json') return;
    stream.piece(text);
  };
  const answer = dispatch.ask(asked, { onChosen, onDelta }, signal);
  const whole = await Promise.race([answer, stream.started]);
  void answer
    .then((answered) => stream.finish(answered, stream.isOpen ? '' : contentOf(dispatch, chat, answered)))
    .catch((error: unknown) => {
      const problem = problemOf(error, 0);
      stream.fail(problem);
      if (!signal.aborted) onLateProblem(problem);
    });
  const head: Chosen | null = whole ?? chosen;
  return reply.headers({ ...EVENT_STREAM, ...(head === null ? {} : replyHeaders(head)) }).send(stream.body);
}

function contentOf(dispatch: Dispatch, chat: ChatRequest, answered: Reply): string {
  if (answered.answer === null)
    return wordAbstention(dispatch.service.experts(), chat.form, answered.language ?? null);
  return wordAnswer(answered.answer, chat.form);
}

function toAskRequest(chat: ChatRequest, model: string | null): AskRequest {
  const { messages, question, focus, maxTokens, temperature, seed, stop } = chat;
  const ask: Ask = {
    kind: 'chat',
    messages,
    question,
    focus,
    embedding: null,
    maxTokens,
    temperature,
    seed,
    stop,
  };
  return { want: 'chat', model, ask, waitMs: null };
}
