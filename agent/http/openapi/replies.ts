/**
 * What replies hold, for the OpenAPI document. Replies are not validated: the types below hold these schemas to the
 * interfaces that the code answers with, and a test holds them to what a server says. They name what clients rely on,
 * and leave room for more.
 */
import { type Static, Type } from 'typebox';
import type { DecisionRow, ExpertView, Explanation, Health, StateView } from '../../service.ts';
import type { Choice, Failure } from '../../types.ts';
import {
  OllamaChatSchema,
  OllamaEmbeddingsSchema,
  OllamaErrorSchema,
  OllamaGeneratedSchema,
  OllamaModelSchema,
  OllamaModelsSchema,
} from './ollama-replies.ts';
import {
  CompletionSchema,
  ModelSchema,
  ModelsSchema,
  TextCompletionSchema,
  VectorsSchema,
} from './openai-replies.ts';
import { Count, LoadingSchema, Milliseconds, nullable, Text, Vector } from './reply-parts.ts';

const Bytes = Type.Integer({ minimum: 0, description: 'Bytes' });
const UnixMs = Type.Number({ description: 'Unix time in ms' });

// ---- errors ---------------------------------------------------------------------------------------------------

const FailureSchema = Type.Object({
  code: Text,
  message: Text,
  hint: nullable(Text),
  retryable: Type.Boolean(),
});

const ErrorSchema = Type.Object({
  error: Type.Object({
    message: Type.String({ description: 'What is wrong, and what can be done.' }),
    type: Text,
    param: nullable(Type.String({ description: 'The field at fault.' })),
    code: Text,
  }),
  decision: Type.Optional(
    Type.Integer({ description: 'The decision that refused: GET /expertd/v1/decisions/{id}.' }),
  ),
  loading: Type.Optional(LoadingSchema),
});

const InferenceErrorSchema = Type.Object({ error: Text }, { additionalProperties: false });

// ---- probes ---------------------------------------------------------------------------------------------------

const ProbeSchema = Type.Object({ status: Type.Union([Type.Literal('ok'), Type.Literal('unavailable')]) });

const SummarySchema = Type.Object({
  live: Type.Boolean(),
  ready: Type.Boolean(),
  version: Text,
  uptime_seconds: Count,
  problems: Type.Array(Text, { description: 'Codes' }),
});

// ---- Open Inference Protocol ----------------------------------------------------------------------------------

const ServerSchema = Type.Object({ name: Text, version: Text, extensions: Type.Array(Text) });
const LiveSchema = Type.Object({ live: Type.Boolean() });
const ReadySchema = Type.Object({ ready: Type.Boolean() });
const ModelReadySchema = Type.Object({ name: Text, ready: Type.Boolean() });
const Shape = Type.Array(Type.Integer({ minimum: -1 }), { description: '-1 is any size' });
const TensorHead = { name: Text, datatype: Text, shape: Shape };

const ModelMetadataSchema = Type.Object({
  name: Text,
  versions: Type.Array(Text),
  platform: Text,
  inputs: Type.Array(Type.Object(TensorHead)),
  outputs: Type.Array(Type.Object(TensorHead)),
});

const InferReplySchema = Type.Object({
  model_name: Text,
  model_version: Text,
  id: Type.Optional(Text),
  outputs: Type.Array(
    Type.Object({
      ...TensorHead,
      data: Type.Optional(Type.Array(Type.Unknown(), { description: 'Elements row by row' })),
      parameters: Type.Optional(Type.Object({ binary_data_size: Count })),
    }),
  ),
});

const RepositoryIndexSchema = Type.Array(
  Type.Object({
    name: Text,
    version: Text,
    state: Type.Union(['READY', 'UNAVAILABLE', 'LOADING', 'UNLOADING'].map((state) => Type.Literal(state))),
    reason: Text,
  }),
);

const EmptySchema = Type.Object({}, { additionalProperties: false });

// ---- expertd --------------------------------------------------------------------------------------------------

