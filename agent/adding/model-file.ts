/** Which of a folder's ONNX files is the model, what its graph takes and gives, and where its weights lie. */
import { basename, posix } from 'node:path';
import { AgentError } from '../errors.ts';
import type { OnnxModel } from '../onnx/model.ts';
import { type Signature, signatureOf, weightFiles } from '../onnx/signature.ts';
import { readSkeleton } from '../onnx/skeleton.ts';
import type { ModelFolder } from './model-folder.ts';
import { type ExportTask, exportHint, refusal } from './refusal.ts';

export interface ModelFile {
  readonly path: string;
  readonly precision: string;
  readonly signature: Signature;
  /** Files of weights, relative to the folder. */
  readonly weights: readonly string[];
  /** Other models that lie there. */
  readonly others: readonly string[];
}

/** Precisions by the end of a file's name, the best for a small CPU first. */
const PRECISIONS: readonly (readonly [ending: string, precision: string])[] = [
  ['int8', 'int8'],
  ['quantized', 'int8'],
  ['uint8', 'uint8'],
  ['q8', 'int8'],
  ['q4', 'int4'],
  ['bnb4', 'int4'],
  ['q4f16', 'int4 and fp16'],
  ['fp16', 'fp16'],
  ['', 'fp32'],
];
/** Names of exports that hold the whole model, and in the second place of decoders that keep what they have read. */
const NAME = /^(?:model|decoder_model|decoder_with_past_model)(?:_(.+))?\.onnx$/;
/** protobuf's own limit: a larger model keeps its weights beside it. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/**
 * Reads the model that `wanted` names, or the one that suits a small device best. Throws an AgentError where there is
 * none, or where it or its weights cannot be used; `task` is for the hint.
 */
export function readModelFile(
  folder: ModelFolder,
  wanted: string | null,
  task: ExportTask | null,
): ModelFile {
  const all = folder.files().filter((path) => path.endsWith('.onnx'));
  const path = wanted === null ? choose(all, task) : named(all, posix.normalize(wanted));
  const model = parse(folder, path);
  return {
    path,
    precision: precisionOf(path) ?? 'unknown',
    signature: signatureOf(model),
    weights: weightsOf(folder, path, model),
    others: all.filter((other) => other !== path),
  };
}

function choose(all: readonly string[], task: ExportTask | null): string {
  if (all.length === 0) throw refusal('the folder holds no ONNX model', exportHint(task));
  const rank = (path: string): number => {
    const at = PRECISIONS.findIndex(([ending]) => ending === endingOf(path));
    return at < 0 ? PRECISIONS.length : at;
  };
  const [best] = all
    .filter((path) => endingOf(path) !== null || all.length === 1)
    .sort((a, b) => rank(a) - rank(b) || a.length - b.length || (a < b ? -1 : 1));
  if (best !== undefined) return best;
  throw refusal(`none of ${all.join(', ')} is named as a model is`, 'Say which one it is: --model PATH');
}

function named(all: readonly string[], wanted: string): string {
  if (all.includes(wanted)) return wanted;
  const there = all.length === 0 ? 'It holds none.' : `There are: ${all.join(', ')}.`;
  throw refusal(`the folder holds no model ${wanted}`, there);
}

/** `int8` of `model_int8.onnx`, nothing of `model.onnx`; null where the name says nothing of the kind. */
function endingOf(path: string): string | null {
  const match = NAME.exec(posix.basename(path));
  return match === null ? null : (match[1] ?? '');
}

function precisionOf(path: string): string | null {
  const ending = endingOf(path);
  return PRECISIONS.find(([known]) => known === ending)?.[1] ?? null;
}

function parse(folder: ModelFolder, path: string): OnnxModel {
  const found = folder.find(path);
  if (found === null) throw refusal(`${path} is a link that leads nowhere`, 'Fetch the folder again.');
  if (found.bytes > MAX_MODEL_BYTES)
    throw refusal(`${path} has ${found.bytes} bytes, more than any ONNX file may`, 'Fetch it again.');
  try {
    return readSkeleton(found.file);
  } catch (cause) {
    if (!(cause instanceof AgentError)) throw cause;
    throw refusal(`${path} is ${cause.message}`, cause.hint ?? 'Fetch it again.', cause);
  }
}

/** Throws unless every file of weights lies in the folder and is long enough. */
function weightsOf(folder: ModelFolder, model: string, parsed: OnnxModel): readonly string[] {
  // The reader names the model itself where weights lie in it.
  const beside = weightFiles(parsed).filter(({ location }) => location !== basename(model));
  return beside.map(({ location, bytes }) => {
    const path = posix.normalize(posix.join(posix.dirname(model), location));
    const outside = posix.isAbsolute(location) || path.startsWith('../') || location.includes('\\');
    if (outside || location === '')
      throw refusal(
        `${model} wants weights from "${location}", outside of the folder`,
        'A model from a source that you trust does not: export it again.',
      );
    const found = folder.find(path);
    if (found === null)
      throw refusal(
        `${path}, which holds weights of ${model}, is missing`,
        'Fetch it too: both belong together.',
      );
    if (found.bytes < bytes)
      throw refusal(
        `${path} has ${found.bytes} bytes, and ${model} wants ${bytes} of it`,
        'Fetch both again: one of them is of another export, or was cut off.',
      );
    return path;
  });
}
