/** `POST /api/generate` and `POST /api/chat`, which also load and unload. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { chatAbout } from '../../asks.ts';
import type { AskRequest, Reply } from '../../service.ts';
import type { ExpertId } from '../../types.ts';
import { blameOf, checkFormat, contentOf, type Wanted } from '../content.ts';
import { type Dispatch, hangUpSignal, replyHeaders } from '../dispatch.ts';
import type { Problem } from '../errors.ts';
import { ANY_TYPE } from '../routes.ts';
import { sendStream } from '../streaming.ts';
import { headOf, Lines } from './lines.ts';
import { ollamaModel } from './names.ts';
import { type OllamaCall, parseChat, parseGenerate } from './request.ts';

type OnLateProblem = (problem: Problem) => void;

/** How one of the two APIs reads and writes. */
interface Api {
  readonly path: string;
  readonly promptField: string;
  readonly parse: (body: unknown) => OllamaCall;
  readonly textOf: (text: string) => object;
}

const APIS: readonly Api[] = [
  {
    path: '/api/generate',
    promptField: 'prompt',
    parse: parseGenerate,
    textOf: (response) => ({ response }),
  },
  {
    path: '/api/chat',
    promptField: 'messages',
    parse: parseChat,
    textOf: (content) => ({ message: { role: 'assistant', content } }),
  },
];

export function addOllamaText(
  app: FastifyInstance,
  dispatch: Dispatch,
  onLateProblem: (path: string) => OnLateProblem,
): void {
  for (const api of APIS) {
    app.post(api.path, ANY_TYPE, (request, reply) => {
      const call = api.parse(request.body);
      const model = ollamaModel(dispatch, call.model);
      if (call.ask === null) return keepOrLetGo(dispatch, api, { ...call, id: model }, reply);
      const asked: AskRequest = {
        want: 'chat',
        model,
        ask: call.ask,
        waitMs: null,
        keepAliveMs: call.keepAliveMs,
      };
      return answer({ call, asked, api, dispatch, reply, onLateProblem: onLateProblem(api.path) });
    });
  }
}

interface Answering {
  readonly call: OllamaCall;
  readonly asked: AskRequest;
  readonly api: Api;
  readonly dispatch: Dispatch;
  readonly reply: FastifyReply;
  readonly onLateProblem: OnLateProblem;
}

async function answer({
  call,
  asked,
  api,
  dispatch,
  reply,
  onLateProblem,
}: Answering): Promise<FastifyReply> {
  const generation = call.ask?.generation;
  const { textOf, promptField } = api;
  const wanted: Wanted = {
    format: generation?.format ?? { kind: 'text' },
    formatField: 'format',
    promptField,
  };
  checkFormat(dispatch, asked.model, wanted);
  const sinceMs = performance.now();
  const wantsLogprobs = (generation?.logprobs ?? null) !== null;
  // A named model is called as the client called it; who answers for `auto` is worth telling.
  const linesFor = (who: () => string): Lines => {
    const model = asked.model === null ? who : () => call.model;
    return new Lines({ model, textOf, wantsLogprobs, sinceMs });
  };
  const blame = blameOf(wanted);
  const wordsOf = (answered: Reply): string => contentOf(dispatch, wanted, answered);
  if (call.stream)
    return sendStream({
      dispatch,
      reply,
      asked,
      blame,
      framing: linesFor,
      contentOf: wordsOf,
      onLateProblem,
    });
  const answered = await dispatch.ask(asked, {}, hangUpSignal(reply), blame);
  const lines = linesFor(() => answered.expert ?? call.model);
  return reply.headers(replyHeaders(answered)).send(lines.whole(answered, wordsOf(answered)));
}

/** A request without a question: the expert comes into memory, or leaves it. `auto` has nothing to load. */
async function keepOrLetGo(
  dispatch: Dispatch,
  { textOf }: Api,
  { id, model, keepAliveMs }: OllamaCall & { readonly id: ExpertId | null },
  reply: FastifyReply,
): Promise<object> {
  const leaves = keepAliveMs === 0;
  if (id !== null && leaves) await dispatch.service.command('unload', id);
  if (id !== null && !leaves) await preload(dispatch, id, keepAliveMs, hangUpSignal(reply));
  return { ...headOf(model), ...textOf(''), done: true, done_reason: leaves ? 'unload' : 'load' };
}

/** Resolves once the expert is in memory. */
export async function preload(
  dispatch: Dispatch,
  model: ExpertId,
  keepAliveMs: number | null,
  signal: AbortSignal,
): Promise<void> {
  await dispatch.ask({ want: 'load', model, ask: chatAbout(''), waitMs: null, keepAliveMs }, {}, signal);
}