const Names = Type.Record(Text, Text);

const ExpertSchema = Type.Object({
  id: Text,
  version: nullable(Text),
  task: nullable(Text),
  summary: nullable(Text),
  license: nullable(Text),
  source: nullable(Text),
  origin: Type.Optional(
    nullable(
      Type.Union([Type.Literal('added'), Type.Literal('fetched'), Type.Literal('folder')], {
        description:
          'By which way it came: added by hand, fetched for the configuration, or a folder of experts.',
      }),
    ),
  ),
  state: Text,
  leases: Type.Integer({ minimum: 0, description: 'Requests that it works on' }),
  pinned: Type.Boolean(),
  cell: nullable(Text),
  memory: nullable(
    Type.Object({ residentBytes: Bytes, loadBytes: Bytes, loadMs: Type.Number(), measured: Type.Boolean() }),
  ),
  lastUsedMs: nullable(UnixMs),
  uses: Count,
  error: nullable(FailureSchema),
  progress: nullable(Type.Number({ minimum: 0, maximum: 1 })),
  graph: nullable(Type.Object({ inputs: Names, outputs: Names })),
});

const HealthSchema = Type.Object({
  live: Type.Boolean(),
  ready: Type.Boolean(),
  version: Text,
  uptimeMs: Type.Number(),
  problems: Type.Array(FailureSchema),
});

const Policies = Type.Object({ router: Type.Array(Text), residency: Text, combiner: Text });

const FleetSchema = Type.Object({
  device: Text,
  broker: Text,
  isUp: Type.Boolean(),
  reason: nullable(FailureSchema),
  delivery: Type.Union([
    Type.Literal('offline'),
    Type.Literal('paused'),
    Type.Literal('idle'),
    Type.Literal('sending'),
  ]),
  recordsWaiting: Count,
  genSeen: Count,
  genApplied: Count,
  phase: Text,
  refused: Type.Record(Text, Count, { description: 'Messages that were not followed, by reason' }),
});

const StateSchema = Type.Object({
  budgetBytes: Bytes,
  committedBytes: Bytes,
  measuredBytes: nullable(Bytes),
  agentBytes: nullable(Bytes),
  availableBytes: nullable(Bytes),
  pressure: Type.Object({ level: Text, why: Text }),
  admission: Type.Union([Type.Literal('open'), Type.Literal('closed')]),
  cells: Type.Array(
    Type.Object({
      id: Text,
      lane: Text,
      pid: nullable(Type.Integer()),
      bytes: Type.Integer({
        minimum: 0,
        description: 'What it is charged with: measured or known, whichever is more, and what is reserved',
      }),
      measuredBytes: nullable(Bytes),
      fileBytes: nullable(
        Type.Integer({ minimum: 0, description: 'Of measuredBytes, what the kernel may drop by itself' }),
      ),
      expectedBytes: Type.Integer({
        minimum: 0,
        description: 'What it should measure at rest, by what its experts are known to take',
      }),
      experts: Type.Array(Text),
      leases: Count,
    }),
  ),
  waiting: Count,
  running: Count,
  policies: Policies,
  prefetch: Type.Optional(Type.Object({ loads: Count, hits: Count, wastedBytes: Bytes })),
  log: Type.Object({
    state: Text,
    reason: nullable(Text),
    lastSequence: Count,
    syncedSequence: Count,
    dropped: Count,
  }),
  fleet: Type.Optional(nullable(FleetSchema)),
});

const ChoiceSchema = Type.Object({
  request: Text,
  expert: nullable(Text),
  confidence: nullable(Type.Number({ minimum: 0, maximum: 1 })),
  candidates: Type.Array(
    Type.Object({ expert: Text, score: Type.Number(), confidence: Type.Number(), why: Text }),
  ),
  router: Text,
  predictedLoadMs: Type.Number(),
});

