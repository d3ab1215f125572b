/** Language models: a decoder with a cache of keys and values, in the layout of a hub export. */
import type { GraphValue, Signature } from '../onnx/signature.ts';
import { bytesPerElement, isNumericType } from '../tensors.ts';
import { declare, declareAll, tokensWanted } from './declare.ts';
import type { Findings, TaskPart } from './findings.ts';
import { isObject, type Json } from './model-folder.ts';
import { exportHint, refusal } from './refusal.ts';
import type { Vocabulary } from './vocabulary.ts';

const PAST = /^past_key_values\.(\d+)\.(key|value)$/;
const TEXT_INPUTS: readonly string[] = ['input_ids', 'attention_mask', 'position_ids'];
const EXPORT = exportHint('text-generation-with-past');
const OPTIONAL = ['generation_config.json', 'chat_template.jinja'];

/** Throws an AgentError where the graph is no such decoder, or where tokenizer, settings and graph do not fit. */
export function draftGenerator(findings: Findings): TaskPart {
  const { folder, config, model, vocabulary } = findings;
  const cacheBytesPerToken = readCache(model.signature);
  checkVocabulary(vocabulary, logitsOf(model.signature, config));
  checkEnds(vocabulary, config, folder.json('generation_config.json') ?? {});
  if (!hasTemplate(vocabulary.settings) && !folder.has('chat_template.jinja'))
    throw refusal(
      'the model has no chat template, so it was not made to be talked to',
      'Take the variant of it that was trained for chats, often named "instruct" or "chat".',
    );
  return {
    model: {
      path: model.path,
      precision: model.precision,
      inputs: declareAll(model.signature.inputs),
      outputs: declareAll(model.signature.outputs),
      cacheBytesPerToken,
    },
    tokenizer: {
      kind: 'huggingface',
      path: vocabulary.path,
      config: vocabulary.config,
      maxTokens: tokensWanted(findings, [config['max_position_embeddings']]),
    },
    copied: OPTIONAL.filter((path) => folder.has(path)),
    written: {},
    notes: [],
  };
}

/** Bytes of keys and values that a token leaves in the cache. */
function readCache({ inputs, outputs }: Signature): number {
  const slots = inputs.filter(({ name }) => PAST.test(name));
  const odd = inputs.filter(({ name }) => !PAST.test(name) && !TEXT_INPUTS.includes(name));
  const missing = ['input_ids', 'attention_mask'].filter((name) => !inputs.some((one) => one.name === name));
  if (missing.length > 0) throw refusal(`its graph has no input ${missing.join(' and ')}`, EXPORT);
  if (slots.length === 0 && odd.length === 0)
    throw refusal(
      'its graph has no cache of keys and values (past_key_values): every token would cost as much as all before it',
      EXPORT,
    );
  if (odd.length > 0)
    throw refusal(
      `its graph has another layout: nothing can fill its inputs ${list(odd)}`,
      `${EXPORT} (a merged decoder, with use_cache_branch, is none that can be used)`,
    );
  for (const { name } of slots) {
    const present = name.replace('past_key_values', 'present');
    if (!outputs.some((one) => one.name === present))
      throw refusal(`its graph has another layout: no output ${present} continues ${name}`, EXPORT);
  }
  return slots.reduce((sum, slot) => sum + slotBytes(slot), 0);
}

/** A slot is [batch, heads, tokens, size of a head]. */
function slotBytes({ name, type, dims }: GraphValue): number {
  const [, heads, , size] = dims ?? [];
  if (
    dims?.length === 4 &&
    typeof heads === 'number' &&
    typeof size === 'number' &&
    isNumericType(type ?? '')
  )
    return heads * size * bytesPerElement(type as Parameters<typeof bytesPerElement>[0]);
  throw refusal(
    `its graph has another layout: ${name} is ${declare({ name, type, dims })}, not [batch, heads, tokens, size]`,
    EXPORT,
  );
}

/** How many tokens the graph has numbers for; null where neither graph nor config says it. */
function logitsOf({ outputs }: Signature, config: Json): number | null {
  const logits = outputs.find(({ name }) => name === 'logits');
  if (logits === undefined) throw refusal(`its graph has no output "logits", only ${list(outputs)}`, EXPORT);
  const last = logits.dims?.at(-1);
  const stated = config['vocab_size'];
  return typeof last === 'number' ? last : typeof stated === 'number' ? stated : null;
}

/** A tokenizer may know fewer tokens than the graph, which pads; never more: the graph would read beyond its weights. */
function checkVocabulary({ path, size }: Vocabulary, logits: number | null): void {
  if (logits === null || size <= logits) return;
  throw refusal(
    `${path} has ${size} tokens, and the model ${logits} logits: the tokenizer is larger than the model`,
    'Take the tokenizer and the model from one repository.',
  );
}

/** What ends an answer must be a token that is put in. An ordinary word in its place is another model's tokenizer. */
function checkEnds(vocabulary: Vocabulary, config: Json, generation: Json): void {
  const found = generation['eos_token_id'] ?? config['eos_token_id'];
  const ids = [found].flat().filter((id): id is number => typeof id === 'number');
  if (ids.length === 0)
    throw refusal(
      'neither generation_config.json nor config.json says which token ends an answer (eos_token_id)',
      'Fetch generation_config.json from the repository of the model.',
    );
  for (const id of ids) {
    const text = vocabulary.textOf(id);
    if (id < vocabulary.size && (text === null || vocabulary.isAdded(id))) continue;
    const what = text === null ? 'is beyond its tokens' : `is ${JSON.stringify(text)} there, a part of texts`;
    throw refusal(
      `${vocabulary.path} does not fit the model: token ${id}, which ends an answer, ${what}`,
      'Take the tokenizer and the model from one repository.',
    );
  }
}

function hasTemplate({ chat_template: template }: Json): boolean {
  return typeof template === 'string' || (Array.isArray(template) && template.some(isObject));
}

function list(values: readonly GraphValue[]): string {
  const names = values.map(({ name }) => name);
  return names.length > 6 ? `${names.slice(0, 6).join(', ')} and ${names.length - 6} more` : names.join(', ');
}
