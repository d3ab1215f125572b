/**
 * `text-generation`: a chat or the beginning of a text -> how it goes on, token by token. The package is a decoder in
 * the layout of a hub export; see `generation/layout.ts` for its graph and `generation/settings.ts` for its files.
 */
import { randomInt } from 'node:crypto';
import type { Manifest } from '../../catalog/manifest.ts';
import { AgentError } from '../../errors.ts';
import type { Answer, Ask } from '../../ports.ts';
import { Adjustment } from '../generation/adjustment.ts';
import { Candidates } from '../generation/candidates.ts';
import { Chances } from '../generation/chances.ts';
import { Chooser } from '../generation/chooser.ts';
import type { Constraint, Grammar } from '../generation/constraint.ts';
import { Conversations, contextWithin } from '../generation/conversations.ts';
import { openModel } from '../generation/decoder.ts';
import { generate } from '../generation/loop.ts';
import type { Model } from '../generation/model.ts';
import { type Chat, Prompts } from '../generation/prompt.ts';
import { Sampler } from '../generation/sampler.ts';
import { type GenerationSettings, readSettings } from '../generation/settings.ts';
import { Speech } from '../generation/speech.ts';
import { StopScanner } from '../generation/stop.ts';
import { ChatTemplate } from '../generation/template.ts';
import { TextStream } from '../generation/tokens.ts';
import { Turns } from '../generation/turns.ts';
import { badExpert, wrongTask } from '../graph.ts';
import type { OpenTask, Task, TaskContext, TaskRun } from '../task.ts';
import { openTokenizer } from '../tokenizers/open.ts';
import type { TextTokenizer } from '../tokenizers/tokenizer.ts';

/** With less of a context there is no question and no answer. */
const LEAST_CONTEXT_TOKENS = 16;

/** Rejects with `bad_expert` where the files of the package, its tokenizer and its graph do not go together. */
export const openGeneration: OpenTask = async (context) => {
  const { manifest } = context;
  const settings = await readSettings(context);
  const { template, tokens } = settings;
  const chatTemplate = template === null ? null : new ChatTemplate(manifest, template, tokens);
  const tokenizer = await openTokenizer(context);
  const model = await openModel(context);
  try {
    checkVocabulary(manifest, tokenizer.size, model.vocabulary);
    checkEnds(manifest, settings.endIds, model.vocabulary);
    return new GenerationTask(context, settings, chatTemplate, tokenizer, model);
  } catch (error) {
    await model.release();
    throw error;
  }
};

/** Two texts without a meaning, in tokens: a step of several and a step of one each. */
const RECITALS = [
  [11, 29, 7, 83, 41, 5],
  [67, 3, 19, 53, 31, 97, 23, 2],
] as const;

class GenerationTask implements Task {
  readonly takesTurns = true;
  readonly #manifest: Manifest;
  readonly #settings: GenerationSettings;
  readonly #tokenizer: TextTokenizer;
  readonly #model: Model;
  readonly #contextTokens: number;
  readonly #prompts: Prompts;
  readonly #conversations: Conversations;
  readonly #turns = new Turns();
  readonly #candidates: Candidates;
  /** Where adjusted logits are kept, from one step's end to the next one's beginning. */
  readonly #adjusted: Float32Array;
  #grammar: Promise<Grammar> | null = null;

