/** What OpenAI's API answers. */
import { Type } from 'typebox';
import { Chance, Count, Note, nullable, Text, Vector } from './reply-parts.ts';

export const ModelSchema = Type.Object({
  id: Text,
  object: Type.Literal('model'),
  created: Type.Integer({ description: 'Unix time in s' }),
  owned_by: Text,
  expertd: Type.Object({ summary: nullable(Text) }),
});

export const ModelsSchema = Type.Object({ object: Type.Literal('list'), data: Type.Array(ModelSchema) });

const FinishReason = Type.Union([Type.Literal('stop'), Type.Literal('length')]);
const Usage = Type.Object({
  prompt_tokens: Count,
  completion_tokens: Count,
  total_tokens: Count,
  prompt_tokens_details: Type.Object({
    cached_tokens: Type.Integer({ minimum: 0, description: 'Of the prompt, what had been read before.' }),
  }),
});

export const CompletionSchema = Type.Object({
  id: Text,
  object: Type.Literal('chat.completion'),
  created: Type.Integer({ description: 'Unix time in s' }),
  model: Type.String({ description: 'The expert that answered; "auto" where none is confident.' }),
  choices: Type.Array(
    Type.Object({
      index: Count,
      message: Type.Object({ role: Type.Literal('assistant'), content: Text }),
      logprobs: nullable(
        Type.Object({
          content: Type.Array(Type.Object({ ...Chance, top_logprobs: Type.Array(Type.Object(Chance)) })),
        }),
      ),
      finish_reason: FinishReason,
    }),
  ),
  usage: Usage,
  expertd: Note,
});

export const TextCompletionSchema = Type.Object({
  id: Text,
  object: Type.Literal('text_completion'),
  created: Type.Integer({ description: 'Unix time in s' }),
  model: Text,
  choices: Type.Array(
    Type.Object({
      index: Count,
      text: Text,
      logprobs: nullable(
        Type.Object({
          tokens: Type.Array(Text),
          token_logprobs: Type.Array(Type.Number()),
          top_logprobs: Type.Array(Type.Record(Text, Type.Number())),
          text_offset: Type.Array(Type.Integer({ description: 'In characters' })),
        }),
      ),
      finish_reason: FinishReason,
    }),
  ),
  usage: Usage,
  expertd: Note,
});

export const VectorsSchema = Type.Object({
  object: Type.Literal('list'),
  model: Text,
  data: Type.Array(
    Type.Object({
      object: Type.Literal('embedding'),
      index: Count,
      embedding: Type.Union([Vector, Type.String({ description: 'base64 of little-endian 32-bit floats' })]),
    }),
  ),
  usage: Type.Object({ prompt_tokens: Count, total_tokens: Count }),
});
