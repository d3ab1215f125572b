/** `/api/tags`, `/api/ps`, `/api/show`, `/api/version`: what is installed, what is in memory, what one is. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { ExpertView } from '../../service.ts';
import type { Task } from '../../types.ts';
import { AUTO, type Dispatch } from '../dispatch.ts';
import { FieldError } from '../errors.ts';
import { isObject, needModel, screen } from '../fields.ts';
import { isInstalled } from '../openai/models.ts';
import { ANY_TYPE } from '../routes.ts';
import { bodyCheck } from '../validate.ts';
import { SHOW_FIELDS } from './fields.ts';
import { ollamaModel, tagged } from './names.ts';

/** `name` is what older clients call it. */
export const ShowSchema = Type.Object(
  { model: Type.String(), name: Type.Optional(Type.String()) },
  { additionalProperties: false },
);

const checkShow = bodyCheck(ShowSchema);
/** Ollama's own client shows the first 12 of these, whatever there is. */
const NO_DIGEST = '0'.repeat(64);
/** Clients say "for ever" of a date that is so far away; none of them has a word for it. */
const FOR_EVER_MS = 100 * 365 * 86_400_000;

/** What each task can do in Ollama's words; there is none for tensors. */
const CAPABILITIES: Readonly<Record<Task, readonly string[]>> = {
  'text-generation': ['completion'],
  'text-classification': ['completion'],
  'token-classification': ['completion'],
  retrieval: ['completion'],
  'feature-extraction': ['embedding'],
  tensor: [],
};

export function addOllamaModels(app: FastifyInstance, dispatch: Dispatch): void {
  const { service } = dispatch;
  const startedMs = Date.now() - service.health().uptimeMs;
  const modified_at = new Date(startedMs).toISOString();
  const auto = {
    name: tagged(AUTO),
    model: tagged(AUTO),
    modified_at,
    size: 0,
    digest: NO_DIGEST,
    details: ROUTER,
  };
  app.get('/api/version', () => ({ version: service.health().version }));
  app.get('/api/tags', () => {
    const installed = service.experts().filter(isInstalled);
    return { models: [auto, ...installed.map((view) => ({ ...rowOf(view), modified_at }))] };
  });
  app.get('/api/ps', () => {
    const resident = service.experts().filter(({ state }) => state === 'resident' || state === 'parked');
    return { models: resident.map((view) => inMemory(view)) };
  });
  app.post('/api/show', ANY_TYPE, (request) => {
    const { model } = checkShow(screenShow(request.body));
    const id = ollamaModel(dispatch, model);
    const view = dispatch.viewOf(id);
    if (view === null)
      return { ...NOTHING_SET, details: ROUTER, model_info: {}, capabilities: ['completion'], modified_at };
    if (isInstalled(view)) return { ...shown(view), modified_at };
    throw new FieldError('model_not_found', 'model', `model "${view.id}" not found: it is not installed yet`);
  });
}

/** What a model's file would say, and nothing says here. */
const NOTHING_SET = { modelfile: '', parameters: '', template: '', license: '' } as const;

const ROUTER = {
  parent_model: '',
  format: 'router',
  family: 'router',
  families: ['router'],
  parameter_size: '',
  quantization_level: '',
} as const;

function detailsOf({ task, files, base }: ExpertView): object {
  const family = task ?? '';
  return {
    parent_model: base ?? '',
    format: 'onnx',
    family,
    families: [family],
    parameter_size: '',
    quantization_level: files?.precision ?? '',
  };
}

function rowOf(view: ExpertView): object {
  const { id, files, memory } = view;
  return {
    name: tagged(id),
    model: tagged(id),
    size: files?.bytes ?? memory?.residentBytes ?? 0,
    digest: files?.digest ?? NO_DIGEST,
    details: detailsOf(view),
  };
}

/** Its size is what it takes in memory, its room for keys and values included. */
function inMemory(view: ExpertView): object {
  const { memory, idleUntilMs = null, files } = view;
  const expiresMs = idleUntilMs ?? Date.now() + FOR_EVER_MS;
  const context = files?.contextTokens ?? null;
  return {
    ...rowOf(view),
    size: (memory?.residentBytes ?? 0) + (memory?.cacheBytes ?? 0),
    expires_at: new Date(expiresMs).toISOString(),
    size_vram: 0,
    ...(context === null ? {} : { context_length: context }),
  };
}

function shown(view: ExpertView): object {
  const { task, license, summary, files, source } = view;
  const family = task ?? '';
  const context = files?.contextTokens ?? null;
  return {
    ...NOTHING_SET,
    license: license ?? '',
    details: detailsOf(view),
    model_info: {
      'general.architecture': family,
      'general.basename': view.id,
      ...(summary === null ? {} : { 'general.description': summary }),
      ...(source === null ? {} : { 'general.source.url': source }),
      ...(context === null ? {} : { [`${family}.context_length`]: context }),
    },
    capabilities: task === null ? [] : CAPABILITIES[task],
  };
}

function screenShow(body: unknown): unknown {
  if (!isObject(body)) return body;
  const kept = screen(body, ['model', 'name'], SHOW_FIELDS);
  const { name, model = name } = kept;
  needModel({ model });
  return { ...kept, model };
}
