/** What every route does, by method and path: the OpenAPI document is made of this and of the schemas that validate. */
import {
  CHAT_FIELDS,
  COMPLETION_FIELDS,
  EMBEDDING_FIELDS,
  MESSAGE_FIELDS,
  STREAM_OPTION_FIELDS,
} from '../fields.ts';
import { HEADER_LENGTH } from '../oip/request.ts';
import {
  INPUT_PARAMETERS,
  IndexSchema,
  InferSchema,
  LOAD_PARAMETERS,
  OUTPUT_PARAMETERS,
  REQUEST_PARAMETERS,
  RepositorySchema,
  UNLOAD_PARAMETERS,
} from '../oip/schema.ts';
import { ChatSchema } from '../openai/chatrequest.ts';
import { EmbeddingsSchema } from '../openai/embeddings.ts';
import { TextSchema } from '../openai/textrequest.ts';
import { COMMANDS, CommandSchema, DecisionsQuerySchema, RouteSchema } from '../own.ts';
import { OLLAMA } from './ollama.ts';
import { ASKING, type Operation } from './operation.ts';
import type { Tolerance } from './tolerance.ts';

const EXPERT = { id: 'Id of an expert' } as const;
const MODEL = { model: 'Id of an expert whose task is tensor' } as const;

const GENERATION_INSIDE: NonNullable<Tolerance['inside']> = {
  stream_options: { fields: STREAM_OPTION_FIELDS },
  response_format: { fields: {}, inside: { json_schema: { fields: {} } } },
};

const chat: Operation = {
  tag: 'openai',
  summary: 'Asks the expert that the router chooses, or the one that is named',
  body: {
    schema: ChatSchema,
    tolerance: {
      fields: CHAT_FIELDS,
      inside: { ...GENERATION_INSIDE, messages: { fields: MESSAGE_FIELDS } },
    },
  },
  answer: ['Completion', 'text/event-stream'],
  refusals: ASKING,
  asks: true,
};

const text: Operation = {
  tag: 'openai',
  summary: 'Goes on with a text; no more than the context has room for, unless max_tokens says less',
  body: { schema: TextSchema, tolerance: { fields: COMPLETION_FIELDS, inside: GENERATION_INSIDE } },
  answer: ['TextCompletion', 'text/event-stream'],
  refusals: ASKING,
  asks: true,
};

const embeddings: Operation = {
  tag: 'openai',
  summary: 'Unit vectors of texts',
  body: { schema: EmbeddingsSchema, tolerance: { fields: EMBEDDING_FIELDS } },
  answer: ['Embeddings'],
  refusals: ASKING,
  asks: true,
};

const infer: Operation = {
  tag: 'inference',
  summary: 'Runs a graph on tensors, as JSON or as bytes behind it',
  path: MODEL,
  headers: { [HEADER_LENGTH]: 'Bytes of JSON at the beginning of the body; tensors as bytes follow.' },
  body: {
    schema: InferSchema,
    tolerance: {
      fields: {},
      inside: {
        parameters: { fields: REQUEST_PARAMETERS },
        inputs: { fields: {}, inside: { parameters: { fields: INPUT_PARAMETERS } } },
        outputs: { fields: {}, inside: { parameters: { fields: OUTPUT_PARAMETERS } } },
      },
    },
  },
  answer: ['Inference', 'application/octet-stream'],
  refusals: [...ASKING, 406],
  asks: true,
};

const metadata: Operation = {
  tag: 'inference',
  summary: 'Inputs and outputs of a graph',
  path: MODEL,
  answer: ['ModelMetadata'],
  refusals: [400, 404],
};

const modelReady: Operation = {
  tag: 'inference',
  summary: 'Whether an expert can be asked now; one that is not in memory is loaded by the request',
  path: { model: 'Id of an expert' },
  answer: ['ModelReady'],
  refusals: [404, 503],
  tells: true,
};

const VERSION = { version: 'Its version' } as const;
const versioned = (operation: Operation): Operation => ({
  ...operation,
  summary: `${operation.summary}, of one version`,
  path: { ...operation.path, ...VERSION },
});

const INFERENCE: Readonly<Record<string, Operation>> = {
  'GET /v2': {
    tag: 'inference',
    summary: 'Name, version, extensions',
    answer: ['InferenceServer'],
    refusals: [],
  },
  'GET /v2/health/live': {
    tag: 'inference',
    summary: 'The process runs',
    answer: ['Live'],
    refusals: [503],
    tells: true,
  },
  'GET /v2/health/ready': {
    tag: 'inference',
    summary: 'Can answer now',
    answer: ['Ready'],
    refusals: [503],
    tells: true,
  },
  'GET /v2/models/:model': metadata,
  'GET /v2/models/:model/versions/:version': versioned(metadata),
  'GET /v2/models/:model/ready': modelReady,
  'GET /v2/models/:model/versions/:version/ready': versioned(modelReady),
  'POST /v2/models/:model/infer': infer,
  'POST /v2/models/:model/versions/:version/infer': versioned(infer),
  'POST /v2/repository/index': {
    tag: 'inference',
    summary: 'Every expert, and whether it is in memory',
    body: { schema: IndexSchema, optional: true },
    answer: ['RepositoryIndex'],
    refusals: [400, 413],
  },
  'POST /v2/repository/models/:model/load': {
    tag: 'inference',
    summary: 'Loads an expert, and answers when it is in memory',
    path: { model: 'Id of an expert' },
    body: { schema: RepositorySchema, tolerance: within(LOAD_PARAMETERS), optional: true },
    answer: ['Empty'],
    refusals: [400, 404, 413, 500, 503],
  },
  'POST /v2/repository/models/:model/unload': {
    tag: 'inference',
    summary: 'Unloads an expert once its requests have ended',
    path: { model: 'Id of an expert' },
    body: { schema: RepositorySchema, tolerance: within(UNLOAD_PARAMETERS), optional: true },
    answer: ['Empty'],
    refusals: [400, 404, 413],
  },
};

