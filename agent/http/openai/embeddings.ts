/** `POST /v1/embeddings`: texts in, unit vectors out, as numbers or as base64 of little-endian 32-bit floats. */
import { endianness } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AgentError } from '../../errors.ts';
import type { Answer } from '../../ports.ts';
import type { AskRequest, Reply } from '../../service.ts';
import type { ExpertId, Failure } from '../../types.ts';
import { type Dispatch, hangUpSignal, replyHeaders } from '../dispatch.ts';
import { FieldError } from '../errors.ts';
import { EMBEDDING_FIELDS, isObject, needModel, screen } from '../fields.ts';
import { KeepAlive, keepAliveMs } from '../keepalive.ts';
import { bodyCheck } from '../validate.ts';

/** As many texts as OpenAI takes at once. */
const MAX_TEXTS = 2_048;
const Text = Type.String({ minLength: 1 });

export const EmbeddingsSchema = Type.Object(
  {
    model: Type.String(),
    input: Type.Union([Text, Type.Array(Text, { minItems: 1, maxItems: MAX_TEXTS })]),
    encoding_format: Type.Optional(Type.Union([Type.Literal('float'), Type.Literal('base64')])),
    keep_alive: Type.Optional(KeepAlive),
  },
  { additionalProperties: false },
);

const checkEmbeddings = bodyCheck(EmbeddingsSchema);
const KNOWN = Object.keys(EmbeddingsSchema.properties);

export function addEmbeddings(app: FastifyInstance, dispatch: Dispatch): void {
  app.post('/v1/embeddings', async (request, reply) => {
    const { model, input, encoding_format, keep_alive } = checkEmbeddings(screenBody(request.body));
    const call = {
      model: dispatch.modelOf(model),
      texts: typeof input === 'string' ? [input] : input,
      keepAliveMs: keepAliveMs(keep_alive),
    };
    const { answered, answer } = await embed(dispatch, call, hangUpSignal(reply));
    const encode = encoding_format === 'base64' ? toBase64 : (vector: Float32Array) => Array.from(vector);
    const data = answer.vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: encode(vector),
    }));
    const usage = { prompt_tokens: answer.inputTokens, total_tokens: answer.inputTokens };
    return reply
      .headers(replyHeaders(answered))
      .send({ object: 'list', data, model: answered.expert, usage });
  });
}

/** Texts for an expert, or for the one that there is. */
export interface EmbeddingsCall {
  readonly model: ExpertId | null;
  readonly texts: readonly string[];
  readonly keepAliveMs: number | null;
}

/** Rejects with `model_not_found` where no expert makes vectors. */
export async function embed(
  dispatch: Dispatch,
  { model, texts, keepAliveMs }: EmbeddingsCall,
  signal: AbortSignal,
): Promise<{ readonly answered: Reply; readonly answer: Extract<Answer, { kind: 'embeddings' }> }> {
  const ask: AskRequest['ask'] = { kind: 'embeddings', texts };
  const asked: AskRequest = { want: 'embeddings', model, ask, waitMs: null, keepAliveMs };
  const blame = ({ code }: Failure) => (code === 'context_overflow' ? 'input' : null);
  const answered = await dispatch.ask(asked, {}, signal, blame);
  const { answer } = answered;
  if (answer?.kind === 'embeddings') return { answered, answer };
  throw new AgentError('model_not_found', 'no expert for embeddings is installed', {
    hint: 'Install one whose task is feature-extraction.',
  });
}

function screenBody(body: unknown): unknown {
  if (!isObject(body)) return body;
  const kept = screen(body, KNOWN, EMBEDDING_FIELDS);
  needModel(kept);
  const { input } = kept;
  const first: unknown = Array.isArray(input) ? input[0] : null;
  if (typeof first === 'number' || Array.isArray(first)) {
    const hint = 'Send text: each expert has a tokenizer of its own.';
    throw new FieldError('unsupported_field', 'input', '"input" as arrays of tokens is not supported', hint);
  }
  return kept;
}

/** The encoding is little-endian; so are all machines that expertd runs on but for a few that swap here. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
  return endianness() === 'LE' ? bytes.toString('base64') : Buffer.from(bytes).swap32().toString('base64');
}
