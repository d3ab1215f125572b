/** `POST /api/embed`, and `POST /api/embeddings` before it: texts in, unit vectors out. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { type Dispatch, hangUpSignal, replyHeaders } from '../dispatch.ts';
import { type FieldTable, isObject, type Json, needModel, screen } from '../fields.ts';
import { KeepAlive, keepAliveMs } from '../keepalive.ts';
import { embed } from '../openai/embeddings.ts';
import { ANY_TYPE } from '../routes.ts';
import { bodyCheck } from '../validate.ts';
import { EMBED_FIELDS } from './fields.ts';
import { durationsOf } from './lines.ts';
import { ollamaModel } from './names.ts';
import { preload } from './text.ts';

const MAX_TEXTS = 2_048;
const strict = { additionalProperties: false } as const;
const LOADS = 'Without it the expert is loaded.';

export const EmbedSchema = Type.Object(
  {
    model: Type.String(),
    input: Type.Optional(
      Type.Union([Type.String(), Type.Array(Type.String({ minLength: 1 }), { maxItems: MAX_TEXTS })], {
        description: LOADS,
      }),
    ),
    keep_alive: Type.Optional(KeepAlive),
  },
  strict,
);

export const EmbeddingsSchema = Type.Object(
  {
    model: Type.String(),
    prompt: Type.Optional(Type.String({ description: LOADS })),
    keep_alive: Type.Optional(KeepAlive),
  },
  strict,
);

const checkEmbed = bodyCheck(EmbedSchema);
const checkEmbeddings = bodyCheck(EmbeddingsSchema);

export function addOllamaEmbed(app: FastifyInstance, dispatch: Dispatch): void {
  app.post('/api/embed', ANY_TYPE, async (request, reply) => {
    const { model, input = '', keep_alive } = checkEmbed(screenBody(request.body, EmbedSchema.properties));
    const sinceMs = performance.now();
    const texts = [input].flat().filter((text) => text !== '');
    const call = { model: ollamaModel(dispatch, model), texts, keepAliveMs: keepAliveMs(keep_alive) };
    const signal = hangUpSignal(reply);
    if (texts.length === 0) {
      if (call.model !== null) await preload(dispatch, call.model, call.keepAliveMs, signal);
      return { model, embeddings: [] };
    }
    const { answered, answer } = await embed(dispatch, call, signal);
    const embeddings = answer.vectors.map((vector) => Array.from(vector));
    const durations = durationsOf(answered, performance.now() - sinceMs);
    return reply
      .headers(replyHeaders(answered))
      .send({ model: call.model === null ? answered.expert : model, embeddings, ...durations });
  });
  app.post('/api/embeddings', ANY_TYPE, async (request, reply) => {
    const body = checkEmbeddings(screenBody(request.body, EmbeddingsSchema.properties));
    const { model, prompt = '', keep_alive } = body;
    const call = {
      model: ollamaModel(dispatch, model),
      texts: [prompt],
      keepAliveMs: keepAliveMs(keep_alive),
    };
    const signal = hangUpSignal(reply);
    if (prompt === '') {
      if (call.model !== null) await preload(dispatch, call.model, call.keepAliveMs, signal);
      return { embedding: [] };
    }
    const { answered, answer } = await embed(dispatch, call, signal);
    return reply.headers(replyHeaders(answered)).send({ embedding: Array.from(answer.vectors[0] ?? []) });
  });
}

function screenBody(body: unknown, known: Json, table: FieldTable = EMBED_FIELDS): unknown {
  if (!isObject(body)) return body;
  const kept = screen(body, Object.keys(known), table);
  needModel(kept);
  return kept;
}
