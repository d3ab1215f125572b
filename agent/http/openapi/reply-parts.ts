/** What replies of several APIs have in common. */
import { Type } from 'typebox';

export const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);
export const Text = Type.String();
export const Count = Type.Integer({ minimum: 0 });
export const Milliseconds = Type.Record(Text, Type.Number({ minimum: 0 }), {
  description: 'ms of each stage',
});
export const Vector = Type.Array(Type.Number());

export const LoadingSchema = Type.Object({
  state: Type.Union([Type.Literal('fetching'), Type.Literal('loading'), Type.Literal('waiting')]),
  progress: nullable(Type.Number({ minimum: 0, maximum: 1 })),
  eta_seconds: nullable(Type.Number({ minimum: 0 })),
});

/** Of a token. */
export const Chance = { token: Text, logprob: Type.Number({ maximum: 0 }), bytes: Type.Array(Count) };

export const Note = Type.Object(
  {
    decision: Type.Integer(),
    expert: nullable(Text),
    confidence: nullable(Type.Number({ minimum: 0, maximum: 1 })),
    residency: nullable(Text),
    stages: Milliseconds,
    degraded: Type.Optional(Type.String({ description: 'In what way the answer is less than it could be.' })),
    sources: Type.Optional(
      Type.Array(
        Type.Object({
          title: Text,
          text: Text,
          source: Text,
          score: Type.Number({ minimum: 0, maximum: 1 }),
        }),
        { description: 'What a language model spoke from, for an assistant.' },
      ),
    ),
  },
  { description: 'Who answered, and why: also in the headers x-expertd-*.' },
);
