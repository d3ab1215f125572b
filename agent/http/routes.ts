/** Fits a fastify instance to our manners: 404 and 405 that say what would work, JSON bodies, oversized bodies. */
import type { FastifyContextConfig, FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify';
import { AgentError } from '../errors.ts';
import { didYouMean } from '../nearest.ts';
import { bodyTooLarge, unsupportedMediaType } from './errors.ts';
import { utf8Of } from './unicode.ts';

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
    /** The body is JSON, whatever it is said to be: clients of the API send it without a content type. */
    readonly anyType?: boolean;
  }
}

type Parsed = (error: Error | null, body?: unknown) => void;

/** Options of a route whose handler reads the body itself, by `rawBody`. */
export const RAW: { readonly config: FastifyContextConfig } = { config: { rawBody: true } };

/** Options of a route that takes JSON of any content type. */
export const ANY_TYPE: { readonly config: FastifyContextConfig } = { config: { anyType: true } };

/** The body of a route with the options `RAW`; empty where there is none. */
export function rawBody({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

/**
 * JSON in UTF-8 alone, an empty body being none; `__proto__` and `constructor` as keys are refused. Routes with `RAW`
 * get the bytes, of any content type or none.
 */
export function addBodyParsers(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  const isRaw = (request: FastifyRequest): boolean => request.routeOptions.config.rawBody === true;
  const parse = (request: FastifyRequest, body: Buffer, done: Parsed): void => {
    if (body.length === 0) return done(null, undefined);
    try {
      void parseJson(request, utf8Of(body), done);
    } catch (error) {
      done(error as Error);
    }
  };
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (isRaw(request)) done(null, body);
    else parse(request, body, done);
  });
  app.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (request, body, done) => {
    const { config } = request.routeOptions;
    if (isRaw(request)) done(null, body);
    else if (config.anyType === true) parse(request, body, done);
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
