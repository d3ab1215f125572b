/** The OpenAPI 3.1 document, made from the operations and from the schemas that check what comes in. */
import { OPEN_PATHS } from '../guard.ts';
import { type Operation, TAGS } from './operation.ts';
import { OPERATIONS } from './operations.ts';
import { REPLIES } from './replies.ts';
import { type Json, widened } from './tolerance.ts';

const MEANINGS: Readonly<Record<number, string>> = {
  400: 'The request is not right; the error names the field',
  401: 'A bearer token is needed',
  403: 'The Host or the Origin is not allowed',
  404: 'There is no such thing',
  406: 'The answer cannot be said in the form that was asked for',
  409: 'What is pinned leaves no room',
  413: 'The body is too large, or the expert is for the budget',
  415: 'The body is in a form that is not understood',
  429: 'Too many requests are under way',
  500: 'The expert, or expertd, failed',
  501: 'It is done in another way here; the error says how',
  503: 'Not now: Retry-After says when',
  504: 'The expert did not answer in time',
};

/** Headers that say who answered. */
const ANSWER_HEADERS: Readonly<Record<string, string>> = {
  'x-expertd-decision': 'Number of the decision: GET /expertd/v1/decisions/{id} tells its story',
  'x-expertd-expert': 'The expert that answered',
  'x-expertd-confidence': 'Of the router, 0 to 1',
  'x-expertd-residency': 'Where the expert was when the request came',
  'x-expertd-degraded': 'In what way the answer is less than it could be',
  'x-expertd-abstained': 'No expert is confident',
};

const DESCRIPTION = `Keeps specialised models in memory on a small device. In requests to OpenAI's API, to Ollama's and to the \
Open Inference Protocol, null is as good as nothing. Replies may hold more than is written here.`;

/** The document for a server of this version. */
export function openApiDocument(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const [route, operation] of Object.entries(OPERATIONS)) {
    const [method = '', pattern = ''] = route.split(' ');
    const path = pattern.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [method.toLowerCase()]: operationOf(method, pattern, operation) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'expertd',
      version,
      summary: 'Specialised models under one memory budget',
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    // Without a token where none is set, which is possible on loopback alone.
    security: [{}, { bearer: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      headers: Object.fromEntries(
        Object.entries(ANSWER_HEADERS).map(([name, description]) => [name, { description, schema: TEXT }]),
      ),
      schemas: plain(REPLIES),
    },
  };
}

/** Of APIs that have errors of their own. */
const ERRORS: Partial<Record<Operation['tag'], string>> = {
  inference: 'InferenceError',
  ollama: 'OllamaError',
};

const TEXT = { type: 'string' } as const;

function operationOf(method: string, pattern: string, operation: Operation): Json {
  const { tag, summary, body } = operation;
  const parameters = parametersOf(pattern, operation);
  return {
    operationId: idOf(method, pattern),
    tags: [tag],
    summary,
    ...(OPEN_PATHS.has(pattern) ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: bodyOf(operation.tag, body) }),
    responses: repliesOf(operation),
  };
}

/** `POST /v1/chat/completions` -> `postV1ChatCompletions`. */
function idOf(method: string, pattern: string): string {
  const words = pattern.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

function parametersOf(pattern: string, { path = {}, query, headers = {} }: Operation): readonly Json[] {
  const inPath = [...pattern.matchAll(/:(\w+)/g)].map(([, name = '']) => {
    const description = path[name];
    if (description === undefined) throw new RangeError(`nothing says what "${name}" of ${pattern} is`);
    return { name, in: 'path', required: true, description, schema: TEXT };
  });
  const inQuery = Object.entries(query?.properties ?? {}).map(([name, schema]) => {
    const { description, ...rest } = plain(schema) as Json;
    return { name, in: 'query', description, schema: rest };
  });
  const inHeader = Object.entries(headers).map(([name, description]) => {
    return { name, in: 'header', description, schema: TEXT };
  });
  return [...inPath, ...inQuery, ...inHeader];
}

function bodyOf(tag: Operation['tag'], body: NonNullable<Operation['body']>): Json {
  const { schema, tolerance, optional } = body;
  const content: Record<string, Json> = {
    'application/json': { schema: tolerance === undefined ? plain(schema) : widened(schema, tolerance) },
  };
  if (tag === 'inference') content['application/octet-stream'] = {};
  return { required: optional !== true, content };
}

function repliesOf({ tag, answer, refusals, asks, tells }: Operation): Json {
  const content = Object.fromEntries(
    answer.map((kind) => (kind.includes('/') ? [kind, {}] : ['application/json', { schema: refTo(kind) }])),
  );
  const headers = Object.fromEntries(
    Object.keys(ANSWER_HEADERS).map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
  const error = { 'application/json': { schema: refTo(ERRORS[tag] ?? 'Error') } };
  const refused = [...refusals, 401, 403].toSorted((left, right) => left - right);
  const good = { description: 'The answer', content, ...(asks === true ? { headers } : {}) };
  return {
    ...(answer.length === 0 ? {} : { 200: good }),
    ...Object.fromEntries(
      refused.map((status) => {
        const holds = status === 503 && tells === true ? content : error;
        return [status, { description: meaningOf(status), content: holds }];
      }),
    ),
  };
}

function meaningOf(status: number): string {
  const meaning = MEANINGS[status];
  if (meaning === undefined) throw new RangeError(`nothing says what ${status} means`);
  return meaning;
}

function refTo(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

/** Without what TypeBox keeps for itself. */
function plain<T>(schema: T): T {
  return JSON.parse(JSON.stringify(schema)) as T;
}
