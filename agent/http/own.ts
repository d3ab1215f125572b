/** `/expertd/v1/`: what the agent knows and does, for the CLI and for people with curl. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AgentError } from '../errors.ts';
import type { ExpertView, Service } from '../service.ts';
import { splitMessage } from '../words.ts';
import type { Dispatch } from './dispatch.ts';
import { FieldError } from './errors.ts';
import { bodyCheck, queryCheck } from './validate.ts';

const strict = { additionalProperties: false } as const;
export const COMMANDS = ['load', 'park', 'unload', 'pin', 'unpin', 'clear'] as const;

export const RouteSchema = Type.Object({ question: Type.String({ minLength: 1 }) }, strict);
export const CommandSchema = Type.Object({}, strict);
export const DecisionsQuerySchema = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: '20 unless it is said.' })),
    before: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Only decisions before it.',
      }),
    ),
    expert: Type.Optional(Type.String({ maxLength: 64, description: 'Only those that chose it.' })),
  },
  strict,
);

const checkRoute = bodyCheck(RouteSchema);
const checkCommand = bodyCheck(CommandSchema);
const checkQuery = queryCheck(DecisionsQuerySchema);

type ById = { Params: { id: string } };

export function addOwnApi(app: FastifyInstance, dispatch: Dispatch): void {
  const { service } = dispatch;
  app.get('/expertd/v1/state', () => ({ ...service.state(), health: service.health() }));
  app.get('/expertd/v1/experts', () => ({ experts: service.experts() }));
  app.get<ById>('/expertd/v1/experts/:id', (request) => expertOf(dispatch, request.params.id));
  for (const command of COMMANDS) {
    app.post<ById>(`/expertd/v1/experts/:id/${command}`, (request) => {
      checkCommand(request.body ?? {});
      return service.command(command, expertOf(dispatch, request.params.id).id);
    });
  }
  app.post('/expertd/v1/route', (request) => {
    const { question } = checkRoute(request.body);
    if (question.trim() === '') throw new FieldError('bad_input', 'question', '"question" is empty');
    return service.route(splitMessage(question));
  });
  app.post('/expertd/v1/reload', async (request) => {
    checkCommand(request.body ?? {});
    await service.reload();
    return { experts: service.experts() };
  });
  addDecisions(app, service);
}

function addDecisions(app: FastifyInstance, service: Service): void {
  app.get('/expertd/v1/decisions', (request) => {
    const { limit = 20, before = null, expert = null } = checkQuery(request.query);
    const decisions = service.decisions({ limit, before, expert });
    const last = decisions.at(-1);
    return { decisions, next: decisions.length === limit && last !== undefined ? last.id : null };
  });
  app.get<ById>('/expertd/v1/decisions/:id', (request) => {
    const { id } = request.params;
    const found = /^\d{1,15}$/.test(id) ? service.explain(Number(id)) : null;
    if (found !== null) return found;
    throw new AgentError('not_found', `there is no decision "${id.slice(0, 40)}"`, {
      hint: 'GET /expertd/v1/decisions lists them; old ones are removed by log.maxRows and log.maxBytes.',
    });
  });
}

function expertOf(dispatch: Dispatch, id: string): ExpertView {
  const found = dispatch.service.experts().find((expert) => expert.id === id);
  if (found !== undefined) return found;
  throw new FieldError('model_not_found', 'id', `no expert "${id}" is installed`, dispatch.modelHint(id));
}
