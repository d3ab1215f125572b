/** `GET /v1/models` and `/v1/models/{id}`: `auto` first, then what is installed. */
import type { FastifyInstance } from 'fastify';
import type { ExpertView } from '../../service.ts';
import { AUTO, type Dispatch } from '../dispatch.ts';
import { FieldError } from '../errors.ts';

export function addModels(app: FastifyInstance, dispatch: Dispatch): void {
  const startedMs = Date.now() - dispatch.service.health().uptimeMs;
  const created = Math.floor(startedMs / 1_000);
  const auto = {
    id: AUTO,
    object: 'model',
    created,
    owned_by: 'expertd',
    expertd: { summary: 'Routes each request to the expert that knows most about it.' },
  };
  const model = ({ id, version, task, state, summary }: ExpertView) => ({
    id,
    object: 'model',
    created,
    owned_by: 'expertd',
    expertd: { version, task, state, summary },
  });
  const installed = () => dispatch.service.experts().filter(isInstalled);

  app.get('/v1/models', () => ({ object: 'list', data: [auto, ...installed().map(model)] }));
  app.get<{ Params: { id: string } }>('/v1/models/:id', (request) => {
    const { id } = request.params;
    if (id === AUTO) return auto;
    const found = installed().find((expert) => expert.id === id);
    if (found !== undefined) return model(found);
    throw new FieldError(
      'model_not_found',
      'model',
      `no expert "${id}" is installed`,
      dispatch.modelHint(id),
    );
  });
}

/** On the device, whether or not it is in memory. */
export function isInstalled(expert: ExpertView): boolean {
  return expert.state !== 'fetching' && expert.state !== 'failed';
}
