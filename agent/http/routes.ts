/** Fits a fastify instance to our manners: 404 and 405 that say what would work, JSON bodies, oversized bodies. */
import type { FastifyContextConfig, FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify';
import { AgentError } from '../errors.ts';
import { didYouMean } from '../nearest.ts';
import { bodyTooLarge, unsupportedMediaType } from './errors.ts';

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
/** A refused body is read to its end, so that the client sees the reply and not a broken pipe; but only so much. */
const MAX_DRAIN_BYTES = 64 * 1_048_576;

/** The methods of every path. */
export type Routes = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Runs `add`, which adds routes, and answers every other method on their paths with 405 and Allow, every other path
 * with 404. Returns what `add` added.
 */
export function addRoutes(app: FastifyInstance, add: () => void): Routes {
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
  return methods;
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

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The handler gets the bytes of the body, whatever they are said to be. */
    readonly rawBody?: boolean;
  }
}

/** Options of a route whose handler reads the body itself, by `rawBody`. */
export const RAW: { readonly config: FastifyContextConfig } = { config: { rawBody: true } };

/** The body of a route with the options `RAW`; empty where there is none. */
export function rawBody({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

/**
 * JSON alone, an empty body being none; `__proto__` and `constructor` as keys are refused. Routes with `RAW` get the
 * bytes, of any content type or none.
 */
export function addBodyParsers(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  const isRaw = (request: FastifyRequest): boolean => request.routeOptions.config.rawBody === true;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (isRaw(request)) done(null, body);
    else if (body.length === 0) done(null, undefined);
    else parse(request, body.toString(), done);
  });
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => {
    if (isRaw(request)) done(null, body);
    else done(unsupportedMediaType());
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
