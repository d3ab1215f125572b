/** `/livez`, `/readyz`, `/healthz`, `/metrics`: what supervisors and scrapers read. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Service } from '../service.ts';
import type { Metrics } from './metrics.ts';

export function addProbes(app: FastifyInstance, service: Service, metrics: Metrics): void {
  app.get('/livez', (_request, reply) => probe(reply, service.health().live));
  app.get('/readyz', (_request, reply) => probe(reply, service.health().ready));
  app.get('/healthz', (_request, reply) => {
    const { live, ready, version, uptimeMs, problems } = service.health();
    // Needs no token, so it gives codes and no sentences: those can hold paths.
    const codes = problems.map((problem) => problem.code);
    const body = { live, ready, version, uptime_seconds: Math.round(uptimeMs / 1_000), problems: codes };
    return reply.code(live ? 200 : 503).send(body);
  });
  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.text();
    return reply.type(metrics.contentType).send(text);
  });
}

function probe(reply: FastifyReply, ok: boolean): FastifyReply {
  return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'unavailable' });
}
