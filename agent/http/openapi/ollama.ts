/** The operations of Ollama's API. */
import { EmbeddingsSchema, EmbedSchema } from '../ollama/embed.ts';
import {
  CHAT_FIELDS,
  EMBED_FIELDS,
  GENERATE_FIELDS,
  MESSAGE_FIELDS,
  OPTION_FIELDS,
  SHOW_FIELDS,
} from '../ollama/fields.ts';
import { ShowSchema } from '../ollama/models.ts';
import { REFUSED } from '../ollama/refused.ts';
import { ChatSchema, GenerateSchema } from '../ollama/request.ts';
import { ASKING, type Operation } from './operation.ts';

const LINES = 'application/x-ndjson';
const options = { fields: OPTION_FIELDS } as const;
/** Its clients send JSON under any content type. */
const refusals = ASKING.filter((status) => status !== 415);

export const OLLAMA: Readonly<Record<string, Operation>> = {
  'POST /api/generate': {
    tag: 'ollama',
    summary: 'Answers a prompt; without one loads an expert or, with "keep_alive": 0, unloads it',
    body: { schema: GenerateSchema, tolerance: { fields: GENERATE_FIELDS, inside: { options } } },
    answer: ['OllamaGenerated', LINES],
    refusals,
    asks: true,
  },
  'POST /api/chat': {
    tag: 'ollama',
    summary: 'Answers a conversation; without messages loads an expert or, with "keep_alive": 0, unloads it',
    body: {
      schema: ChatSchema,
      tolerance: { fields: CHAT_FIELDS, inside: { options, messages: { fields: MESSAGE_FIELDS } } },
    },
    answer: ['OllamaChat', LINES],
    refusals,
    asks: true,
  },
  'POST /api/embed': {
    tag: 'ollama',
    summary: 'Unit vectors of texts; without one loads an expert',
    body: { schema: EmbedSchema, tolerance: { fields: EMBED_FIELDS } },
    answer: ['OllamaEmbeddings'],
    refusals,
    asks: true,
  },
  'POST /api/embeddings': {
    tag: 'ollama',
    summary: 'The unit vector of one text; /api/embed is what came after it',
    body: { schema: EmbeddingsSchema, tolerance: { fields: EMBED_FIELDS } },
    answer: ['OllamaEmbedding'],
    refusals,
    asks: true,
  },
  'GET /api/tags': {
    tag: 'ollama',
    summary: 'auto, and what is installed',
    answer: ['OllamaModels'],
    refusals: [],
  },
  'GET /api/ps': { tag: 'ollama', summary: 'What is in memory', answer: ['OllamaModels'], refusals: [] },
  'POST /api/show': {
    tag: 'ollama',
    summary: 'One model',
    body: { schema: ShowSchema, tolerance: { fields: SHOW_FIELDS } },
    answer: ['OllamaModel'],
    refusals: [400, 404, 413],
  },
  'GET /api/version': { tag: 'ollama', summary: 'Of expertd', answer: ['OllamaVersion'], refusals: [] },
  ...Object.fromEntries(
    REFUSED.flatMap(({ methods, path, what }) =>
      // HEAD has no body to say anything in.
      methods
        .filter((method) => method !== 'HEAD')
        .map((method): [string, Operation] => [
          `${method} ${path}`,
          {
            tag: 'ollama',
            summary: `Refused: ${what}`,
            ...(path.includes(':digest') ? { path: { digest: 'Digest of a file' } } : {}),
            answer: [],
            refusals: [501],
          },
        ]),
    ),
  ),
};
