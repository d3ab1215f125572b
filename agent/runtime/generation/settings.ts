/** What the files of a hub repository say about generating: the context, the end, the temperature, the template. */
import type { Manifest } from '../../catalog/manifest.ts';
import { badExpert, readListed } from '../graph.ts';
import type { TaskContext } from '../task.ts';

export interface GenerationSettings {
  /** Most tokens of prompt and answer together that the model was made for. */
  readonly contextTokens: number;
  /** Tokens that end an answer. */
  readonly endIds: ReadonlySet<number>;
  /** What counts where a request names nothing. */
  readonly defaults: SamplingDefaults;
  /** Jinja source that turns messages into a prompt; null: the model was not made for conversations. */
  readonly template: string | null;
  /** `bos_token` and the like, as templates use them. */
  readonly tokens: Readonly<Record<string, string>>;
}

export interface SamplingDefaults {
  /** 0 (greedy) unless the model's makers want it sampled. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly repeatPenalty: number;
}

type Json = Readonly<Record<string, unknown>>;

/** Rejects with `bad_expert` where a file is missing, is not JSON, or says nothing of what is needed. */
export async function readSettings(context: TaskContext): Promise<GenerationSettings> {
  const { manifest } = context;
  const settings = manifest.tokenizer;
  if (settings?.kind !== 'huggingface') {
    throw badExpert(manifest, 'this task needs a tokenizer of kind "huggingface"');
  }
  const tokenizerConfig = await readJson(context, settings.config);
  const model = isListed(manifest, 'config.json') ? await readJson(context, 'config.json') : {};
  const generation = isListed(manifest, 'generation_config.json')
    ? await readJson(context, 'generation_config.json')
    : {};
  return {
    contextTokens: Math.min(settings.maxTokens, positive(model['max_position_embeddings'])),
    endIds: readEnds(manifest, generation, model),
    defaults: readDefaults(generation),
    template: await readTemplate(context, tokenizerConfig),
    tokens: readTokens(tokenizerConfig),
  };
}

/** A missing limit does not limit. */
function positive(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : Number.POSITIVE_INFINITY;
}

/** `eos_token_id` is one id or a list; the generation's own word counts more than the model's. */
function readEnds(manifest: Manifest, generation: Json, model: Json): ReadonlySet<number> {
  const found = generation['eos_token_id'] ?? model['eos_token_id'];
  const ids: unknown[] = Array.isArray(found) ? found : [found];
  const isId = (id: unknown): id is number => typeof id === 'number' && Number.isInteger(id) && id >= 0;
  if (ids.length > 0 && ids.every(isId)) return new Set(ids);
  throw badExpert(
    manifest,
    'neither generation_config.json nor config.json gives "eos_token_id" as an id or a list of ids, so its answers would not end',
  );
}

/** What the makers do not name is off, in vLLM's way: the reference's own top-k of 50 was nobody's choice. */
function readDefaults(generation: Json): SamplingDefaults {
  const within = (name: string, least: number, most: number, fallback: number): number => {
    const value = generation[name];
    return typeof value === 'number' && value >= least && value <= most ? value : fallback;
  };
  return {
    temperature: generation['do_sample'] === true ? within('temperature', 0, 100, 1) : 0,
    topP: within('top_p', 0, 1, 1),
    topK: Math.trunc(within('top_k', 0, Number.MAX_SAFE_INTEGER, 0)),
    minP: within('min_p', 0, 1, 0),
    repeatPenalty: within('repetition_penalty', 0.01, 100, 1),
  };
}

/** In order: the template in the tokenizer's settings, its entry "default" where there are several, a file of its own. */
async function readTemplate(context: TaskContext, tokenizerConfig: Json): Promise<string | null> {
  const { manifest } = context;
  const found = tokenizerConfig['chat_template'];
  if (typeof found === 'string') return found;
  const entries: unknown[] = Array.isArray(found) ? found : [];
  const usual = entries.filter(isObject).find((entry) => entry['name'] === 'default')?.['template'];
  if (typeof usual === 'string') return usual;
  if (!isListed(manifest, 'chat_template.jinja')) return null;
  return new TextDecoder().decode((await readListed(context, 'chat_template.jinja')).bytes);
}

/** Tokens are written as text or as an object with the text in `content`. */
function readTokens(tokenizerConfig: Json): Readonly<Record<string, string>> {
  const tokens: Record<string, string> = {};
  for (const [name, value] of Object.entries(tokenizerConfig)) {
    const text = isObject(value) ? value['content'] : value;
    if (name.endsWith('_token') && typeof text === 'string') tokens[name] = text;
  }
  return tokens;
}

function isListed(manifest: Manifest, path: string): boolean {
  return manifest.files.some((file) => file.path === path);
}

async function readJson(context: TaskContext, path: string): Promise<Json> {
  const { bytes } = await readListed(context, path);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw badExpert(context.manifest, `${path} is not JSON: ${String(cause)}`);
  }
  if (isObject(value)) return value;
  throw badExpert(context.manifest, `${path} is not a JSON object`);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
