/** What requests of the Open Inference Protocol may hold, and the parameters of its dialects that do nothing here. */
import { type Static, Type } from 'typebox';
import { DATATYPES, type Datatype } from '../../datatypes.ts';
import type { FieldTable } from '../fields.ts';

const strict = { additionalProperties: false } as const;
/** More dimensions than any operator takes. */
const MAX_DIMENSIONS = 64;
const MAX_TENSORS = 1_000;
const Name = Type.String({ minLength: 1, maxLength: 1_000 });
const DatatypeSchema = Type.Unsafe<Datatype>(Type.Union(DATATYPES.map((name) => Type.Literal(name))));

const Input = Type.Object(
  {
    name: Name,
    datatype: DatatypeSchema,
    shape: Type.Array(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), {
      maxItems: MAX_DIMENSIONS,
    }),
    parameters: Type.Optional(
      Type.Object(
        {
          binary_data_size: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: Number.MAX_SAFE_INTEGER,
              description: 'Bytes of this tensor behind the JSON, instead of "data".',
            }),
          ),
        },
        strict,
      ),
    ),
    data: Type.Optional(
      Type.Array(Type.Unknown(), {
        description: 'Elements row by row, flat or nested as the shape is. BYTES are strings of UTF-8.',
      }),
    ),
  },
  strict,
);

const Output = Type.Object(
  {
    name: Name,
    parameters: Type.Optional(Type.Object({ binary_data: Type.Optional(Type.Boolean()) }, strict)),
  },
  strict,
);

export const InferSchema = Type.Object(
  {
    id: Type.Optional(Type.String({ maxLength: 1_000, description: 'Comes back in the reply.' })),
    parameters: Type.Optional(
      Type.Object(
        { binary_data_output: Type.Optional(Type.Boolean({ description: 'All outputs as bytes.' })) },
        strict,
      ),
    ),
    inputs: Type.Array(Input, { minItems: 1, maxItems: MAX_TENSORS }),
    outputs: Type.Optional(
      Type.Array(Output, { maxItems: MAX_TENSORS, description: 'Left out or empty: all outputs.' }),
    ),
  },
  strict,
);

export type InferBody = Static<typeof InferSchema>;
export type InferInput = InferBody['inputs'][number];

export const IndexSchema = Type.Object(
  { ready: Type.Optional(Type.Boolean({ description: 'Only models that are in memory.' })) },
  strict,
);

/** `load` and `unload` of Triton's model repository. */
export const RepositorySchema = Type.Object({ parameters: Type.Optional(Type.Object({}, strict)) }, strict);

const describes = { accepts: 'any', why: 'describes the call' } as const;
const NO_SEQUENCES = { accepts: [], why: 'experts keep nothing from one request to the next' } as const;
const NO_SHARED_MEMORY = { accepts: [], why: 'there is no shared memory with clients' } as const;
const SHARED_MEMORY = {
  shared_memory_region: NO_SHARED_MEMORY,
  shared_memory_offset: NO_SHARED_MEMORY,
  shared_memory_byte_size: NO_SHARED_MEMORY,
} as const;

export const REQUEST_PARAMETERS: FieldTable = {
  content_type: describes,
  headers: describes,
  priority: { accepts: 'any', why: 'requests are served in the order in which they come' },
  timeout: { accepts: [0], why: 'the settings under "limits" say how long a request may take' },
  sequence_id: { accepts: [0, ''], why: NO_SEQUENCES.why },
  sequence_start: { accepts: [false], why: NO_SEQUENCES.why },
  sequence_end: { accepts: [false], why: NO_SEQUENCES.why },
};

export const INPUT_PARAMETERS: FieldTable = { content_type: describes, ...SHARED_MEMORY };

export const OUTPUT_PARAMETERS: FieldTable = {
  content_type: describes,
  classification: { accepts: [0], why: 'outputs are given as they are' },
  ...SHARED_MEMORY,
};

export const LOAD_PARAMETERS: FieldTable = {
  config: { accepts: [], why: 'what an expert is stands in its expert.json' },
};

export const UNLOAD_PARAMETERS: FieldTable = {
  unload_dependents: { accepts: 'any', why: 'no expert is made of others' },
};