const DecisionSchema = Type.Object({
  id: Type.Integer(),
  atMs: UnixMs,
  request: nullable(Text),
  expert: nullable(Text),
  confidence: nullable(Type.Number({ minimum: 0, maximum: 1 })),
  router: nullable(Text),
  reasons: Type.Array(Text),
  ok: nullable(Type.Boolean()),
  totalMs: nullable(Type.Number()),
});

const ExplanationSchema = Type.Object({
  decision: DecisionSchema,
  asked: nullable(
    Type.Object({ sha256: Text, chars: Count, language: nullable(Text), text: nullable(Text) }),
  ),
  choice: nullable(ChoiceSchema),
  policies: nullable(Policies),
  residencyBefore: nullable(Names),
  residencyAfter: nullable(Names),
  memory: nullable(
    Type.Object({
      budgetBytes: Bytes,
      committedBytes: Bytes,
      availableBytes: nullable(Bytes),
      pressure: Text,
    }),
  ),
  timeline: Type.Array(
    Type.Object({
      id: Type.Integer(),
      atMs: UnixMs,
      event: Text,
      reasons: Type.Array(Text),
      steps: Type.Array(Text),
    }),
  ),
  outcome: nullable(
    Type.Object({
      ok: Type.Boolean(),
      failure: nullable(FailureSchema),
      stages: Milliseconds,
      predictedLoadMs: nullable(Type.Number()),
      loadMs: nullable(Type.Number()),
    }),
  ),
});

/** Schemas by the names that the document gives them. */
export const REPLIES = {
  Error: ErrorSchema,
  InferenceError: InferenceErrorSchema,
  Probe: ProbeSchema,
  Summary: SummarySchema,
  Model: ModelSchema,
  Models: ModelsSchema,
  Completion: CompletionSchema,
  TextCompletion: TextCompletionSchema,
  Embeddings: VectorsSchema,
  OllamaError: OllamaErrorSchema,
  OllamaGenerated: OllamaGeneratedSchema,
  OllamaChat: OllamaChatSchema,
  OllamaEmbeddings: OllamaEmbeddingsSchema,
  OllamaEmbedding: Type.Object({ embedding: Vector }),
  OllamaModels: OllamaModelsSchema,
  OllamaModel: OllamaModelSchema,
  OllamaVersion: Type.Object({ version: Text }),
  InferenceServer: ServerSchema,
  Live: LiveSchema,
  Ready: ReadySchema,
  ModelReady: ModelReadySchema,
  ModelMetadata: ModelMetadataSchema,
  Inference: InferReplySchema,
  RepositoryIndex: RepositoryIndexSchema,
  Empty: EmptySchema,
  Expert: ExpertSchema,
  Experts: Type.Object({ experts: Type.Array(ExpertSchema) }),
  State: Type.Intersect([StateSchema, Type.Object({ health: HealthSchema })]),
  Choice: ChoiceSchema,
  Decisions: Type.Object({
    decisions: Type.Array(DecisionSchema, { description: 'Newest first' }),
    next: nullable(Type.Integer({ description: 'For "before", to go on; null at the end' })),
  }),
  Explanation: ExplanationSchema,
} as const;

export type ReplyName = keyof typeof REPLIES;

type Mutable<T> = T extends readonly (infer E)[]
  ? Mutable<E>[]
  : T extends object
    ? { -readonly [K in keyof T]: Mutable<T[K]> }
    : T;
type Holds<Documented, Real extends Documented> = Real;

/** Every value of an interface is one of its schema: where a schema says something else, this does not compile. */
export type Held = [
  Holds<Static<typeof FailureSchema>, Mutable<Failure>>,
  Holds<Static<typeof ExpertSchema>, Mutable<ExpertView>>,
  Holds<Static<typeof StateSchema>, Mutable<StateView>>,
  Holds<Static<typeof HealthSchema>, Mutable<Health>>,
  Holds<Static<typeof ChoiceSchema>, Mutable<Choice>>,
  Holds<Static<typeof DecisionSchema>, Mutable<DecisionRow>>,
  Holds<Static<typeof ExplanationSchema>, Mutable<Explanation>>,
];
