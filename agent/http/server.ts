/**
 * The local HTTP server: probes, metrics, the APIs of OpenAI, Ollama and the Open Inference
 * Protocol and expertd's own, over one Service. Fastify's schema machinery
 * is left unloaded: bodies are checked in validate.ts, and replies are plain JSON.
 */
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { AgentError, whereOf } from '../errors.ts';
import type { Service } from '../service.ts';
import { Dispatch } from './dispatch.ts';
import { errorBodyAt, headersOf, type Problem, problemOf } from './errors.ts';
import { addEvents } from './events.ts';
import { Guard } from './guard.ts';
import { Metrics } from './metrics.ts';
import { addInferenceProtocol } from './oip/models.ts';
import { addOllama } from './ollama/ollama.ts';
import { addChat, addText } from './openai/chat.ts';
import { addEmbeddings } from './openai/embeddings.ts';
import { addModels } from './openai/models.ts';
import { addOpenApi } from './openapi/openapi.ts';
import { addOwnApi } from './own.ts';
import { addPage } from './page/page.ts';
import { addProbes } from './probes.ts';
import { addBodyLimit, addBodyParsers, addRoutes, type Routes } from './routes.ts';

/** As much of pino as the server needs. */
export interface HttpLog {
  error(details: object, message: string): void;
}

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  /** The bearer token, read from wherever it was kept; null where there is none. */
  readonly token: string | null;
  readonly allowedHosts: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly maxBodyBytes: number;
}

/** A client has this long to send a whole request. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Status in the metrics for a client that hung up before its reply was complete. */
const HUNG_UP = 499;
const CORS = {
  vary: 'origin',
  'access-control-expose-headers':
    'retry-after, inference-header-content-length, x-expertd-decision, x-expertd-expert, x-expertd-confidence, x-expertd-residency, x-expertd-degraded, x-expertd-abstained',
} as const;

export class HttpServer {
  /** For tests, which inject requests without a socket. */
  readonly app: FastifyInstance;
  /** What it answers to, without the refusals of other methods. */
  readonly routes: Routes;
  readonly #options: HttpOptions;
  readonly #service: Service;
  readonly #log: HttpLog;
  readonly #guard: Guard;
  readonly #metrics: Metrics;

  /** Throws AgentError `bad_config` where others could reach the server and there is no token. */
  constructor(service: Service, options: HttpOptions, log: HttpLog) {
    this.#service = service;
    this.#options = options;
    this.#log = log;
    this.#guard = new Guard(options);
    this.#metrics = new Metrics(service);
    this.app = fastify({
      bodyLimit: options.maxBodyBytes,
      requestTimeout: REQUEST_TIMEOUT_MS,
      forceCloseConnections: 'idle',
      // While it closes, the service refuses with words of its own.
      return503OnClosing: false,
      schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
      frameworkErrors: (error, request, reply) => {
        void this.#fail(error, request, reply);
      },
    });
    this.routes = this.#build();
  }

  /** Resolves with the URL once it listens. Rejects with an AgentError that names the address. */
  async start(): Promise<string> {
    const { host, port } = this.#options;
    try {
      await this.app.listen({ host, port });
    } catch (error) {
      throw listenError(error, host, port);
    }
    const address = this.app.server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    return `http://${urlHost(host)}:${bound}`;
  }

  /** Takes no more requests and ends the rest: politely until the deadline, then at once. */
  async stop(deadlineMs: number): Promise<void> {
    const timer = setTimeout(() => this.app.server.closeAllConnections(), deadlineMs);
    try {
      await this.app.close();
    } finally {
      clearTimeout(timer);
    }
  }

  #build(): Routes {
    const { app } = this;
    const dispatch = new Dispatch(this.#service, this.#metrics);
    app.setErrorHandler((error, request, reply) => this.#fail(error, request, reply));
    app.addHook('onRequest', (request, reply, done) => {
      this.#admit(request, reply, done);
    });
    addBodyParsers(app);
    addBodyLimit(app, this.#options.maxBodyBytes);
    return addRoutes(app, () => {
      addProbes(app, this.#service, this.#metrics);
      addModels(app, dispatch);
      const lateAt = (path: string) => (problem: Problem) => this.#report(problem, path);
      addChat(app, dispatch, lateAt('/v1/chat/completions'));
      addText(app, dispatch, lateAt('/v1/completions'));
      addEmbeddings(app, dispatch);
      addInferenceProtocol(app, dispatch);
      addOllama(app, dispatch, lateAt);
      addOwnApi(app, dispatch);
      addEvents(app, this.#service);
      addPage(app);
      addOpenApi(app, this.#service);
    });
  }

  #admit(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
    this.#measure(request, reply);
    const { method, headers } = request;
    const origin = headers.origin;
    const allowed = origin !== undefined && this.#guard.isCorsOrigin(origin);
    if (allowed) void reply.headers({ ...CORS, 'access-control-allow-origin': origin });
    try {
      this.#guard.admit(method, request.routeOptions.url ?? '', headers);
    } catch (error) {
      done(error as AgentError);
      return;
    }
    if (method === 'OPTIONS' && allowed) void preflight(reply);
    else done();
  }

  #measure(request: FastifyRequest, reply: FastifyReply): void {
    const sinceMs = performance.now();
    reply.raw.once('close', () => {
      const status = reply.raw.writableEnded ? reply.raw.statusCode : HUNG_UP;
      const route = request.routeOptions.url ?? 'unmatched';
      this.#metrics.served(route, request.method, status, (performance.now() - sinceMs) / 1_000);
    });
  }

  #fail(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const problem = problemOf(error, this.#options.maxBodyBytes);
    if (problem.unexpected) this.#report(problem, request.routeOptions.url ?? 'unmatched', error);
    return reply.code(problem.status).headers(headersOf(problem)).send(errorBodyAt(request.url, problem));
  }

  #report(problem: Problem, route: string, error?: unknown): void {
    this.#log.error({ route, failure: problem.failure, thrown: whereOf(error) }, 'a request failed');
  }
}

function preflight(reply: FastifyReply): FastifyReply {
  const headers = {
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers':
      'authorization, content-type, last-event-id, inference-header-content-length',
    'access-control-max-age': '600',
  };
  return reply.code(204).headers(headers).send();
}

function noSchemas(): never {
  throw new Error('routes have no fastify schemas: bodies are checked in validate.ts');
}

function listenError(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  const known: Readonly<Record<string, readonly [string, string]>> = {
    EADDRINUSE: ['is in use', 'Stop what uses it, or choose another with --port; 0 takes any free one.'],
    EACCES: ['may not be used', 'Ports below 1024 need privileges: choose another with --port.'],
    EADDRNOTAVAIL: ['is not an address of this machine', 'Set http.host to one that is, as 127.0.0.1.'],
    ENOTFOUND: ['is not known to the resolver', 'Set http.host to an address, as 127.0.0.1.'],
  };
  const [what, hint] = known[String(code)] ?? [];
  if (what === undefined || hint === undefined) return error;
  return new AgentError('cannot_listen', `${urlHost(host)}:${port} ${what}`, { hint, cause: error });
}

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
