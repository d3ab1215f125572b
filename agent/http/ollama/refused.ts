/** What Ollama's API does to models and expertd does not over HTTP: refused, with the way that it is done here. */
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { AgentError } from '../../errors.ts';
import { RAW } from '../routes.ts';

interface Refused {
  readonly methods: readonly HTTPMethods[];
  readonly path: string;
  readonly what: string;
  readonly instead: string;
}

const FROM_FOLDERS = 'Run "expertd add FOLDER" with the folder of a Hugging Face repository.';

export const REFUSED: readonly Refused[] = [
  {
    methods: ['POST'],
    path: '/api/pull',
    what: 'models are not pulled from a registry',
    instead: `Name the expert and its sources in the configuration, or: ${FROM_FOLDERS}`,
  },
  {
    methods: ['POST'],
    path: '/api/push',
    what: 'models are not pushed',
    instead: 'An expert is a folder: copy it.',
  },
  {
    methods: ['POST'],
    path: '/api/create',
    what: 'models are not made from a Modelfile',
    instead: `${FROM_FOLDERS} A system prompt of its own makes an assistant of one.`,
  },
  {
    methods: ['POST'],
    path: '/api/copy',
    what: 'models have one name',
    instead: 'An expert is a folder: copy it, and give it another id.',
  },
  {
    methods: ['DELETE'],
    path: '/api/delete',
    what: 'models are not removed by requests',
    instead: 'Run "expertd remove ID"; "keep_alive": 0 in a request without a prompt only unloads.',
  },
  {
    methods: ['HEAD', 'POST'],
    path: '/api/blobs/:digest',
    what: 'files are not taken by requests',
    instead: FROM_FOLDERS,
  },
];

export function addOllamaRefused(app: FastifyInstance): void {
  for (const { methods, path, what, instead } of REFUSED) {
    app.route({
      ...RAW,
      method: [...methods],
      url: path,
      // Before a body of any size is read.
      onRequest: (_request, _reply, done) => done(new AgentError('not_supported', what, { hint: instead })),
      handler: () => Promise.reject(new AgentError('not_supported', what, { hint: instead })),
    });
  }
}
