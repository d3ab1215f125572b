/** What tasks share about graphs: checking them against the manifest, feeding them, opening the package's files. */
import { readFile } from 'node:fs/promises';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { Manifest } from '../catalog/manifest.ts';
import { AgentError } from '../errors.ts';
import { parseDeclared } from '../tensors.ts';
import { packageFile } from './session.ts';
import type { TaskContext } from './task.ts';
import type { NamedFile } from './tokenizers/tokenizer.ts';

type Values = Manifest['model']['inputs'];

/** What a graph takes and gives, as every kind of session tells it. */
export interface GraphValues {
  readonly inputMetadata: readonly InferenceSession.ValueMetadata[];
  readonly outputMetadata: readonly InferenceSession.ValueMetadata[];
}

/**
 * Throws `bad_expert` unless the session has exactly the manifest's inputs, and at least its outputs, with the
 * declared types. A declaration reads `int64[batch,sequence]`; numbers must agree, names of dimensions are prose.
 */
export function checkGraph(session: GraphValues, manifest: Manifest): void {
  const { inputs, outputs } = manifest.model;
  const problems = [
    ...differences('input', inputs, session.inputMetadata, true),
    ...differences('output', outputs, session.outputMetadata, false),
  ];
  if (problems.length > 0)
    throw badExpert(manifest, `its graph and its expert.json differ: ${problems.join('; ')}`);
}

/** Opens the package's model and checks it; a session that does not match is released again. */
export async function openChecked({ manifest, openSession }: TaskContext): Promise<InferenceSession> {
  const session = await openSession(manifest.model.path);
  try {
    checkGraph(session, manifest);
  } catch (error) {
    await session.release();
    throw error;
  }
  return session;
}

function differences(
  side: 'input' | 'output',
  declared: Values,
  found: readonly InferenceSession.ValueMetadata[],
  exactly: boolean,
): readonly string[] {
  const unknown = exactly ? found.filter(({ name }) => !(name in declared)) : [];
  return [
    ...unknown.map((value) => `the graph also needs ${side} "${value.name}" (${describe(value)})`),
    ...Object.entries(declared).flatMap(([name, text]) => {
      const value = found.find((candidate) => candidate.name === name);
      if (value === undefined) return [`the graph has no ${side} "${name}"`];
      return agrees(text, value) ? [] : [`${side} "${name}" is ${describe(value)}, not ${text}`];
    }),
  ];
}

function describe(value: InferenceSession.ValueMetadata): string {
  return value.isTensor ? `${value.type}[${value.shape.join(',')}]` : 'no tensor';
}

function agrees(text: string, value: InferenceSession.ValueMetadata): boolean {
  const declared = parseDeclared(text);
  if (declared === null || !value.isTensor) return false;
  const { type, dimensions } = declared;
  return (
    type === value.type &&
    dimensions.length === value.shape.length &&
    dimensions.every((size, at) => {
      const found = value.shape[at];
      return typeof size !== 'number' || typeof found !== 'number' || size === found;
    })
  );
}

/** Names a fault of the package, in a sentence that begins with its id. */
export function badExpert(manifest: Manifest, what: string): AgentError {
  return new AgentError('bad_expert', `Expert ${manifest.id} ${manifest.version} cannot be used: ${what}.`, {
    hint: 'Correct its expert.json, or export its model again.',
  });
}

/** Reads a file of the package. Rejects with `bad_expert` if `files` does not list it, or if it cannot be read. */
export async function readListed({ manifest, directory }: TaskContext, path: string): Promise<NamedFile> {
  return { path, bytes: await readFile(packageFile(directory, manifest, path)) };
}

/** What a transformer encoder can be fed; a graph takes some of them. */
const ENCODER_INPUTS: Readonly<Record<string, (ids: readonly number[]) => BigInt64Array>> = {
  input_ids: (ids) => BigInt64Array.from(ids, BigInt),
  attention_mask: (ids) => new BigInt64Array(ids.length).fill(1n),
  token_type_ids: (ids) => new BigInt64Array(ids.length),
};

/** Throws `bad_expert` if the manifest declares an input that `encoderFeeds` cannot fill. */
export function checkEncoderInputs(manifest: Manifest): void {
  const odd = Object.keys(manifest.model.inputs).filter((name) => !Object.hasOwn(ENCODER_INPUTS, name));
  if (odd.length === 0) return;
  const known = Object.keys(ENCODER_INPUTS).join(', ');
  throw badExpert(manifest, `its task fills ${known}, and nothing for ${odd.join(', ')}`);
}

/** Tensors int64[1, ids] for one text. */
export function encoderFeeds(manifest: Manifest, ids: readonly number[]): Record<string, Tensor> {
  return Object.fromEntries(
    Object.keys(manifest.model.inputs).map((name) => [
      name,
      new Tensor('int64', ENCODER_INPUTS[name]?.(ids) ?? new BigInt64Array(ids.length), [1, ids.length]),
    ]),
  );
}

/** One output of a run; throws `bad_answer` if it is missing or not float32. */
export function floats(outputs: InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const data = outputs[name]?.data;
  if (data instanceof Float32Array) return data;
  throw badAnswer(`output "${name}" is not float32`);
}

/** The vector, if all of it is finite; else throws `bad_answer`. */
export function finite(vector: Float32Array, name: string): Float32Array {
  if (vector.every(Number.isFinite)) return vector;
  throw badAnswer(`output "${name}" holds numbers that are not finite`);
}

function badAnswer(what: string): AgentError {
  return new AgentError('bad_answer', `The model ran, but its ${what}.`, {
    hint: 'Verify the files of the expert; if they are sound, report it with the input.',
  });
}

/** A task that is asked something else: nobody's fault but the router's or a client's choice of model. */
export function wrongTask(manifest: Manifest, asked: string): AgentError {
  return new AgentError(
    'wrong_task',
    `Expert ${manifest.id} does ${manifest.task}; it cannot answer ${asked}.`,
    {
      hint: 'Choose another model, or "auto".',
    },
  );
}
