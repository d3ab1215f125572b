/** Where packages come from: folders of this device, and servers. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { AgentError } from '../errors.ts';

/** Opens a file of a source by its path inside the package. Rejects with AgentError `fetch_failed`. */
export type Opener = (path: string, signal: AbortSignal) => Promise<Readable>;

/** A server that has not begun to answer after this long is given up. */
const ANSWER_MS = 30_000;
const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Throws AgentError `fetch_failed` for what is neither `file:`, `https:`, nor `http:` to loopback. */
export function opener(uri: string): Opener {
  if (uri.startsWith('file:')) return folderOpener(uri);
  const base = URL.canParse(uri) ? new URL(uri.endsWith('/') ? uri : `${uri}/`) : null;
  if (base === null || (base.protocol !== 'https:' && !isPlainLoopback(base))) {
    throw new AgentError('fetch_failed', `the source ${uri} is neither file: nor https:`, {
      hint: 'Use file:FOLDER or https://HOST/FOLDER.',
    });
  }
  return async (path, signal) =>
    httpOpen(new URL(path.split('/').map(encodeURIComponent).join('/'), base), signal);
}

function folderOpener(uri: string): Opener {
  const folder = uri.startsWith('file://') ? folderOfUrl(uri) : uri.slice('file:'.length);
  return async (path) => {
    const file = join(folder, path);
    const found = await stat(file).catch(() => null);
    if (found?.isFile() === true) return createReadStream(file);
    throw new AgentError('fetch_failed', `${file} does not exist`, { hint: 'Check the path of the source.' });
  };
}

function folderOfUrl(uri: string): string {
  try {
    return fileURLToPath(uri);
  } catch (cause) {
    throw new AgentError('fetch_failed', `the source ${uri} names no folder of this device`, {
      hint: 'Use file:FOLDER, or file:///FOLDER with the bytes of special characters as %20.',
      cause,
    });
  }
}

/** Loopback needs no TLS: nobody is in between. */
function isPlainLoopback({ protocol, hostname }: URL): boolean {
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127\.[0-9.]+$/.test(hostname);
  return protocol === 'http:' && isLoopback;
}

/** Follows redirects to any host, as hubs send to their stores, and never from what is safe to what is not. */
async function httpOpen(url: URL, signal: AbortSignal): Promise<Readable> {
  let at = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await request(at, signal);
    const location = response.headers.get('location');
    if (!REDIRECTS.has(response.status) || location === null) return bodyOf(response, at);
    await response.body?.cancel();
    at = nextHop(at, location);
  }
  throw new AgentError('fetch_failed', `${shown(url)} redirects more than ${MAX_REDIRECTS} times`);
}

async function request(url: URL, signal: AbortSignal): Promise<Response> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), ANSWER_MS);
  try {
    return await fetch(url, { signal: AbortSignal.any([signal, patience.signal]), redirect: 'manual' });
  } catch (cause) {
    signal.throwIfAborted();
    const why = patience.signal.aborted ? `no answer within ${ANSWER_MS / 1_000} s` : reasonOf(cause);
    throw new AgentError('fetch_failed', `${shown(url)} could not be reached: ${why}`, {
      retryable: true,
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** `fetch` hides what went wrong one level below. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}

async function bodyOf(response: Response, url: URL): Promise<Readable> {
  if (response.ok && response.body !== null) return Readable.fromWeb(response.body);
  await response.body?.cancel();
  const retryable = response.status >= 500 || response.status === 429 || response.status === 408;
  throw new AgentError('fetch_failed', `${shown(url)} answered ${response.status}`, { retryable });
}

function nextHop(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : null;
  if (to !== null && (to.protocol === 'https:' || (isPlainLoopback(to) && isPlainLoopback(from)))) return to;
  const where = to === null ? 'what is no address' : `${shown(to)}, which is not https`;
  throw new AgentError('fetch_failed', `${shown(from)} redirects to ${where}`);
}

/** Without the query: stores put signatures there. */
function shown({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}
