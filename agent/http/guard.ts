/**
 * Who may call. A server on loopback is still within reach of every web page its user opens, so: the Host header must
 * be a name of ours (a page that rebinds its DNS name sends its own), a page of another origin may not change
 * anything (a form can POST without asking first), and off loopback there is a bearer token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { AgentError } from '../errors.ts';

export interface GuardOptions {
  /** Address that is bound. */
  readonly host: string;
  readonly token: string | null;
  readonly allowedHosts: readonly string[];
  readonly corsOrigins: readonly string[];
}

/**
 * Paths that need no token: probes say how the process is and nothing of what it knows, and the page is the same
 * everywhere: it asks its reader for the token, since a browser sends none when it opens an address.
 */
export const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz', '/', '/page/:file']);

export class Guard {
  readonly #token: Buffer | null;
  readonly #hosts: ReadonlySet<string>;
  readonly #anyAddress: boolean;
  readonly #origins: ReadonlySet<string>;

  /** Throws AgentError `bad_config` where the server would be open to the network without a token. */
  constructor(options: GuardOptions) {
    if (!isLoopback(options.host) && options.token === null) {
      throw new AgentError(
        'bad_config',
        `http.host is ${options.host}, which others can reach, and there is no token`,
        {
          hint: 'Set EXPERTD_HTTP_TOKEN or http.tokenFile (16 characters or more), or bind 127.0.0.1.',
        },
      );
    }
    this.#token = options.token === null ? null : digest(options.token);
    this.#hosts = new Set(['localhost', options.host, ...options.allowedHosts].map(hostName));
    this.#anyAddress = ['0.0.0.0', '::'].includes(options.host);
    this.#origins = new Set(options.corsOrigins.map((origin) => origin.toLowerCase()));
  }

  /** Throws an AgentError where the call is not allowed. `path` has no query. */
  admit(method: string, path: string, headers: IncomingHttpHeaders): void {
    const host = headers.host ?? '';
    if (!this.#isOurs(hostName(host))) {
      throw new AgentError(
        'forbidden_host',
        `the Host header "${host.slice(0, 100)}" is not a name of this server`,
        {
          hint: 'Call it by the address it is bound to, or add the name to http.allowedHosts.',
        },
      );
    }
    const { origin } = headers;
    const reads = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
    if (!reads && origin !== undefined && !isSameOrigin(origin, host) && !this.isCorsOrigin(origin)) {
      throw new AgentError(
        'forbidden_origin',
        `pages of "${origin.slice(0, 100)}" may not call this server`,
        {
          hint: 'Add the origin to http.corsOrigins.',
        },
      );
    }
    if (method !== 'OPTIONS' && !OPEN_PATHS.has(path)) this.#checkToken(headers.authorization);
  }

  isCorsOrigin(origin: string): boolean {
    return this.#origins.has('*') || this.#origins.has(origin.toLowerCase());
  }

  /** Bound to every address, a request may name any of them: an address is nothing that DNS can rebind. */
  #isOurs(host: string): boolean {
    return this.#hosts.has(host) || isLoopback(host) || (this.#anyAddress && isIP(host) > 0);
  }

  #checkToken(authorization: string | undefined): void {
    if (this.#token === null) return;
    const sent = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    // Digests are of one length, so the comparison takes the same time whatever was sent.
    if (sent !== undefined && timingSafeEqual(digest(sent), this.#token)) return;
    throw new AgentError(
      'unauthorized',
      sent === undefined ? 'a bearer token is needed' : 'the bearer token is wrong',
      {
        hint: 'Send "authorization: Bearer TOKEN" with the token of EXPERTD_HTTP_TOKEN or http.tokenFile.',
      },
    );
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** `Example.org:80` -> `example.org`, `[::1]:80` -> `::1`; an IPv6 address without brackets stays as it is. */
function hostName(host: string): string {
  const lower = host.trim().toLowerCase();
  if (lower.startsWith('[')) return lower.slice(1, Math.max(1, lower.indexOf(']')));
  const colon = lower.indexOf(':');
  const name = colon < 0 || colon !== lower.lastIndexOf(':') ? lower : lower.slice(0, colon);
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** Of one host and port; a proxy in front of this server may have taken the TLS off. */
function isSameOrigin(origin: string, host: string): boolean {
  return (
    /^https?:\/\//i.test(origin) &&
    origin.slice(origin.indexOf('//') + 2).toLowerCase() === host.toLowerCase()
  );
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
