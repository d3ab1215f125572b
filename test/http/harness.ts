/** A server over the fake service, and the few calls that all HTTP tests make. */
import type { Response } from 'light-my-request';
import { type HttpOptions, HttpServer } from '../../agent/http/server.ts';
import { FakeService } from '../fakes/service.ts';

export const LOCAL: HttpOptions = {
  host: '127.0.0.1',
  port: 0,
  token: null,
  allowedHosts: [],
  corsOrigins: [],
  maxBodyBytes: 1_048_576,
};

export interface Harness {
  readonly service: FakeService;
  readonly server: HttpServer;
  /** What the server logged. */
  readonly logged: object[];
  get(url: string, headers?: Record<string, string>): Promise<Response>;
  post(url: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

export function harness(options: Partial<HttpOptions> = {}): Harness {
  const service = new FakeService();
  const logged: object[] = [];
  const log = { error: (details: object) => void logged.push(details) };
  const server = new HttpServer(service, { ...LOCAL, ...options }, log);
  const send = (method: 'GET' | 'POST', url: string, body: unknown, headers: Record<string, string>) =>
    server.app.inject({
      method,
      url,
      headers: { host: '127.0.0.1:8484', ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    });
  return {
    service,
    server,
    logged,
    get: (url, headers = {}) => send('GET', url, undefined, headers),
    post: (url, body, headers = {}) => send('POST', url, body, headers),
  };
}

export const user = (content: string) => [{ role: 'user', content }];