function within(fields: Tolerance['fields']): Tolerance {
  return { fields: {}, inside: { parameters: { fields } } };
}

const COMMAND_SUMMARIES: Readonly<Record<(typeof COMMANDS)[number], string>> = {
  load: 'Begins to load an expert, which nobody has to ask for',
  park: 'Lets the weights of an expert leave memory once its requests have ended; its sessions stay',
  unload: 'Unloads an expert once its requests have ended',
  pin: 'Keeps an expert from being evicted',
  unpin: 'Lets an expert be evicted again',
  clear: 'Ends an expert’s quarantine',
};

const OWN: Readonly<Record<string, Operation>> = {
  'GET /expertd/v1/state': {
    tag: 'expertd',
    summary: 'Memory, cells, health',
    answer: ['State'],
    refusals: [],
  },
  'GET /expertd/v1/experts': { tag: 'expertd', summary: 'Every expert', answer: ['Experts'], refusals: [] },
  'GET /expertd/v1/experts/:id': {
    tag: 'expertd',
    summary: 'One expert',
    path: EXPERT,
    answer: ['Expert'],
    refusals: [404],
  },
  ...Object.fromEntries(
    COMMANDS.map((command): [string, Operation] => [
      `POST /expertd/v1/experts/:id/${command}`,
      {
        tag: 'expertd',
        summary: COMMAND_SUMMARIES[command],
        path: EXPERT,
        body: { schema: CommandSchema, optional: true },
        answer: ['Expert'],
        refusals: [400, 404, 413, 415],
      },
    ]),
  ),
  'POST /expertd/v1/route': {
    tag: 'expertd',
    summary: 'What the router would choose now; nothing is recorded or loaded',
    body: { schema: RouteSchema },
    answer: ['Choice'],
    refusals: [400, 413, 415, 503],
  },
  'POST /expertd/v1/reload': {
    tag: 'expertd',
    summary:
      'Reads the configuration and the experts’ folders again, as SIGHUP does; answers with every expert',
    body: { schema: CommandSchema, optional: true },
    answer: ['Experts'],
    refusals: [400, 413, 415, 500],
  },
  'GET /expertd/v1/decisions': {
    tag: 'expertd',
    summary: 'Decisions that chose',
    query: DecisionsQuerySchema,
    answer: ['Decisions'],
    refusals: [400],
  },
  'GET /expertd/v1/decisions/:id': {
    tag: 'expertd',
    summary: 'The whole story of one decision',
    path: { id: 'Number of a decision' },
    answer: ['Explanation'],
    refusals: [404],
  },
  'GET /expertd/v1/events': {
    tag: 'expertd',
    summary: 'Decisions, state and progress as they happen',
    headers: { 'last-event-id': 'Goes on after this decision.' },
    answer: ['text/event-stream'],
    refusals: [503],
  },
};

/** By method and pattern of the path, as the server registers them. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'GET /livez': {
    tag: 'probes',
    summary: 'The process runs',
    answer: ['Probe'],
    refusals: [503],
    tells: true,
  },
  'GET /readyz': {
    tag: 'probes',
    summary: 'Can answer now',
    answer: ['Probe'],
    refusals: [503],
    tells: true,
  },
  'GET /healthz': { tag: 'probes', summary: 'How it is', answer: ['Summary'], refusals: [503], tells: true },
  'GET /metrics': { tag: 'probes', summary: 'In Prometheus’ format', answer: ['text/plain'], refusals: [] },
  'GET /openapi.json': {
    tag: 'probes',
    summary: 'This document',
    answer: ['application/json'],
    refusals: [],
  },
  'GET /v1/models': {
    tag: 'openai',
    summary: 'auto, and what is installed',
    answer: ['Models'],
    refusals: [],
  },
  'GET /v1/models/:id': {
    tag: 'openai',
    summary: 'One model',
    path: { id: 'Id of an expert, or "auto"' },
    answer: ['Model'],
    refusals: [404],
  },
  'POST /v1/chat/completions': chat,
  'POST /v1/completions': text,
  'POST /v1/embeddings': embeddings,
  ...OLLAMA,
  ...INFERENCE,
  ...OWN,
  'GET /': {
    tag: 'page',
    summary: 'A page that shows all this',
    answer: ['text/html', 'text/plain'],
    refusals: [],
  },
  'GET /page/:file': {
    tag: 'page',
    summary: 'Files of the page',
    path: { file: 'Name of the file' },
    answer: ['text/plain'],
    refusals: [404],
  },
};
