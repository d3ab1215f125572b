/**
 * Compares an edited copy of a decoder with the original: the same tokens through both, several at once and one by
 * one, onto what came before. The runtime loads many a graph without an error and computes nonsense with it; so no
 * copy is used that was not seen to say the same on this very device.
 *
 * Where the edits change no number, the logits must be the same to the bit. Elsewhere sums of floats are made in
 * another order: a real model of 30 layers differed by 1e-6 of its largest logit at most.
 */
import { join } from 'node:path';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { Manifest } from '../catalog/manifest.ts';
import { AgentError } from '../errors.ts';
import { badExpert, checkGraph } from './graph.ts';
import { openGraph, packageFile } from './session.ts';

/** Largest difference of a logit, as a share of the largest logit, where sums are made in another order. */
const TOLERANCE = 1e-4;
/** The same for graphs that keep numbers of 16 bits: eight steps of the largest one's last bit. */
const HALF_TOLERANCE = 8 / 2 ** 11;
/** Tokens that go in at once, and how often one more follows: a prompt, and the next part of a conversation. */
const TURNS = [
  { tokens: 33, steps: 4 },
  { tokens: 6, steps: 2 },
] as const;
/** Any tokens will do, as long as both graphs get the same. Lehmer's generator; its modulus is a prime. */
const [FACTOR, MODULUS] = [48_271, 2 ** 31 - 1];
const PAST = /^past_key_values\.(\d+)\.(key|value)$/;
const THREADS = 1;

export interface Comparison {
  readonly compared: number;
  readonly otherChoices: number;
  readonly prefillDifference: number;
  readonly stepDifference: number;
  readonly tolerance: number;
  /** Why the copy must not be used; null where it may. */
  readonly why: string | null;
}

/** A position whose logits are compared. */
interface Said {
  readonly kind: 'prefill' | 'step';
  readonly logits: Float32Array;
}

interface Graphs {
  readonly manifest: Manifest;
  /** Absolute path of the package's folder. */
  readonly directory: string;
  /** Absolute path of the folder of the copy, and its name in there. */
  readonly target: string;
  readonly copy: string;
  /** Whether the logits must be the same to the bit. */
  readonly exact: boolean;
}

/**
 * One graph after the other, so that only one is in memory. Rejects with AgentError `bad_expert` where the original
 * cannot be run: then it is not the copy that is at fault.
 */
export async function compare({ manifest, directory, target, copy, exact }: Graphs): Promise<Comparison> {
  const { said: expected, isHalf } = await speak(
    manifest,
    packageFile(directory, manifest, manifest.model.path),
    null,
  );
  const tolerance = exact ? 0 : isHalf ? HALF_TOLERANCE : TOLERANCE;
  const choices = expected.map(({ logits }) => likeliest(logits));
  try {
    const { said } = await speak(manifest, join(target, copy), choices);
    return judge(expected, said, tolerance);
  } catch (error) {
    const why = error instanceof AgentError ? error.message : String(error);
    return { compared: 0, otherChoices: 0, prefillDifference: 0, stepDifference: 0, tolerance, why };
  }
}

/** The logits after each prefill and step. Without `choices`, the likeliest token follows each. */
async function speak(
  manifest: Manifest,
  file: string,
  choices: readonly number[] | null,
): Promise<{ readonly said: readonly Said[]; readonly isHalf: boolean }> {
  const session = await openGraph(manifest, file, THREADS);
  try {
    checkGraph(session, manifest);
    const values = [...session.inputMetadata, ...session.outputMetadata];
    const isHalf = values.some((value) => value.isTensor && value.type === 'float16');
    return { said: await new Speaker(manifest, session).speak(choices), isHalf };
  } finally {
    await session.release();
  }
}

class Speaker {
  readonly #manifest: Manifest;
  readonly #session: InferenceSession;
  #past: Record<string, Tensor>;
  #tokens = 0;
  #random = 1;

