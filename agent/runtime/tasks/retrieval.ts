/**
 * The task `retrieval`: passages of a fixed collection, found by meaning (one matrix product of ONNX Runtime over
 * quantized vectors) and by word (an inverted index), each with its source. Without an embedding of the question,
 * words alone answer.
 */
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { AgentError } from '../../errors.ts';
import type { Answer, Ask, Passage } from '../../ports.ts';
import { badExpert, floats, openChecked, wrongTask } from '../graph.ts';
import { packageFile } from '../session.ts';
import type { OpenTask, Task, TaskContext, TaskRun } from '../task.ts';
import { RetrievalIndex } from './retrieval-index.ts';
import { type LookupResult, WordLookup } from './retrieval-lookup.ts';
import { rank } from './retrieval-ranking.ts';

const MAX_PASSAGES = 5;
/** Below it a passage is more likely noise than help. */
const MIN_SCORE = 0.05;
/** A passage this much less likely than the first one only distracts from it. */
const MIN_SHARE_OF_BEST = 0.1;

type ChatAsk = Extract<Ask, { kind: 'chat' }>;

export const openRetrieval: OpenTask = async (context) => {
  const { manifest, directory } = context;
  if (manifest.index === undefined) throw badExpert(manifest, 'its expert.json has no "index"');
  const index = new RetrievalIndex(packageFile(directory, manifest, manifest.index.entries));
  try {
    const session = await openChecked(context);
    try {
      return new RetrievalTask(context, index, session);
    } catch (error) {
      await session.release();
      throw error;
    }
  } catch (error) {
    index.close();
    throw error;
  }
};

class RetrievalTask implements Task {
  readonly #manifest: TaskContext['manifest'];
  readonly #index: RetrievalIndex;
  readonly #lookup: WordLookup;
  readonly #session: InferenceSession;
  readonly #graph: Graph;

  constructor({ manifest }: TaskContext, index: RetrievalIndex, session: InferenceSession) {
    this.#manifest = manifest;
    this.#index = index;
    this.#lookup = new WordLookup(index);
    this.#session = session;
    this.#graph = graphOf(manifest, session, index.entryCount);
  }

  /** Up to five passages, best first; none where nothing in the collection fits. */
  async run(ask: Ask, run: TaskRun): Promise<Answer> {
    if (ask.kind !== 'chat') throw wrongTask(this.#manifest, 'with embeddings');
    const cosines = ask.embedding === null ? null : await this.#cosines(ask.embedding, run);
    const startMs = performance.now();
    // From here on nothing awaits: the lookup's arrays belong to this run.
    const lookup = this.#lookup.lookUp(wordsOf(ask));
    const passages = this.#passages(lookup, isMeaningful(ask, lookup) ? cosines : null);
    run.spent('run', performance.now() - startMs);
    return { kind: 'passages', passages, inputTokens: 0 };
  }

  async release(): Promise<void> {
    this.#index.close();
    await this.#session.release();
  }

  async #cosines(embedding: Float32Array, run: TaskRun): Promise<Float32Array> {
    const { input, output, dimensions } = this.#graph;
    if (embedding.length !== dimensions) throw this.#wrongEmbedder(embedding.length);
    const startMs = performance.now();
    const question = new Tensor('float32', embedding, [1, dimensions]);
    const cosines = floats(await this.#session.run({ [input]: question }, [output]), output);
    run.spent('run', performance.now() - startMs);
    return cosines;
  }

  #wrongEmbedder(length: number): AgentError {
    const { dimensions } = this.#graph;
    const what = `The question's embedding has ${length} numbers, the index was made with ${dimensions}.`;
    return new AgentError('wrong_embedder', what, {
      hint: `Set "embedder" to "${this.#manifest.index?.embedder}", which the index was made with.`,
    });
  }

  #passages(lookup: LookupResult, cosines: Float32Array | null): Passage[] {
    const ranked = rank(this.#index, lookup, cosines, { count: MAX_PASSAGES, minScore: MIN_SCORE });
    const least = (ranked[0]?.score ?? 0) * MIN_SHARE_OF_BEST;
    return ranked
      .filter(({ score }) => score >= least)
      .map(({ entry, score }) => {
        const { terms, gloss, source } = this.#index.record(entry);
        const [title = '', ...synonyms] = terms;
        const also = synonyms.length === 0 ? '' : ` Also: ${synonyms.join(', ')}.`;
        return { title, text: `${sentence(gloss)}${also}`, source, score };
      });
  }
}

/** What is looked up: the question, and what it quotes if it quotes something. */
function wordsOf({ question, focus }: ChatAsk): string {
  return focus.trim() === question.trim() ? question : `${focus}\n${question}`;
}

/** The embedding is of the question without its quotation: `what does "angina" mean?` says nothing by itself. */
function isMeaningful({ question, focus }: ChatAsk, lookup: LookupResult): boolean {
  return focus.trim() === question.trim() || !lookup.hasContent;
}

function sentence(gloss: string): string {
  return /[.!?]$/.test(gloss) ? gloss : `${gloss}.`;
}

interface Graph {
  readonly input: string;
  readonly output: string;
  readonly dimensions: number;
}

/**
 * The names and sizes to feed. The graph is the one that the manifest describes; a retrieval graph is also float32,
 * one input [questions, dimensions] and one output [questions, entries], with as many entries as the index holds.
 */
function graphOf(manifest: TaskContext['manifest'], session: InferenceSession, entryCount: number): Graph {
  const input = soleMatrix(session.inputMetadata);
  const output = soleMatrix(session.outputMetadata);
  if (input === null || output === null) {
    const shape = 'float32[questions,dimensions] to float32[questions,entries]';
    throw badExpert(manifest, `${manifest.model.path} is not one matrix product, ${shape}`);
  }
  if (output.columns !== entryCount) {
    const found = `${manifest.model.path} scores ${output.columns} entries`;
    throw badExpert(manifest, `${found}, ${manifest.index?.entries} holds ${entryCount}`);
  }
  return { input: input.name, output: output.name, dimensions: input.columns };
}

/** Null unless there is one value, a float32 matrix with a fixed number of columns. */
function soleMatrix(
  values: readonly InferenceSession.ValueMetadata[],
): { readonly name: string; readonly columns: number } | null {
  const [value, ...more] = values;
  if (value === undefined || more.length > 0 || !value.isTensor || value.type !== 'float32') return null;
  const [, columns] = value.shape;
  return value.shape.length === 2 && typeof columns === 'number' ? { name: value.name, columns } : null;
}
