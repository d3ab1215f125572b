/**
 * The page at `/`, for a person in front of the device: static files that ask the same API as everybody else. They hold
 * nothing of what the agent knows, so they need no token.
 */
import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AgentError } from '../../errors.ts';
import { SOURCES } from './sources.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/**
 * Nothing but files of this server runs or is shown, and no text becomes markup: the browser itself refuses
 * `innerHTML` and its like under `require-trusted-types-for`.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // Asked for each time and answered with 304: an agent that was renewed never meets an old page.
  'cache-control': 'no-cache',
} as const;

interface PageFile {
  readonly text: string;
  readonly type: string;
  readonly etag: string;
}

const FILES: ReadonlyMap<string, PageFile> = new Map(
  Object.entries(SOURCES).map(([name, text]) => {
    const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`;
    return [name, { text, type: TYPES[extname(name)] ?? 'text/plain; charset=utf-8', etag }];
  }),
);

export function addPage(app: FastifyInstance): void {
  app.get('/', (request, reply) => {
    void reply.header('vary', 'accept');
    if (wantsHtml(request)) return sendFile('index.html', request, reply);
    // Ollama's clients look for these words, to know that there is somebody to ask.
    return reply.type('text/plain; charset=utf-8').send('Ollama is running');
  });
  app.get<{ Params: { file: string } }>('/page/:file', (request, reply) =>
    sendFile(request.params.file, request, reply),
  );
}

/** Browsers ask for `text/html` by name; everything else that calls `/` takes whatever comes. */
function wantsHtml({ headers }: FastifyRequest): boolean {
  return /(^|[\s,])text\/html\b/i.test(headers.accept ?? '');
}

function sendFile(name: string, { headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const file = FILES.get(name);
  if (file === undefined)
    throw new AgentError('not_found', `the page has no file "${name.slice(0, 80)}"`, {
      hint: 'The page itself is at /.',
    });
  void reply.headers({ ...HEADERS, etag: file.etag });
  if (headers['if-none-match'] === file.etag) return reply.code(304).send();
  return reply.type(file.type).send(file.text);
}
