/**
 * Makes the copy of a decoder's graph that computes the same and less. What it changes is written to a file of weights
 * beside it; the weights that stay are not copied: the package's own file gets a second name in the new folder, since
 * the runtime refuses weights outside of the model's folder.
 */
import { linkSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { ManifestFile } from '../catalog/manifest.ts';
import { dropUnread } from '../onnx/edges.ts';
import { ExternalDataWriter } from '../onnx/external-data.ts';
import { notOnnx, type OnnxModel, writeModel } from '../onnx/model.ts';
import type { TensorProto } from '../onnx/onnx_pb.gen.ts';
import { readSkeleton } from '../onnx/skeleton.ts';
import { externalPlace, externalTensor } from '../onnx/tensor.ts';
import { type Edited, refused } from './edit.ts';
import { DATA, type Job, type MadeFile, MODEL, type Outcome, type Step } from './job.ts';
import { type Joined, piecesOf } from './joined.ts';
import { keepLastPosition } from './last-position.ts';
import { packProducts } from './packing.ts';
import { type Weight, Weights } from './weights.ts';
import { checkSpace, writeWhole } from './written.ts';

/** Since this version Split takes sizes as an input. */
const LEAST_OPSET = 13;
/** Reading and copying weights that are in the model file is worth it from here on. */
const OWN_WEIGHTS_BYTES = 1024 ** 2;

type Tensor = Joined | { readonly tensor: TensorProto; readonly weight: Weight };

/**
 * Throws AgentError `bad_onnx` for what is no graph, `disk_full` where there is no room, and what the system says
 * where it cannot write.
 */
export function prepareGraph({ manifest, directory, target, marginBytes }: Job): Outcome {
  const { path } = manifest.model;
  const files = new Set(manifest.files.map((file) => file.path));
  const weights = new Weights({ directory, model: path, files });
  try {
    const model = readSkeleton(join(directory, path));
    return new GraphMaker(model, weights, {
      path,
      directory,
      target,
      marginBytes,
      files: manifest.files,
    }).make();
  } finally {
    weights.close();
  }
}

interface Place {
  readonly path: string;
  readonly directory: string;
  readonly target: string;
  readonly marginBytes: number;
  readonly files: readonly ManifestFile[];
}

class GraphMaker {
  readonly #model: OnnxModel;
  readonly #weights: Weights;
  readonly #place: Place;
  /** File of the package -> its name in the new folder, where it could be linked. */
  readonly #links = new Map<string, string | null>();

  constructor(model: OnnxModel, weights: Weights, place: Place) {
    this.#model = model;
    this.#weights = weights;
    this.#place = place;
  }

  make(): Outcome {
    const { graph, opsetImport } = this.#model;
    const opset = Number(opsetImport.find(({ domain }) => domain === '')?.version ?? 0);
    const old = refused(`the graph is of opset ${opset}, older than ${LEAST_OPSET}`);
    const last = opset < LEAST_OPSET ? old : keepLastPosition(graph);
    const { edited, tensors } =
      opset < LEAST_OPSET ? { edited: old, tensors: [] } : packProducts(graph, this.#weights);
    dropUnread(graph);
    const steps = [stepOf('last-position', last), stepOf('packing', edited)];
    if (this.#ownBytes() > OWN_WEIGHTS_BYTES) steps.push({ name: 'own-weights', done: true, why: null });
    const exact = [last, edited].every((one) => !one.done || one.exact);
    const files = steps.some(({ done }) => done) ? this.#write(tensors) : [];
    return { kind: 'made', steps, files, exact, canary: null };
  }

  /** Bytes of weights that lie in the model file itself. */
  #ownBytes(): number {
    return this.#model.graph.initializer.reduce((total, tensor) => {
      const place = externalPlace(tensor);
      const isOwn = place !== null && this.#weights.pathOf(place) === this.#place.path;
      return isOwn ? total + place.bytes : total;
    }, 0);
  }

  #write(joined: readonly Joined[]): readonly MadeFile[] {
    const { graph } = this.#model;
    const { target, marginBytes } = this.#place;
    const tensors: Tensor[] = [...joined];
    graph.initializer = graph.initializer.filter((tensor) => {
      const weight = this.#toCopy(tensor);
      if (weight !== null) tensors.push({ tensor, weight });
      return weight === null;
    });
    const bytes = tensors.reduce((total, one) => total + ('weight' in one ? one.weight.bytes : one.bytes), 0);
    checkSpace(target, bytes, marginBytes);
    const files = tensors.length === 0 ? [] : [this.#writeTensors(tensors)];
    const listed = new Map(this.#place.files.map((file) => [file.path, file]));
    const links = [...this.#links].flatMap(([linkOf, path]) => {
      const file = listed.get(linkOf);
      return path === null || file === undefined ? [] : [{ ...file, path, linkOf }];
    });
    return [writeWhole(join(target, MODEL), writeModel(this.#model)), ...files, ...links];
  }

  /** The weight, where it must be copied; null where it stays: in the graph, or in a file that now has two names. */
  #toCopy(tensor: TensorProto): Weight | null {
    const place = externalPlace(tensor);
    if (place === null) return null;
    const weight = this.#weights.of(tensor);
    if ('why' in weight) throw notOnnx(weight.why);
    const link = weight.file === null ? null : this.#link(weight.file);
    if (link === null) return weight;
    const { name, dims, dataType, bytes } = weight;
    const moved = externalTensor(name, dims, dataType, { location: link, offset: place.offset, bytes });
    Object.assign(tensor, { externalData: moved.externalData });
    return null;
  }

  /** Gives a file of the package a second name; null where it gets none. */
  #link(path: string): string | null {
    const known = this.#links.get(path);
    if (known !== undefined) return known;
    const name = `weights-${this.#links.size}${posix.extname(path)}`;
    // Weights in the model file lie on no page, and often not even on a multiple of their own size.
    const linked =
      path !== this.#place.path && tryLink(join(this.#place.directory, path), join(this.#place.target, name));
    this.#links.set(path, linked ? name : null);
    return linked ? name : null;
  }

  #writeTensors(tensors: readonly Tensor[]): MadeFile {
    const writer = new ExternalDataWriter(join(this.#place.target, DATA));
    try {
      for (const one of tensors) this.#model.graph.initializer.push(writeTensor(writer, one));
    } catch (error) {
      writer.close();
      throw error;
    }
    return { path: DATA, ...writer.finish(), linkOf: null };
  }
}

function writeTensor(writer: ExternalDataWriter, one: Tensor): TensorProto {
  if ('pieces' in one) return writer.addPieces(one, one.pieces());
  const { name, dims, dataType, bytes } = one.weight;
  return writer.addPieces({ name, dims, dataType, bytes }, piecesOf(one.weight));
}

/** False on another file system, one without links, and one where links to files of others are forbidden. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch {
    return false;
  }
}

function stepOf(name: Step['name'], edit: Edited): Step {
  return { name, done: edit.done, why: edit.done ? null : edit.why };
}
