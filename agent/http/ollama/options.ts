/** Ollama's `options` and `format`, and what they are to a language model. */
import { type Static, Type } from 'typebox';
import type { Generation, TextFormat } from '../../generation.ts';

const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
const Stop = Type.String({ minLength: 1, maxLength: 256 });
const Penalty = Type.Number({ minimum: -2, maximum: 2 });
/** As many alternatives as a token can be told with. */
const MAX_ALTERNATIVES = 20;

export const OptionsSchema = Type.Object(
  {
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    top_k: Type.Optional(
      Type.Integer({ minimum: -1, maximum: 1_048_576, description: '0 and less are all.' }),
    ),
    top_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    seed: Type.Optional(Type.Integer({ minimum: -1, maximum: MAX_INTEGER, description: '-1 is any.' })),
    num_predict: Type.Optional(
      Type.Integer({
        minimum: -2,
        maximum: MAX_INTEGER,
        description: 'Less than 0: what the context leaves.',
      }),
    ),
    stop: Type.Optional(Type.Union([Stop, Type.Array(Stop, { maxItems: 16 })])),
    repeat_penalty: Type.Optional(Type.Number({ minimum: 0.01, maximum: 100 })),
    presence_penalty: Type.Optional(Penalty),
    frequency_penalty: Type.Optional(Penalty),
  },
  { additionalProperties: false },
);

export const FormatSchema = Type.Union(
  [Type.Literal(''), Type.Literal('json'), Type.Record(Type.String(), Type.Unknown())],
  { description: '"json", or a JSON Schema' },
);

/** What requests to generate and to chat say in common, beside their options. */
export const TEXT_PROPERTIES = {
  format: Type.Optional(FormatSchema),
  options: Type.Optional(OptionsSchema),
  logprobs: Type.Optional(Type.Boolean()),
  top_logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_ALTERNATIVES })),
  truncate: Type.Optional(
    Type.Boolean({
      description: 'Cuts the oldest part of a prompt that is longer than the context. Default: true.',
    }),
  ),
} as const;

const TextBody = Type.Object(TEXT_PROPERTIES);

/** A prompt that is too long is cut unless that is forbidden: Ollama's clients send whole conversations. */
export function generationOf(body: Static<typeof TextBody>): Generation {
  const { format, options = {}, logprobs = false, top_logprobs = 0, truncate = true } = body;
  const { num_predict = -1, seed = -1, stop = [], top_k = null } = options;
  return {
    maxTokens: num_predict < 0 ? null : num_predict,
    temperature: options.temperature ?? null,
    topP: options.top_p ?? null,
    topK: top_k === null ? null : Math.max(0, top_k),
    minP: options.min_p ?? null,
    frequencyPenalty: options.frequency_penalty ?? null,
    presencePenalty: options.presence_penalty ?? null,
    repeatPenalty: options.repeat_penalty ?? null,
    seed: seed < 0 ? null : seed,
    stop: typeof stop === 'string' ? [stop] : stop,
    logitBias: [],
    logprobs: logprobs ? top_logprobs : null,
    format: formatOf(format),
    overflow: truncate ? 'truncate' : 'refuse',
  };
}

function formatOf(format: Static<typeof FormatSchema> | undefined): TextFormat {
  if (format === undefined || format === '') return { kind: 'text' };
  return format === 'json'
    ? { kind: 'json-object' }
    : { kind: 'json-schema', schema: JSON.stringify(format) };
}
