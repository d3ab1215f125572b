/**
 * Triton's model repository extension: what there is, and loading and unloading it by hand. Every expert is in it, of
 * whatever task, since each can be loaded. `READY` means in memory; one that is not is loaded by its first request.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ExpertView } from '../../service.ts';
import { type Dispatch, hangUpSignal } from '../dispatch.ts';
import { type FieldTable, isObject, screen } from '../fields.ts';
import { RAW, rawBody } from '../routes.ts';
import { bodyCheck } from '../validate.ts';
import type { ReadJson } from './json.ts';
import { untilLoaded } from './loading.ts';
import { findModel } from './lookup.ts';
import { IndexSchema, LOAD_PARAMETERS, RepositorySchema, UNLOAD_PARAMETERS } from './schema.ts';

type OfModel = { Params: { model: string } };

const checkIndex = bodyCheck(IndexSchema);
const checkRepository = bodyCheck(RepositorySchema);

export function addRepository(app: FastifyInstance, dispatch: Dispatch, read: ReadJson): void {
  const { service } = dispatch;
  app.post('/v2/repository/index', RAW, (request) => {
    const { ready = false } = checkIndex(jsonBody(request, read));
    const rows = service.experts().map(indexRow);
    return ready ? rows.filter(({ state }) => state === 'READY') : rows;
  });
  app.post<OfModel>('/v2/repository/models/:model/load', RAW, async (request, reply) => {
    checkParameters(jsonBody(request, read), LOAD_PARAMETERS);
    await untilLoaded(service, findModel(service, request.params).id, hangUpSignal(reply));
    return done(reply);
  });
  app.post<OfModel>('/v2/repository/models/:model/unload', RAW, async (request, reply) => {
    checkParameters(jsonBody(request, read), UNLOAD_PARAMETERS);
    await service.command('unload', findModel(service, request.params).id);
    return done(reply);
  });
}

function indexRow({ id, version, state, error }: ExpertView) {
  const name = { name: id, version: version ?? '' };
  switch (state) {
    case 'resident':
    case 'parked':
      return { ...name, state: 'READY', reason: '' };
    case 'loading':
    case 'parking':
    case 'unloading':
      return { ...name, state: state.toUpperCase(), reason: '' };
    case 'absent':
      return { ...name, state: 'UNAVAILABLE', reason: error?.message ?? 'it is loaded when it is asked' };
    case 'fetching':
    case 'failed':
    case 'quarantined':
      return { ...name, state: 'UNAVAILABLE', reason: error?.message ?? state };
  }
}

/** Clients of this API send their JSON without a content type, and often no body at all. */
function jsonBody(request: FastifyRequest, read: ReadJson): unknown {
  const bytes = rawBody(request);
  return bytes.length === 0 ? {} : read(bytes.toString());
}

function checkParameters(body: unknown, table: FieldTable): void {
  if (!isObject(body)) {
    checkRepository(body);
    return;
  }
  const { parameters } = body;
  const kept = isObject(parameters) ? screen(parameters, [], table, 'parameters.') : parameters;
  checkRepository(parameters === undefined || parameters === null ? body : { ...body, parameters: kept });
}

function done(reply: FastifyReply): FastifyReply {
  return reply.type('application/json; charset=utf-8').send('{}');
}