  /** Throws `bad_expert` where the memory for keys and values is too small for anything. */
  constructor(
    { manifest, cacheBytes }: TaskContext,
    settings: GenerationSettings,
    template: ChatTemplate | null,
    tokenizer: TextTokenizer,
    model: Model,
  ) {
    this.#manifest = manifest;
    this.#settings = settings;
    this.#tokenizer = tokenizer;
    this.#model = model;
    this.#contextTokens = contextWithin(model, cacheBytes, settings.contextTokens);
    checkContext(manifest, this.#contextTokens, cacheBytes);
    const isLess = this.#contextTokens < settings.contextTokens;
    this.#prompts = new Prompts({
      manifest,
      tokenizer,
      template,
      contextTokens: this.#contextTokens,
      madeForTokens: isLess ? settings.contextTokens : null,
    });
    this.#conversations = new Conversations(model, cacheBytes);
    this.#candidates = new Candidates(model.vocabulary);
    this.#adjusted = new Float32Array(model.vocabulary);
  }

  /**
   * An answer ends at `maxTokens` or where the context is full, whichever comes first (`finish: length`).
   * Rejects with `context_overflow` where the prompt leaves no room, `bad_input` where the template refuses the
   * messages or the format cannot be kept, and `bad_logits` where the model computes nonsense.
   */
  async run(ask: Ask, run: TaskRun): Promise<Answer> {
    if (ask.kind !== 'chat') throw wrongTask(this.#manifest, 'a request for embeddings');
    this.#checkBiases(ask);
    const startMs = performance.now();
    const prompt = this.#prompts.read(ask);
    run.spent('tokenize', performance.now() - startMs);
    const { maxTokens, seed, stop } = ask.generation;
    const room = this.#contextTokens - prompt.length;
    const chooser = await this.#chooser(ask, prompt);
    const text = new TextStream((ids) => this.#tokenizer.decode(ids, { skipSpecial: true }));
    const generating = {
      chooser,
      speech: new Speech(text, new StopScanner(stop), run.onDelta),
      prompt,
      limit: Math.min(maxTokens ?? room, room),
      alike: seed !== null,
    };
    const stage = {
      model: this.#model,
      conversations: this.#conversations,
      turns: this.#turns,
      contextTokens: this.#contextTokens,
    };
    return await generate(stage, generating, run).finally(() => chooser.release());
  }

  async recite(which: 0 | 1): Promise<Float32Array> {
    const sequence = this.#model.begin();
    try {
      const ids = RECITALS[which].map((id) => id % this.#model.vocabulary);
      await sequence.append(ids.slice(0, -1));
      return Float32Array.from(await sequence.predict(ids.slice(-1)));
    } finally {
      sequence.release();
    }
  }

  keptBytes(): number {
    return this.#conversations.keptBytes;
  }

  trim(): void {
    this.#conversations.trim();
  }

  async release(): Promise<void> {
    await this.#grammar?.then(
      (grammar) => grammar.release(),
      () => {},
    );
    await this.#model.release();
  }

  async #chooser({ generation }: Chat, prompt: readonly number[]): Promise<Chooser> {
    const { defaults, endIds } = this.#settings;
    const { logitBias, logprobs } = generation;
    const adjustment = {
      logitBias,
      repeatPenalty: generation.repeatPenalty ?? defaults.repeatPenalty,
      frequencyPenalty: generation.frequencyPenalty ?? 0,
      presencePenalty: generation.presencePenalty ?? 0,
    };
    const sampling = {
      temperature: generation.temperature ?? defaults.temperature,
      topP: generation.topP ?? defaults.topP,
      topK: generation.topK ?? defaults.topK,
      minP: generation.minP ?? defaults.minP,
      seed: generation.seed ?? randomInt(2 ** 47),
    };
    return new Chooser({
      adjustment: new Adjustment(adjustment, prompt, this.#adjusted),
      sampler: new Sampler(sampling, this.#candidates),
      chances: logprobs === null ? null : new Chances(this.#tokenizer, logprobs),
      constraint: await this.#constraint(generation.format),
      endIds,
    });
  }

  /** The engine for grammars is opened by the first request that wants one. */
  async #constraint(format: Chat['generation']['format']): Promise<Constraint | null> {
    if (format.kind === 'text') return null;
    this.#grammar ??= import('../grammar/grammar.ts').then(({ openGrammar }) =>
      openGrammar(this.#tokenizer, this.#model.vocabulary, this.#settings.endIds),
    );
    // A failure is of this request: the next one tries again.
    const grammar = await this.#grammar.catch((error: unknown) => {
      this.#grammar = null;
      throw error;
    });
    return await grammar.constrain(format);
  }

  #checkBiases({ generation }: Chat): void {
    const odd = generation.logitBias.find(([id]) => id >= this.#model.vocabulary);
    if (odd === undefined) return;
    const { id } = this.#manifest;
    throw new AgentError(
      'bad_input',
      `logit_bias names token ${odd[0]}; ${id} has ${this.#model.vocabulary}.`,
    );
  }
}

/** A tokenizer may know fewer tokens than the graph (padding), never more: the graph would read beyond its weights. */
function checkVocabulary(manifest: Manifest, tokens: number, logits: number): void {
  if (tokens <= logits) return;
  throw badExpert(
    manifest,
    `its tokenizer has ${tokens} tokens and its graph ${logits} logits: take tokenizer.json and model from one repository`,
  );
}

function checkEnds(manifest: Manifest, ends: ReadonlySet<number>, logits: number): void {
  if ([...ends].some((id) => id < logits)) return;
  throw badExpert(manifest, `"eos_token_id" names no token of its graph, so its answers would not end`);
}

function checkContext(manifest: Manifest, tokens: number, cacheBytes: number): void {
  if (tokens >= LEAST_CONTEXT_TOKENS) return;
  throw badExpert(
    manifest,
    `the ${cacheBytes} bytes for its keys and values hold ${tokens} tokens; raise experts[].contextTokens`,
  );
}
