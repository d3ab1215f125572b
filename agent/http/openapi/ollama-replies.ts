/** What Ollama's API answers. */
import { Type } from 'typebox';
import { Chance, Count, LoadingSchema, Note, Text, Vector } from './reply-parts.ts';

const Nanoseconds = Type.Integer({ minimum: 0, description: 'ns; left out where it is 0' });
const Rfc3339 = Type.String({ description: 'RFC 3339' });

const End = {
  model: Text,
  created_at: Rfc3339,
  done: Type.Literal(true),
  done_reason: Type.Union(['stop', 'length', 'load', 'unload'].map((reason) => Type.Literal(reason))),
  total_duration: Type.Optional(Nanoseconds),
  load_duration: Type.Optional(Nanoseconds),
  prompt_eval_count: Type.Optional(Count),
  prompt_eval_duration: Type.Optional(Nanoseconds),
  eval_count: Type.Optional(Count),
  eval_duration: Type.Optional(Nanoseconds),
  logprobs: Type.Optional(
    Type.Array(Type.Object({ ...Chance, top_logprobs: Type.Optional(Type.Array(Type.Object(Chance))) })),
  ),
  expertd: Type.Optional(Note),
};

const Details = Type.Object({
  parent_model: Type.String({ description: 'The language model that speaks for an assistant' }),
  format: Text,
  family: Type.String({ description: 'The task' }),
  families: Type.Array(Text),
  parameter_size: Text,
  quantization_level: Text,
});

export const OllamaModelsSchema = Type.Object({
  models: Type.Array(
    Type.Object({
      name: Text,
      model: Text,
      size: Type.Integer({ minimum: 0, description: 'Bytes: of its files, or what it takes in memory' }),
      digest: Text,
      details: Details,
      modified_at: Type.Optional(Rfc3339),
      expires_at: Type.Optional(
        Type.String({ description: 'When it leaves memory if nobody asks for it again' }),
      ),
      size_vram: Type.Optional(Type.Literal(0)),
      context_length: Type.Optional(Count),
    }),
  ),
});

export const OllamaModelSchema = Type.Object({
  modelfile: Text,
  parameters: Text,
  template: Text,
  license: Text,
  details: Details,
  model_info: Type.Record(Text, Type.Unknown()),
  capabilities: Type.Array(Text),
  modified_at: Rfc3339,
});

export const OllamaErrorSchema = Type.Object({
  error: Text,
  code: Text,
  decision: Type.Optional(Type.Integer()),
  loading: Type.Optional(LoadingSchema),
});

export const OllamaGeneratedSchema = Type.Object({ ...End, response: Text });
export const OllamaChatSchema = Type.Object({
  ...End,
  message: Type.Object({ role: Type.Literal('assistant'), content: Text }),
});

export const OllamaEmbeddingsSchema = Type.Object({
  model: Text,
  embeddings: Type.Array(Vector),
  total_duration: Type.Optional(Nanoseconds),
  load_duration: Type.Optional(Nanoseconds),
  prompt_eval_count: Type.Optional(Count),
});
