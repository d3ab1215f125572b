/**
 * `text-generation`: a chat -> an answer, token by token. The package is a decoder in the layout of a hub export; see
 * generation-layout.ts for its graph and generation-settings.ts for its files.
 */
import { randomInt } from 'node:crypto';
import type { Manifest } from '../../catalog/manifest.ts';
import { AgentError } from '../../errors.ts';
import type { Answer, Ask } from '../../ports.ts';
import { badExpert, openChecked, wrongTask } from '../graph.ts';
import type { OpenTask, Task, TaskRun } from '../task.ts';
import { Decoder } from './generation-decoder.ts';
import { generate } from './generation-loop.ts';
import { Sampler } from './generation-sampler.ts';
import { type GenerationSettings, readSettings } from './generation-settings.ts';
import { StopScanner } from './generation-stop.ts';
import { ChatTemplate } from './generation-template.ts';
import { GenerationTokenizer, TextStream } from './generation-tokens.ts';

/** A longer prompt is refused before it is tokenised: no tokenizer puts more characters into one token. */
const MAX_CHARS_PER_TOKEN = 64;

type Chat = Extract<Ask, { kind: 'chat' }>;
type Limits = Pick<GenerationSettings, 'contextTokens' | 'endIds' | 'temperature'>;

/** Rejects with `bad_expert` where package and graph do not match. */
export const openGeneration: OpenTask = async (context) => {
  const { manifest } = context;
  const settings = await readSettings(context);
  const template = new ChatTemplate(manifest, settings.template, settings.tokens);
  const tokenizer = new GenerationTokenizer(manifest, settings.tokenizer, settings.tokenizerConfig);
  const session = await openChecked(context);
  try {
    const decoder = await Decoder.open(manifest, session);
    checkVocabulary(manifest, tokenizer.size, decoder.vocabulary);
    const { contextTokens, endIds, temperature } = settings;
    return new GenerationTask(manifest, { contextTokens, endIds, temperature }, template, tokenizer, decoder);
  } catch (error) {
    await session.release();
    throw error;
  }
};

class GenerationTask implements Task {
  readonly #manifest: Manifest;
  readonly #limits: Limits;
  readonly #template: ChatTemplate;
  readonly #tokenizer: GenerationTokenizer;
  readonly #decoder: Decoder;

  constructor(
    manifest: Manifest,
    limits: Limits,
    template: ChatTemplate,
    tokenizer: GenerationTokenizer,
    decoder: Decoder,
  ) {
    this.#manifest = manifest;
    this.#limits = limits;
    this.#template = template;
    this.#tokenizer = tokenizer;
    this.#decoder = decoder;
  }

  /**
   * An answer ends at `maxTokens` or where the context is full, whichever comes first (`finish: length`).
   * Rejects with `context_overflow` where the prompt leaves no room, `bad_input` where the template refuses the
   * messages, and `bad_logits` where the model computes nonsense.
   */
  async run(ask: Ask, run: TaskRun): Promise<Answer> {
    if (ask.kind !== 'chat') throw wrongTask(this.#manifest, 'a request for embeddings');
    const startMs = performance.now();
    const prompt = this.#tokenize(ask);
    run.spent('tokenize', performance.now() - startMs);
    const room = this.#limits.contextTokens - prompt.length;
    const generation = {
      sequence: this.#decoder.begin(),
      sampler: new Sampler({
        temperature: ask.temperature ?? this.#limits.temperature,
        seed: ask.seed ?? randomInt(2 ** 47),
      }),
      text: new TextStream((ids) => this.#tokenizer.decode(ids)),
      stops: new StopScanner(ask.stop),
      prompt,
      endIds: this.#limits.endIds,
      limit: Math.min(ask.maxTokens ?? room, room),
    };
    return await generate(generation, run);
  }

  async release(): Promise<void> {
    await this.#decoder.release();
  }

  #tokenize({ messages }: Chat): readonly number[] {
    const { contextTokens } = this.#limits;
    const prompt = this.#template.render(messages);
    if (prompt.length > contextTokens * MAX_CHARS_PER_TOKEN) {
      throw overflow(this.#manifest, `${prompt.length} characters`, contextTokens);
    }
    const ids = this.#tokenizer.encode(prompt);
    if (ids.length === 0) throw badExpert(this.#manifest, 'its chat template makes an empty prompt');
    if (ids.length < contextTokens) return ids;
    throw overflow(this.#manifest, `${ids.length} tokens`, contextTokens);
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

function overflow({ id }: Manifest, prompt: string, contextTokens: number): AgentError {
  return new AgentError(
    'context_overflow',
    `The messages make a prompt of ${prompt}; ${id} takes ${contextTokens} tokens, its answer included.`,
    { hint: 'Send less: leave out old messages, or shorten the longest one.' },
  );
}
