/** What a model does, as its repository says it. */
import type { Signature } from '../onnx/signature.ts';
import type { Card } from './card.ts';
import type { Json, ModelFolder } from './model-folder.ts';
import { type ExportTask, refusal } from './refusal.ts';

export type HubTask = 'text-generation' | 'text-classification' | 'feature-extraction';

export const EXPORTS: Readonly<Record<HubTask, ExportTask>> = {
  'text-generation': 'text-generation-with-past',
  'text-classification': 'text-classification',
  'feature-extraction': 'feature-extraction',
};

const PIPELINES: Readonly<Record<string, HubTask>> = {
  'text-generation': 'text-generation',
  conversational: 'text-generation',
  'text-classification': 'text-classification',
  'sentiment-analysis': 'text-classification',
  'feature-extraction': 'feature-extraction',
  'sentence-similarity': 'feature-extraction',
};
const ARCHITECTURES: readonly (readonly [pattern: RegExp, task: HubTask | null])[] = [
  [/(?:ForCausalLM|LMHeadModel)$/, 'text-generation'],
  [/ForSequenceClassification$/, 'text-classification'],
  // What is trained to fill in words is not what it is used for: many embedders are of this kind.
  [/ForMaskedLM$/, null],
  [/Model$/, 'feature-extraction'],
];

export interface Evidence {
  readonly card: Card;
  readonly config: Json;
  readonly folder: ModelFolder;
  /** The graph, once it was read. */
  readonly signature?: Signature;
}

/** In order: the card, modules of sentence-transformers, the architecture, the graph. Throws for a task that is none of ours. */
export function taskIn({ card, config, folder, signature }: Evidence): HubTask | null {
  if (card.pipeline !== null) return PIPELINES[card.pipeline] ?? otherTask(`the task ${card.pipeline}`);
  if (folder.has('modules.json')) return 'feature-extraction';
  const architecture = architectureOf(config);
  if (architecture !== null) {
    const known = ARCHITECTURES.find(([pattern]) => pattern.test(architecture));
    if (known === undefined) return otherTask(`the architecture ${architecture}`);
    if (known[1] !== null) return known[1];
  }
  return signature === undefined ? null : taskOfGraph(signature);
}

export function architectureOf({ architectures }: Json): string | null {
  const [first] = Array.isArray(architectures) ? (architectures as unknown[]) : [];
  return typeof first === 'string' ? first : null;
}

function taskOfGraph({ inputs, outputs }: Signature): HubTask | null {
  if (inputs.some(({ name }) => name.startsWith('past_key_values'))) return 'text-generation';
  const logits = outputs.find(({ name }) => name === 'logits' || name === 'probabilities');
  if (logits?.dims?.length === 2) return 'text-classification';
  return outputs.some(({ name }) => name === 'last_hidden_state') ? 'feature-extraction' : null;
}

function otherTask(what: string): never {
  throw refusal(
    `${what.slice(0, 120)} is none that is added by itself: ${Object.keys(EXPORTS).join(', ')} are`,
    'Any ONNX graph can be an expert of the task "tensor": write an expert.json (schema/expert.schema.json) into its folder.',
  );
}
