/**
 * How OpenAI's requests say what to generate, and how programs that speak its language do (llama.cpp, vLLM). Experts that
 * generate nothing take the same fields: they have no effect there, and clients send them always.
 */
import { type Static, Type } from 'typebox';
import type { Generation, TextFormat } from '../../generation.ts';
import { FieldError } from '../errors.ts';
import { isObject, screen } from '../fields.ts';
import { KeepAlive } from '../keepalive.ts';

const strict = { additionalProperties: false } as const;
const Stop = Type.String({ minLength: 1, maxLength: 256 });
const Penalty = Type.Number({ minimum: -2, maximum: 2 });
const RepeatPenalty = Type.Number({ minimum: 0.01, maximum: 100 });
const Schema = Type.Record(Type.String(), Type.Unknown(), { description: 'A JSON Schema' });
/** Whatever does not fit into the context is cut there. */
export const TokenLimit = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
/** As many alternatives as a token can be told with. */
export const MAX_ALTERNATIVES = 20;

const ResponseFormat = Type.Object(
  {
    type: Type.Union(['text', 'json_object', 'json_schema'].map((type) => Type.Literal(type))),
    json_schema: Type.Optional(
      Type.Object(
        {
          name: Type.Optional(Type.String({ maxLength: 64 })),
          description: Type.Optional(Type.String()),
          strict: Type.Optional(Type.Boolean({ description: 'A schema is kept in either case.' })),
          schema: Schema,
        },
        strict,
      ),
    ),
    schema: Type.Optional(Schema),
  },
  strict,
);

/** What requests for a chat and for a text have in common. */
export const GENERATION_PROPERTIES = {
  max_tokens: Type.Optional(TokenLimit),
  temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
  top_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  top_k: Type.Optional(Type.Integer({ minimum: -1, maximum: 1_048_576, description: '0 and -1 are all.' })),
  min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  frequency_penalty: Type.Optional(Penalty),
  presence_penalty: Type.Optional(Penalty),
  repeat_penalty: Type.Optional(RepeatPenalty),
  repetition_penalty: Type.Optional(RepeatPenalty),
  seed: Type.Optional(Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER })),
  stop: Type.Optional(Type.Union([Stop, Type.Array(Stop, { maxItems: 4 })])),
  logit_bias: Type.Optional(
    Type.Record(Type.String(), Type.Number({ minimum: -100, maximum: 100 }), {
      description: 'By the number of a token in the vocabulary of the expert.',
    }),
  ),
  response_format: Type.Optional(ResponseFormat),
  keep_alive: Type.Optional(KeepAlive),
  truncation: Type.Optional(
    Type.Union([Type.Literal('auto'), Type.Literal('disabled')], {
      description: 'auto cuts the oldest part of a prompt that is longer than the context.',
    }),
  ),
  truncate_prompt_tokens: Type.Optional(Type.Literal(-1, { description: 'As truncation: "auto".' })),
} as const;

const GenerationSchema = Type.Object(GENERATION_PROPERTIES);
export type GenerationBody = Static<typeof GenerationSchema>;

/** Throws a FieldError that names what is wrong beyond the schema. */
export function generationOf(
  body: GenerationBody,
  limit: number | undefined,
  logprobs: number | null,
): Generation {
  const { stop = [], top_k = null } = body;
  return {
    maxTokens: limit ?? body.max_tokens ?? null,
    temperature: body.temperature ?? null,
    topP: body.top_p ?? null,
    topK: top_k === null ? null : Math.max(0, top_k),
    minP: body.min_p ?? null,
    frequencyPenalty: body.frequency_penalty ?? null,
    presencePenalty: body.presence_penalty ?? null,
    repeatPenalty: body.repeat_penalty ?? body.repetition_penalty ?? null,
    seed: body.seed ?? null,
    stop: typeof stop === 'string' ? [stop] : stop,
    logitBias: Object.entries(body.logit_bias ?? {}).map(([token, bias]) => [tokenOf(token), bias] as const),
    logprobs,
    format: formatOf(body.response_format),
    overflow: body.truncation === 'auto' || body.truncate_prompt_tokens === -1 ? 'truncate' : 'refuse',
  };
}

/** Without the nulls that clients send for what they do not say. */
export function screenFormat(format: unknown): unknown {
  if (!isObject(format)) return format;
  const kept = screen(format, Object.keys(ResponseFormat.properties), {}, 'response_format.');
  const inner = kept['json_schema'];
  if (!isObject(inner)) return kept;
  const known = ['name', 'description', 'strict', 'schema'];
  return { ...kept, json_schema: screen(inner, known, {}, 'response_format.json_schema.') };
}

function formatOf(format: GenerationBody['response_format']): TextFormat {
  if (format === undefined) return { kind: 'text' };
  const { type, json_schema, schema } = format;
  if (json_schema !== undefined && type !== 'json_schema') throw misplaced('json_schema', 'json_schema');
  // llama.cpp's way to give a schema.
  if (schema !== undefined && type !== 'json_object') throw misplaced('schema', 'json_object');
  if (type === 'text') return { kind: 'text' };
  const asked = type === 'json_schema' ? json_schema?.schema : schema;
  if (asked !== undefined) return { kind: 'json-schema', schema: JSON.stringify(asked) };
  if (type === 'json_object') return { kind: 'json-object' };
  const field = 'response_format.json_schema';
  throw new FieldError('bad_input', field, `"${field}" is missing`, 'It holds "name" and "schema".');
}

function misplaced(field: string, type: string): FieldError {
  const path = `response_format.${field}`;
  return new FieldError('bad_input', path, `"${path}" belongs to "type": "${type}"`);
}

function tokenOf(token: string): number {
  if (/^\d{1,9}$/.test(token)) return Number(token);
  const field = `logit_bias.${token.slice(0, 60)}`;
  const hint = 'Keys are numbers of tokens in the vocabulary of the expert, as "50256".';
  throw new FieldError('bad_input', field, `"${field}" is no number of a token`, hint);
}
