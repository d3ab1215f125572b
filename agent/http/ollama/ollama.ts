/** Ollama's API: the same experts, in the words of its clients. */
import type { FastifyInstance } from 'fastify';
import type { Dispatch } from '../dispatch.ts';
import type { Problem } from '../errors.ts';
import { addOllamaEmbed } from './embed.ts';
import { addOllamaModels } from './models.ts';
import { addOllamaRefused } from './refused.ts';
import { addOllamaText } from './text.ts';

export function addOllama(
  app: FastifyInstance,
  dispatch: Dispatch,
  onLateProblem: (path: string) => (problem: Problem) => void,
): void {
  addOllamaText(app, dispatch, onLateProblem);
  addOllamaEmbed(app, dispatch);
  addOllamaModels(app, dispatch);
  addOllamaRefused(app);
}
