/** A language model over ONNX Runtime's C API: its caches are memory of their own, which no step copies. */
import { basename } from 'node:path';
import type { Manifest } from '../../catalog/manifest.ts';
import type { Decoder } from '../../catalog/prepared.ts';
import { plainMessage } from '../failure.ts';
import { bytesPerToken, type DecoderLayout, readLayout } from '../generation/layout.ts';
import type { Model, Sequence } from '../generation/model.ts';
import { type CacheKind, probe } from '../generation/sharing.ts';
import { badExpert, checkGraph } from '../graph.ts';
import type { NativeApi } from './api.ts';
import { cacheBytes, openCache } from './caches.ts';
import { LOGITS, type LogitsShape, shapeOf } from './logits.ts';
import { type Engine, NativeSequence } from './sequence.ts';
import { NativeSession } from './session.ts';
import { TextInputs } from './text.ts';

export class NativeModel implements Model {
  readonly vocabulary: number;
  readonly bytesPerToken: number;
  /** How its sequences keep their keys and values. */
  readonly cache: CacheKind;
  readonly #engine: Engine;

  private constructor(engine: Engine, cache: CacheKind) {
    this.#engine = engine;
    this.cache = cache;
    this.vocabulary = engine.logits.vocabulary;
    this.bytesPerToken = bytesPerToken(engine.layout.slots);
  }

  /**
   * Opens a graph in the layout of layout.ts that has the inputs and outputs of the manifest. Rejects with `bad_expert`
   * for any other, for one that the runtime refuses or cannot run, and one whose logits are not numbers; the last two
   * where nothing is `known` of it: then it is tried, which takes a quarter of the time that it takes to open it.
   */
  static async open(
    api: NativeApi,
    manifest: Manifest,
    file: string,
    threads: number,
    known: Decoder | null = null,
  ): Promise<NativeModel> {
    const session = openSession(api, manifest, file, threads);
    try {
      checkGraph(session, manifest);
      const engine = startEngine(api, manifest, session, known);
      const tried = known ?? (await probe(manifest, (kind) => new NativeSequence(engine, kind)));
      return new NativeModel(engine, tried.cache);
    } catch (error) {
      session.release();
      throw error;
    }
  }

  /** What `open` need not find out again. */
  get decoder(): Decoder {
    const { vocabulary, lastOnly } = this.#engine.logits;
    return { cache: this.cache, vocabulary, lastOnly };
  }

  bytesFor(tokens: number): number {
    const { layout, api } = this.#engine;
    return cacheBytes(this.cache, layout.slots, tokens, api.pages);
  }

  begin(): Sequence {
    return new NativeSequence(this.#engine, this.cache);
  }

  async release(): Promise<void> {
    for (const sequence of [...this.#engine.sequences]) sequence.release();
    this.#engine.session.release();
  }
}

function openSession(api: NativeApi, manifest: Manifest, file: string, threads: number): NativeSession {
  try {
    return NativeSession.open(api, file, threads);
  } catch (cause) {
    throw badExpert(manifest, `${basename(file)} cannot be loaded: ${plainMessage(cause)}`);
  }
}

function startEngine(
  api: NativeApi,
  manifest: Manifest,
  session: NativeSession,
  known: Decoder | null,
): Engine {
  const layout = readLayout(manifest, session);
  const text = new TextInputs(api.foreign, layout);
  try {
    const logits = known === null ? seeLogits(api, session, layout, text) : shapeIn(layout, known);
    return { api, session, layout, logits, text, sequences: new Set() };
  } catch (cause) {
    throw badExpert(manifest, `its first run failed: ${plainMessage(cause)}`);
  }
}

function shapeIn({ logits: type }: DecoderLayout, { vocabulary, lastOnly }: Decoder): LogitsShape {
  return { type, vocabulary, lastOnly };
}

/** Runs two tokens, to see whether the graph answers with two rows or one, whatever it declares. */
function seeLogits(
  api: NativeApi,
  session: NativeSession,
  layout: DecoderLayout,
  text: TextInputs,
): LogitsShape {
  const binding = session.newBinding();
  const cache = openCache('growing', layout.slots, binding, api.pages);
  try {
    const tokens = [1, 2];
    cache.prepare(tokens.length);
    binding.madeOutput(LOGITS);
    text.bind(binding, tokens, 0);
    binding.run(true);
    const made = binding.outputs();
    const logits = made.at(-1);
    for (const tensor of made) binding.free(tensor);
    if (logits === undefined) throw new TypeError('it made no logits');
    return shapeOf(logits, layout.logits);
  } finally {
    binding.release();
    cache.release();
  }
}