  constructor(manifest: Manifest, session: InferenceSession) {
    this.#manifest = manifest;
    this.#session = session;
    this.#past = Object.fromEntries(
      session.inputMetadata
        .filter(({ name }) => PAST.test(name))
        .map((input) => [input.name, this.#empty(input)]),
    );
  }

  async speak(choices: readonly number[] | null): Promise<readonly Said[]> {
    const said: Said[] = [];
    for (const { tokens, steps } of TURNS) {
      said.push({ kind: 'prefill', logits: await this.#step(this.#anyTokens(tokens)) });
      for (let step = 0; step < steps; step += 1) {
        const next = choices?.[said.length - 1] ?? likeliest(said.at(-1)?.logits ?? new Float32Array());
        said.push({ kind: 'step', logits: await this.#step([next]) });
      }
    }
    return said;
  }

  #empty(input: InferenceSession.ValueMetadata): Tensor {
    const [, heads, , size] = input.isTensor ? input.shape : [];
    if (input.isTensor && typeof heads === 'number' && typeof size === 'number') {
      const dims = [1, heads, 0, size];
      if (input.type === 'float32') return new Tensor('float32', new Float32Array(0), dims);
      if (input.type === 'float16') return new Tensor('float16', new Uint16Array(0), dims);
    }
    throw badExpert(
      this.#manifest,
      `its cache input ${input.name} is not [batch, heads, tokens, size] of floats`,
    );
  }

  #anyTokens(count: number): number[] {
    const logits = this.#session.outputMetadata.find(({ name }) => name === 'logits');
    const size = logits?.isTensor === true ? logits.shape.at(-1) : null;
    // Without a declared size: as many as the bytes, which every tokenizer has.
    const vocabulary = typeof size === 'number' && size > 0 ? size : 256;
    return Array.from({ length: count }, () => {
      this.#random = (this.#random * FACTOR) % MODULUS;
      return this.#random % vocabulary;
    });
  }

  /** Logits after the last of the tokens, copied. */
  async #step(ids: readonly number[]): Promise<Float32Array> {
    const before = this.#tokens;
    this.#tokens += ids.length;
    const outputs = await this.#session.run({ ...this.#feeds(ids, before), ...this.#past });
    this.#past = Object.fromEntries(
      Object.keys(this.#past).map((name) => {
        const present = outputs[name.replace('past_key_values', 'present')];
        if (present instanceof Tensor) return [name, present];
        throw badExpert(this.#manifest, `its graph gives nothing that continues ${name}`);
      }),
    );
    const { logits } = outputs;
    const isFloat = logits?.type === 'float32' || logits?.type === 'float16';
    if (!isFloat) throw badExpert(this.#manifest, 'its logits are not floats');
    const vocabulary = logits.dims.at(-1) ?? 0;
    // 16 bits come as numbers too, in an array whose type the library does not declare.
    const all = logits.data as ArrayLike<number>;
    return Float32Array.from(
      { length: vocabulary },
      (_, at) => all[all.length - vocabulary + at] ?? Number.NaN,
    );
  }

  #feeds(ids: readonly number[], before: number): Record<string, Tensor> {
    const row = (data: BigInt64Array): Tensor => new Tensor('int64', data, [1, data.length]);
    const all: Readonly<Record<string, () => BigInt64Array>> = {
      input_ids: () => BigInt64Array.from(ids, BigInt),
      attention_mask: () => new BigInt64Array(before + ids.length).fill(1n),
      position_ids: () => BigInt64Array.from(ids, (_, at) => BigInt(before + at)),
    };
    return Object.fromEntries(
      this.#session.inputNames
        .filter((name) => !PAST.test(name))
        .map((name) => {
          const make = all[name];
          if (make === undefined) throw badExpert(this.#manifest, `nothing can fill its input ${name}`);
          return [name, row(make())];
        }),
    );
  }
}

function judge(expected: readonly Said[], said: readonly Said[], tolerance: number): Comparison {
  const differences = expected.map(({ logits }, at) =>
    difference(logits, said[at]?.logits ?? new Float32Array()),
  );
  const most = (kind: Said['kind']): number =>
    Math.max(...differences.filter((_, at) => expected[at]?.kind === kind));
  const otherChoices = expected.filter(
    ({ logits }, at) => likeliest(logits) !== likeliest(said[at]?.logits ?? logits),
  ).length;
  const [prefillDifference, stepDifference] = [most('prefill'), most('step')];
  const largest = Math.max(prefillDifference, stepDifference);
  const share = Number.isFinite(largest)
    ? `by ${largest.toPrecision(3)} of the largest`
    : 'beyond all numbers';
  const why = largest <= tolerance ? null : `its logits differ ${share}; ${tolerance} is allowed`;
  return { compared: expected.length, otherChoices, prefillDifference, stepDifference, tolerance, why };
}

/** As a share of the largest logit; infinite where only one is finite, for what is no number, and for another length. */
function difference(expected: Float32Array, found: Float32Array): number {
  let largest = 0;
  let most = 0;
  for (const [at, value] of expected.entries()) {
    const other = found[at] ?? Number.NaN;
    // Tokens that a vocabulary has no use for may have a logit of minus infinity.
    const apart = value === other ? 0 : Math.abs(value - other);
    if (!Number.isFinite(apart)) return Number.POSITIVE_INFINITY;
    most = Math.max(most, apart);
    if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  }
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  return most === 0 ? 0 : most / largest;
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (const [at, value] of logits.entries()) if (value > (logits[best] ?? 0)) best = at;
  return best;
}
