/**
 * `expert.json`: what makes a folder an expert. The schema below is the only source: it validates, it types, and
 * `scripts/schema.ts` publishes it as `schema/expert.schema.json`.
 *
 * A package is the folder of a Hugging Face model repository plus this one file. Every other file that the
 * expert reads is listed in `files` with its size and sha256; a file that is not listed is never opened.
 */
import { type Static, Type } from 'typebox';

const strict = { additionalProperties: false } as const;
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'sha256 in lower-case hex' });
/** A path inside the package: no leading slash, no `..`, no back-slash. */
const InnerPath = Type.String({ pattern: '^(?!/)(?!.*(^|/)\\.\\.?(/|$))[^\\\\\\0]+$', maxLength: 512 });

export const ExpertIdSchema = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$' });

export const TaskSchema = Type.Union([
  Type.Literal('feature-extraction'),
  Type.Literal('text-classification'),
  Type.Literal('retrieval'),
  Type.Literal('text-generation'),
  Type.Literal('tensor'),
  Type.Literal('token-classification'),
]);

const WordPieceTokenizer = Type.Object(
  {
    kind: Type.Literal('huggingface'),
    path: InnerPath,
    config: InnerPath,
    maxTokens: Type.Integer({ minimum: 8, maximum: 1_048_576 }),
  },
  strict,
);

/** fastText's input: a dictionary of words, and hashed character n-grams of the words that are not in it. */
const FastTextTokenizer = Type.Object(
  {
    kind: Type.Literal('fasttext'),
    dictionary: InnerPath,
    minChars: Type.Integer({ minimum: 1, maximum: 16 }),
    maxChars: Type.Integer({ minimum: 1, maximum: 16 }),
    buckets: Type.Integer({ minimum: 1 }),
    maxTokens: Type.Integer({ minimum: 1, maximum: 1_048_576 }),
  },
  strict,
);

/** Counted pairs of neighbouring bytes, for source code: see `runtime/tokenizers/byte-pairs.ts`. */
const BytePairTokenizer = Type.Object(
  {
    kind: Type.Literal('byte-pairs'),
    maxPairs: Type.Integer({ minimum: 1, maximum: 1_048_576 }),
    leastPairs: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_048_576 })),
  },
  strict,
);

/** Counted hashes of words and of pairs of words: see `runtime/tokenizers/hashed-words.ts`. */
const HashedWordTokenizer = Type.Object(
  {
    kind: Type.Literal('hashed-words'),
    bits: Type.Integer({ minimum: 1, maximum: 24 }),
    maxWords: Type.Integer({ minimum: 1, maximum: 1_048_576 }),
  },
  strict,
);

/** Single characters, read in overlapping windows: see `runtime/tasks/rewriting-alphabet.ts`. */
const CharacterTokenizer = Type.Object(
  {
    kind: Type.Literal('characters'),
    path: InnerPath,
    maxTokens: Type.Integer({ minimum: 16, maximum: 65_536, description: 'Characters of one window' }),
    overlap: Type.Integer({ minimum: 0, maximum: 4_096, description: 'Characters read beyond either edge' }),
  },
  strict,
);

const Rule = Type.Object(
  {
    any: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
    all: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
    not: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
    code: Type.Optional(
      Type.Boolean({ description: 'Whether what the request is about looks like source code.' }),
    ),
  },
  { ...strict, minProperties: 1, description: 'Phrases of one to three words; matched on whole words.' },
);

export const ManifestSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    schema: Type.Literal(1),
    id: ExpertIdSchema,
    version: Type.String({ pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$' }),
    task: TaskSchema,
    summary: Type.String({ minLength: 1, maxLength: 300 }),
    license: Type.String({ minLength: 1 }),
    source: Type.String({ minLength: 1 }),
    runtime: Type.Literal('onnx'),
    model: Type.Object(
      {
        path: InnerPath,
        precision: Type.String(),
        /** The graph's inputs and outputs by name, as the loader checks them against the session. */
        inputs: Type.Record(Type.String(), Type.String()),
        outputs: Type.Record(Type.String(), Type.String()),
        cacheBytesPerToken: Type.Optional(
          Type.Integer({
            minimum: 1,
            description:
              'Keys and values of one token of a language model; `expertd add` reads it from the graph.',
          }),
        ),
      },
      strict,
    ),
    tokenizer: Type.Optional(
      Type.Union([
        WordPieceTokenizer,
        FastTextTokenizer,
        BytePairTokenizer,
        HashedWordTokenizer,
        CharacterTokenizer,
      ]),
    ),
    /**
     * One label a line, in the order of the graph's output. For `token-classification` with characters, a label is
     * the letters that its class makes (`àèù`: a grave accent); the first one, `unchanged`, leaves a letter as it is.
     */
    labels: Type.Optional(InnerPath),
    /** `feature-extraction`: how token states become one vector. */
    pooling: Type.Optional(Type.Union([Type.Literal('mean'), Type.Literal('cls')])),
    /** `retrieval`: the entries that the graph's scores point into, and the embedder they were made with. */
    index: Type.Optional(
      Type.Object({ entries: InnerPath, embedder: ExpertIdSchema, embedderSha256: Sha256 }, strict),
    ),
    files: Type.Array(
      Type.Object({ path: InnerPath, bytes: Type.Integer({ minimum: 0 }), sha256: Sha256 }, strict),
      { minItems: 1 },
    ),
    /** Measured where the package was made; a device replaces it by its own profile at the first load. */
    memory: Type.Optional(
      Type.Object(
        { residentBytes: Type.Integer({ minimum: 0 }), loadBytes: Type.Integer({ minimum: 0 }) },
        strict,
      ),
    ),
    routing: Type.Object(
      {
        languages: Type.Array(Type.String(), { minItems: 1, description: 'BCP 47 tags, or "*" for any' }),
        examples: Type.Array(Type.String({ minLength: 1, maxLength: 2_000 }), { maxItems: 1_000 }),
        rules: Type.Array(Rule, { maxItems: 100 }),
        /** One term a line: words that belong to this expert, for routing while no embedder is resident. */
        vocabulary: Type.Optional(InnerPath),
      },
      strict,
    ),
    /** A `retrieval` expert that does not answer itself: a language model speaks from what it finds. */
    assistant: Type.Optional(
      Type.Object(
        {
          /** The language model; the generalist of the configuration where it is not given. */
          base: Type.Optional(ExpertIdSchema),
          systemPrompt: Type.String({ minLength: 1, maxLength: 4_000 }),
        },
        strict,
      ),
    ),
    /** What its maker saw it answer. agent/golden.ts says what input and output are for each task. */
    golden: Type.Array(Type.Object({ input: Type.String(), output: Type.Unknown() }, strict), {
      minItems: 1,
    }),
    isolation: Type.Optional(Type.Union([Type.Literal('shared'), Type.Literal('own')])),
    /** Free-form figures of the maker: measured quality, latency, sizes. Shown, never acted on. */
    quality: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { ...strict, title: 'expert.json' },
);

export type Manifest = Static<typeof ManifestSchema>;
export type ManifestFile = Manifest['files'][number];
