/** Fits a fastify instance to our manners: 404 and 405 that say what would work, JSON bodies, oversized bodies. */
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { AgentError } from '../errors.ts';
import { didYouMean } from '../nearest.ts';
import { bodyTooLarge } from './errors.ts';

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
/** A refused body is read to its end, so that the client sees the reply and not a broken pipe; but only so much. */
const MAX_DRAIN_BYTES = 64 * 1_048_576;

/**
 * Runs `add`, which adds routes, and answers every other method on their paths with 405 and Allow, every other path
 * with 404.
 */
export function addRoutes(app: FastifyInstance, add: () => void): void {
  const methods = new Map<string, Set<string>>();
  let collecting = true;
  app.addHook('onRoute', ({ url, method }) => {
    if (!collecting) return;
    const known = methods.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one.toUpperCase());
    methods.set(url, known);
  });
  add();
  collecting = false;
  for (const [url, known] of methods) refuseOthers(app, url, [...known]);
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?')[0] ?? '';
    const guess = didYouMean(path, methods.keys()).trim();
    throw new AgentError(
      'not_found',
      `there is nothing at ${path.slice(0, 200)}`,
      guess === '' ? {} : { hint: guess },
    );
  });
}

function refuseOthers(app: FastifyInstance, url: string, known: readonly string[]): void {
  const allow = known.join(', ');
  const refusal = (): AgentError =>
    new AgentError('method_not_allowed', `${url} does not take this method`, { hint: `Use ${allow}.` });
  app.route({
    method: METHODS.filter((method) => !known.includes(method)),
    url,
    // Before the body is parsed: its faults do not matter any more.
    onRequest: (_request, reply, done) => {
      void reply.header('allow', allow);
      done(refusal());
    },
    handler: () => Promise.reject(refusal()),
  });
}

/** JSON alone, an empty body being none; `__proto__` and `constructor` as keys are refused. */
export function addJsonParser(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else parse(request, String(body), done);
  });
}

/** Answers a body that declares itself too large before it is kept anywhere. */
export function addBodyLimit(app: FastifyInstance, maxBytes: number): void {
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const declared = Number(request.headers['content-length'] ?? 0);
    if (declared <= maxBytes) {
      done(null, payload);
      return;
    }
    const refuse = (): void => done(bodyTooLarge(maxBytes));
    if (declared > MAX_DRAIN_BYTES) {
      refuse();
      return;
    }
    payload.once('end', refuse);
    payload.once('error', refuse);
    payload.resume();
  });
}
