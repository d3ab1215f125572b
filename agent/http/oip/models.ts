/**
 * The Open Inference Protocol (v2) over `tensor` experts: `/v2`, health, metadata, readiness, inference. Experts of other
 * tasks are refused here: what they do is more than their graph (tokenizers, indexes, caches), and they have APIs that
 * speak of it.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { metadataOf } from '../../datatypes.ts';
import { AgentError } from '../../errors.ts';
import type { ExpertView } from '../../service.ts';
import { AUTO, type Dispatch, hangUpSignal, replyHeaders } from '../dispatch.ts';
import { RAW, rawBody } from '../routes.ts';
import { jsonReader, type ReadJson } from './json.ts';
import { findModel, findTensorModel, type ModelPath } from './lookup.ts';
import { inferReply } from './reply.ts';
import { addRepository } from './repository.ts';
import { checkTensors, readInfer } from './request.ts';

type OfModel = { Params: ModelPath };

const EXTENSIONS = ['binary_tensor_data', 'model_repository', 'model_repository(unload_dependents)'] as const;
/** A model without a version is its only one. */
const MODEL_PATHS = ['/v2/models/:model', '/v2/models/:model/versions/:version'] as const;

export function addInferenceProtocol(app: FastifyInstance, dispatch: Dispatch): void {
  const { service } = dispatch;
  const read = jsonReader(app);
  app.get('/v2', () => ({ name: 'expertd', version: service.health().version, extensions: EXTENSIONS }));
  app.get('/v2/health/live', (_request, reply) => {
    const { live } = service.health();
    return reply.code(live ? 200 : 503).send({ live });
  });
  app.get('/v2/health/ready', (_request, reply) => {
    const { ready } = service.health();
    return reply.code(ready ? 200 : 503).send({ ready });
  });
  for (const path of MODEL_PATHS) {
    app.get<OfModel>(path, (request) => metadata(findTensorModel(service, request.params)));
    app.get<OfModel>(`${path}/ready`, (request, reply) => {
      const expert = findModel(service, request.params);
      const ready = canAnswer(expert);
      return reply.code(ready ? 200 : 503).send({ name: expert.id, ready });
    });
    app.post<OfModel>(`${path}/infer`, RAW, (request, reply) => infer(dispatch, read, request, reply));
  }
  addRepository(app, dispatch, read);
}

async function infer(
  dispatch: Dispatch,
  read: ReadJson,
  request: FastifyRequest<OfModel>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { model } = request.params;
  // The core says what is wrong with `auto`, and records it, as it does for every other way in.
  const expert = model === AUTO ? null : findTensorModel(dispatch.service, request.params);
  const call = readInfer(rawBody(request), request.headers, read);
  if (expert !== null && expert.graph !== null) checkTensors(call, expert.graph);
  const { inputs, outputs } = call;
  const answered = await dispatch.ask(
    {
      want: 'tensors',
      model: expert?.id ?? null,
      ask: { kind: 'tensors', inputs, outputs },
      waitMs: null,
      keepAliveMs: null,
    },
    {},
    hangUpSignal(reply),
  );
  const { answer } = answered;
  if (answer?.kind !== 'tensors')
    throw new AgentError('internal', 'a request for tensors got another answer');
  const name = answered.expert ?? model;
  const { headers, body } = inferReply({ name, version: expert?.version ?? '' }, call, answer.outputs);
  return reply.headers({ ...replyHeaders(answered), ...headers }).send(body);
}

function metadata({ id, version, graph }: ExpertView): object {
  return {
    name: id,
    versions: version === null ? [] : [version],
    platform: 'onnx',
    inputs: metadataOf(graph?.inputs ?? {}),
    outputs: metadataOf(graph?.outputs ?? {}),
  };
}

/** Can be asked now; one that is not in memory is loaded by the request. */
export function canAnswer({ state }: ExpertView): boolean {
  return state !== 'fetching' && state !== 'failed' && state !== 'quarantined';
}
