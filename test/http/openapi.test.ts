/** The document says what the server does: its routes, what they take, and what they answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import {
  CHAT_FIELDS,
  COMPLETION_FIELDS,
  EMBEDDING_FIELDS,
  type FieldTable,
} from '../../agent/http/fields.ts';
import * as ollama from '../../agent/http/ollama/fields.ts';
import { openApiDocument } from '../../agent/http/openapi/document.ts';
import { OPERATIONS } from '../../agent/http/openapi/operations.ts';
import { defaultAnswer, refusal, said, saidToken } from '../fakes/service.ts';
import { type Harness, harness, user } from './harness.ts';
import { row, tensorHarness } from './oip-asking.ts';

interface Described {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
  }[];
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, object>> }>>;
}
interface Document {
  readonly openapi: string;
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
}

// As a client gets it.
const document = JSON.parse(JSON.stringify(openApiDocument('1.2.3'))) as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, described]) => ({ path, method, described })),
);

const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true });
ajv.addVocabulary(['openapi', 'info', 'servers', 'security', 'tags', 'paths', 'components']);
ajv.addSchema(document, 'doc');

function pointer(...parts: readonly string[]): string {
  return `doc#/${parts.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`;
}

function bodyCheck(path: string) {
  const $ref = pointer('paths', path, 'post', 'requestBody', 'content', 'application/json', 'schema');
  return ajv.compile({ $ref: encodeURI($ref) });
}

test('it is served, with the version of the agent', async () => {
  const { get } = harness();
  const response = await get('/openapi.json');
  assert.equal(response.statusCode, 200);
  assert.match(String(response.headers['content-type']), /^application\/json/);
  assert.deepEqual(response.json(), JSON.parse(JSON.stringify(openApiDocument('0.0.1'))));
  assert.match(document.openapi, /^3\.1\./);
});

test('every route is in it, and nothing else', () => {
  const registered = [...harness().server.routes].flatMap(([url, methods]) =>
    // HEAD comes with GET, and needs no words.
    [...methods].filter((method) => method !== 'HEAD').map((method) => `${method} ${url}`),
  );
  assert.deepEqual(registered.toSorted(), Object.keys(OPERATIONS).toSorted());
  assert.equal(operations.length, registered.length, 'no two routes became one');
});

test('names are unique, parameters are those of the path, tags are explained', () => {
  const ids = operations.map(({ described }) => described.operationId);
  assert.equal(new Set(ids).size, ids.length, 'operationIds');
  const tags = new Set(document.tags.map(({ name }) => name));
  for (const { path, described } of operations) {
    const inPath = (described.parameters ?? []).filter((parameter) => parameter.in === 'path');
    assert.deepEqual(
      inPath.map(({ name }) => `{${name}}`),
      path.match(/\{\w+\}/g) ?? [],
      path,
    );
    assert.ok(
      inPath.every(({ required }) => required === true),
      path,
    );
    assert.ok(described.tags.every((tag) => tags.has(tag)) && described.summary.length > 3, path);
    assert.ok(!path.includes(':'), path);
  }
});

test('every schema is one, and every reference leads somewhere', () => {
  let checked = 0;
  const visit = (value: unknown, at: readonly string[]): void => {
    if (typeof value !== 'object' || value === null) return;
    const { $ref } = value as { $ref?: unknown };
    if (typeof $ref === 'string') {
      const target = $ref
        .slice(2)
        .split('/')
        .reduce<unknown>((here, part) => (here as Record<string, unknown> | undefined)?.[part], document);
      assert.ok(target !== undefined, `${at.join('/')}: ${$ref}`);
    }
    if (at.at(-1) === 'schema') {
      ajv.compile({ $ref: encodeURI(pointer(...at)) });
      checked += 1;
    }
    for (const [key, inner] of Object.entries(value)) visit(inner, [...at, key]);
  };
  visit(document, []);
  assert.ok(checked > 50, `${checked} schemas`);
});

// ---- what comes in --------------------------------------------------------------------------------------------

test('a field that the server ignores or refuses, the document does too', async () => {
  const cases: readonly [string, object, FieldTable][] = [
    ['/v1/chat/completions', { model: 'auto', messages: user('what is tachycardia?') }, CHAT_FIELDS],
    ['/v1/completions', { model: 'auto', prompt: 'what is tachycardia?' }, COMPLETION_FIELDS],
    ['/v1/embeddings', { model: 'auto', input: 'text' }, EMBEDDING_FIELDS],
    ['/api/generate', { model: 'auto', prompt: 'what is tachycardia?' }, ollama.GENERATE_FIELDS],
    ['/api/chat', { model: 'auto', messages: user('what is tachycardia?') }, ollama.CHAT_FIELDS],
    ['/api/embed', { model: 'auto', input: 'text' }, ollama.EMBED_FIELDS],
    ['/api/embeddings', { model: 'auto', prompt: 'text' }, ollama.EMBED_FIELDS],
    ['/api/show', { model: 'auto' }, ollama.SHOW_FIELDS],
  ];
  for (const [path, body, table] of cases) {
    const made = harness();
    const check = bodyCheck(path);
    const agree = async (change: object, expected: boolean) => {
      const sent = { ...body, ...change };
      const { statusCode } = await made.post(path, sent);
      assert.deepEqual([statusCode < 400, check(sent)], [expected, expected], JSON.stringify(change));
    };
    await agree({}, true);
    await agree({ [`not_${path}`]: 1 }, false);
    for (const [field, { accepts }] of Object.entries(table)) {
      await agree({ [field]: null }, true);
      for (const value of accepts === 'any' ? ['whatever', { x: 1 }] : accepts)
        await agree({ [field]: value }, true);
      if (accepts !== 'any') await agree({ [field]: 'something else' }, false);
    }
  }
});

test('so it is for what generates, deep inside too', async () => {
  const made = harness();
  const agree = async (path: string, body: object, expected: boolean) => {
    const { statusCode } = await made.post(path, body);
    assert.deepEqual([statusCode < 400, bodyCheck(path)(body)], [expected, expected], JSON.stringify(body));
  };
  const chat = (change: object, expected: boolean) =>
    agree('/v1/chat/completions', { model: 'writer', messages: user('write'), ...change }, expected);
  const schema = { type: 'object' };
  for (const [change, expected] of [
    [{ temperature: 0, top_p: 1, top_k: -1, min_p: 0, seed: 1, stop: 'x', keep_alive: '5m' }, true],
    [{ logit_bias: { '5': -100 }, logprobs: true, top_logprobs: 20, truncation: 'auto' }, true],
    [{ response_format: { type: 'json_schema', json_schema: { name: 'x', strict: null, schema } } }, true],
    [{ response_format: { type: 'json_schema', json_schema: { name: 'x', scheme: {} } } }, false],
    [{ response_format: { type: 'xml' } }, false],
    [{ logit_bias: { '5': -101 } }, false],
    [{ stop: ['1', '2', '3', '4', '5'] }, false],
    [{ max_tokens: 0 }, false],
  ] as const)
    await chat(change, expected);
  const generate = (change: object, expected: boolean) =>
    agree('/api/generate', { model: 'writer', prompt: 'write', ...change }, expected);
  for (const [field, { accepts }] of Object.entries(ollama.OPTION_FIELDS)) {
    for (const value of accepts === 'any' ? [1, 'x'] : accepts)
      await generate({ options: { [field]: value } }, true);
    if (accepts !== 'any') await generate({ options: { [field]: 'something else' } }, false);
  }
  await generate({ format: 'json', options: { num_predict: -2, stop: null } }, true);
  await generate({ format: schema, raw: true, keep_alive: -1 }, true);
  await generate({ format: 'xml' }, false);
});

test('so it is for inference, deep inside too', async () => {
  const made = tensorHarness();
  const check = bodyCheck('/v2/models/{model}/infer');
  const inputs = (change: object) => ({ inputs: [{ ...row('a'), ...change }, row('b')] });
  const agree = async (body: object, expected: boolean) => {
    const { statusCode } = await made.post('/v2/models/sum/infer', body);
    assert.deepEqual([statusCode < 400, check(body)], [expected, expected], JSON.stringify(body));
  };
  await agree(inputs({}), true);
  await agree({ ...inputs({}), id: null, outputs: null, parameters: { priority: 3, sequence_id: 0 } }, true);
  await agree(inputs({ parameters: { content_type: 'np', shared_memory_region: null } }), true);
  await agree(inputs({ parameters: { shared_memory_region: 'x' } }), false);
  await agree(inputs({ datatype: 'BF16' }), false);
  await agree(inputs({ shape: [-1, 3] }), false);
  await agree({ ...inputs({}), outputs: [{ name: 'y', parameters: { classification: 2 } }] }, false);
});

// ---- what goes out --------------------------------------------------------------------------------------------

function assertDocumented(path: string, method: string, status: number, body: unknown): void {
  const described = document.paths[path]?.[method]?.responses[status];
  assert.ok(described !== undefined, `${method} ${path} says nothing of ${status}`);
  const at = ['paths', path, method, 'responses', String(status), 'content', 'application/json', 'schema'];
  const check = ajv.compile({ $ref: encodeURI(pointer(...at)) });
  assert.ok(
    check(body),
    `${method} ${path} ${status}: ${ajv.errorsText(check.errors)} in ${JSON.stringify(body)}`,
  );
}

test('what a server answers is what the document says', async () => {
  const made = harness();
  const tensors = tensorHarness();
  const get = async (server: Harness, url: string, path = url, status = 200) => {
    const response = await server.get(url);
    assert.equal(response.statusCode, status, response.body);
    assertDocumented(path, 'get', status, response.json());
  };
  const post = async (server: Harness, url: string, body: unknown, path = url, status = 200) => {
    const response = await server.post(url, body);
    assert.equal(response.statusCode, status, response.body);
    assertDocumented(path, 'post', status, response.json());
  };
  for (const url of [
    '/livez',
    '/readyz',
    '/healthz',
    '/v1/models',
    '/expertd/v1/state',
    '/expertd/v1/experts',
  ]) {
    await get(made, url);
  }
  await get(made, '/v1/models/auto', '/v1/models/{id}');
  await get(made, '/v1/models/medical', '/v1/models/{id}');
  await get(made, '/v1/models/none', '/v1/models/{id}', 404);
  await get(made, '/expertd/v1/experts/medical', '/expertd/v1/experts/{id}');
  await get(made, '/expertd/v1/decisions?limit=2', '/expertd/v1/decisions');
  await get(made, '/expertd/v1/decisions?limit=no', '/expertd/v1/decisions', 400);
  await get(made, '/expertd/v1/decisions/42', '/expertd/v1/decisions/{id}');
  await post(made, '/expertd/v1/route', { question: 'what is a fever?' });
  await post(made, '/expertd/v1/experts/medical/pin', {}, '/expertd/v1/experts/{id}/pin');
  for (const content of ['what is tachycardia?', 'nothing known']) {
    await post(made, '/v1/chat/completions', { model: 'auto', messages: user(content) });
  }
  made.service.notes = {
    degraded: 'base-loading',
    sources: [{ title: 'fever', text: 'Above 38 °C.', source: 'Glossary', score: 0.9 }],
  };
  const token = saidToken('Hello you', -0.5);
  made.service.answerOf = (ask, expert) =>
    expert === 'writer' ? said('Hello you', [token]) : defaultAnswer(ask, expert);
  await post(made, '/v1/chat/completions', { model: 'writer', messages: user('x'), logprobs: true });
  await post(made, '/v1/completions', { model: 'writer', prompt: 'x', logprobs: 1 });
  await post(made, '/v1/completions', { model: 'lang-id', prompt: 'x' });
  await post(made, '/v1/completions', { model: 'nobody', prompt: 'x' }, '/v1/completions', 404);
  made.service.notes = {};
  for (const model of ['writer', 'lang-id']) {
    await post(made, '/api/generate', { model, prompt: 'x', stream: false, logprobs: true });
    await post(made, '/api/chat', { model, messages: user('x'), stream: false });
    await post(made, '/api/generate', { model });
    await post(made, '/api/chat', { model, keep_alive: 0 });
    await post(made, '/api/show', { model });
  }
  await post(made, '/api/show', { model: 'auto' });
  await post(made, '/api/show', { model: 'nobody' }, '/api/show', 404);
  await post(made, '/api/generate', { model: 'writer', prompt: 'x', suffix: 'y' }, '/api/generate', 400);
  await post(made, '/api/embed', { model: 'auto', input: ['a', 'b'] });
  await post(made, '/api/embed', { model: 'embedder' });
  await post(made, '/api/embeddings', { model: 'auto', prompt: 'a' });
  await post(made, '/api/pull', { model: 'x' }, '/api/pull', 501);
  await post(made, '/api/blobs/x', { model: 'x' }, '/api/blobs/{digest}', 501);
  for (const url of ['/api/tags', '/api/ps', '/api/version']) await get(made, url);
  await post(made, '/v1/embeddings', { model: 'auto', input: ['a', 'b'] });
  await post(made, '/v1/embeddings', { model: 'auto', input: 'a', encoding_format: 'base64' });
  const loading = { state: 'loading', progress: 0.5, etaSeconds: 1 } as const;
  made.service.failures = [refusal('loading', { loading })];
  await post(made, '/v1/embeddings', { model: 'auto', input: 'a' }, '/v1/embeddings', 503);
  made.service.failures = [refusal('loading', { loading })];
  await post(made, '/api/generate', { model: 'writer', prompt: 'x' }, '/api/generate', 503);
  for (const url of ['/v2', '/v2/health/live', '/v2/health/ready']) await get(tensors, url);
  for (const rest of ['', '/ready', '/versions/1.0.0', '/versions/1.0.0/ready']) {
    await get(tensors, `/v2/models/sum${rest}`, `/v2/models/{model}${rest.replace('1.0.0', '{version}')}`);
  }
  const inputs = [{ name: 'int64', datatype: 'INT64', shape: [2], data: [1, 2] }];
  tensors.service.expertList = tensors.service.expertList.map((expert) => ({
    ...expert,
    graph: { inputs: { int64: 'int64[n]' }, outputs: { int64: 'int64[n]' } },
  }));
  await post(tensors, '/v2/models/sum/infer', { inputs }, '/v2/models/{model}/infer');
  await post(tensors, '/v2/models/sum/infer', { inputs: [] }, '/v2/models/{model}/infer', 400);
  await post(tensors, '/v2/repository/index', {});
  for (const command of ['load', 'unload']) {
    await post(
      tensors,
      `/v2/repository/models/sum/${command}`,
      {},
      `/v2/repository/models/{model}/${command}`,
    );
  }
  tensors.service.healthView = { ...tensors.service.healthView, live: false, ready: false };
  for (const url of ['/livez', '/readyz', '/healthz', '/v2/health/live']) await get(tensors, url, url, 503);
});
