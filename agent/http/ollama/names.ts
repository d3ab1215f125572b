/** Names of models as Ollama writes them: `id`, or `id:latest`, since an expert has one version on a device. */
import type { ExpertId } from '../../types.ts';
import { AUTO, type Dispatch } from '../dispatch.ts';
import { FieldError } from '../errors.ts';

const TAG = ':latest';

/** Expert's id, or null for `auto`. Throws a FieldError in Ollama's words where there is no such expert. */
export function ollamaModel(dispatch: Dispatch, name: string): ExpertId | null {
  const id = name.endsWith(TAG) ? name.slice(0, -TAG.length) : name;
  if (id === AUTO) return null;
  if (dispatch.viewOf(id) !== null) return id;
  const shown = name.length > 80 ? `${name.slice(0, 80).toWellFormed()}...` : name;
  // Clients look for these words to know that they would have to pull it.
  const message = `model "${shown}" not found`;
  throw new FieldError('model_not_found', 'model', message, dispatch.modelHint(id, '/api/tags'));
}

export function tagged(id: ExpertId): string {
  return `${id}${TAG}`;
}
