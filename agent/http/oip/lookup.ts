/** Finds the experts that paths of the Open Inference Protocol name. */
import { didYouMean } from '../../nearest.ts';
import type { ExpertView, Service } from '../../service.ts';
import { shown } from '../../tensors.ts';
import { FieldError } from '../errors.ts';

export interface ModelPath {
  readonly model: string;
  /** Left out, it is whatever is installed. */
  readonly version?: string;
}

/** Throws FieldError `model_not_found` for what is not installed, nor on its way, and for another version of it. */
export function findModel(service: Service, { model, version }: ModelPath): ExpertView {
  const experts = service.experts();
  const found = experts.find(({ id }) => id === model);
  if (found === undefined) {
    const names = experts.map(({ id }) => id);
    const hint = `${didYouMean(model, names)} POST /v2/repository/index lists what is installed.`.trim();
    throw new FieldError('model_not_found', 'model', `no expert "${shown(model)}" is installed`, hint);
  }
  if (version === undefined || version === found.version) return found;
  throw new FieldError(
    'model_not_found',
    'version',
    `expert "${found.id}" has no version "${shown(version)}"`,
    `Its version is ${found.version ?? 'not known yet'}; leave it out to take what is installed.`,
  );
}

/**
 * One that takes tensors; throws FieldError `wrong_task` for another. An expert that is still being fetched may be one:
 * the core says what there is to wait for.
 */
export function findTensorModel(service: Service, path: ModelPath): ExpertView {
  const found = findModel(service, path);
  if (found.task === 'tensor' || found.task === null) return found;
  const where = found.task === 'feature-extraction' ? '/v1/embeddings' : '/v1/chat/completions';
  const message = `expert "${found.id}" does ${found.task}: it takes no tensors`;
  throw new FieldError('wrong_task', 'model', message, `Ask it through ${where}.`);
}
