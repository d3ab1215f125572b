/** `POST /v1/chat/completions` and `POST /v1/completions`: ask, and put the answer into words. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { AskRequest, Reply } from '../../service.ts';
import { blameOf, checkFormat, contentOf, type Wanted } from '../content.ts';
import { type Dispatch, hangUpSignal, replyHeaders } from '../dispatch.ts';
import type { Problem } from '../errors.ts';
import { sendStream } from '../streaming.ts';
import { type GenerationCall, parseChat } from './chatrequest.ts';
import { Chunks, completion, type Dialect } from './completion.ts';
import { chatLogprobs, TextLogprobs } from './logprobs.ts';
import { parseText } from './textrequest.ts';

type OnLateProblem = (problem: Problem) => void;

export function addChat(app: FastifyInstance, dispatch: Dispatch, onLateProblem: OnLateProblem): void {
  app.post('/v1/chat/completions', (request, reply) => {
    const call = parseChat(request.body);
    const dialect = chatDialect(call.ask.generation.logprobs !== null);
    return answer({ call, dialect, promptField: 'messages', dispatch, reply, onLateProblem });
  });
}

export function addText(app: FastifyInstance, dispatch: Dispatch, onLateProblem: OnLateProblem): void {
  app.post('/v1/completions', (request, reply) => {
    const { echo, ...call } = parseText(request.body);
    const dialect = textDialect(echo, call.ask.generation.logprobs !== null);
    return answer({ call, dialect, promptField: 'prompt', dispatch, reply, onLateProblem });
  });
}

interface Answering {
  readonly call: GenerationCall;
  readonly dialect: Dialect;
  readonly promptField: string;
  readonly dispatch: Dispatch;
  readonly reply: FastifyReply;
  readonly onLateProblem: OnLateProblem;
}

async function answer(answering: Answering): Promise<FastifyReply> {
  const { call, dialect, promptField, dispatch, reply, onLateProblem } = answering;
  const { ask, stream, includeUsage } = call;
  const model = dispatch.modelOf(call.model);
  const asked: AskRequest = { want: 'chat', model, ask, waitMs: null, keepAliveMs: call.keepAliveMs };
  const wanted: Wanted = { format: ask.generation.format, formatField: 'response_format', promptField };
  checkFormat(dispatch, model, wanted);
  const blame = blameOf(wanted);
  const wordsOf = (answered: Reply): string => contentOf(dispatch, wanted, answered);
  if (stream) {
    const framing = (who: () => string) => new Chunks({ dialect, model: who, includeUsage });
    return sendStream({ dispatch, reply, asked, blame, framing, contentOf: wordsOf, onLateProblem });
  }
  const answered = await dispatch.ask(asked, {}, hangUpSignal(reply), blame);
  return reply.headers(replyHeaders(answered)).send(completion(dialect, answered, wordsOf(answered)));
}

function chatDialect(wantsLogprobs: boolean): Dialect {
  return {
    prefix: 'chatcmpl',
    whole: 'chat.completion',
    chunk: 'chat.completion.chunk',
    opening: () => ({ delta: { role: 'assistant', content: '' } }),
    textOf: (content) => ({ message: { role: 'assistant', content, refusal: null } }),
    deltaOf: (content) => ({ delta: content === '' ? {} : { content } }),
    logprobsOf: (tokens) => (wantsLogprobs ? chatLogprobs(tokens) : null),
  };
}

/** `echo` is the prompt where it comes before the answer. */
function textDialect(echo: string, wantsLogprobs: boolean): Dialect {
  const logprobs = new TextLogprobs();
  return {
    prefix: 'cmpl',
    whole: 'text_completion',
    chunk: 'text_completion',
    opening: () => (echo === '' ? null : { text: echo }),
    textOf: (text) => ({ text: echo + text }),
    deltaOf: (text) => ({ text }),
    logprobsOf: (tokens) => (wantsLogprobs ? logprobs.next(tokens) : null),
  };
}
