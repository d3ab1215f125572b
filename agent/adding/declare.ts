/** How a manifest writes what a graph and a tokenizer have. */
import type { GraphValue } from '../onnx/signature.ts';
import type { Findings } from './findings.ts';
import { refusal } from './refusal.ts';

/** The bounds of `tokenizer.maxTokens`. */
const LEAST_TOKENS = 8;
const MOST_TOKENS = 1_048_576;

/** `float32[batch,3,past,64]`. */
export function declare({ type, dims }: GraphValue): string {
  const sizes = (dims ?? []).map((size) =>
    typeof size === 'number' ? size : size.replace(/[^\w+ -]/g, '_'),
  );
  return `${type ?? 'unknown'}[${sizes.join(',')}]`;
}

export function declareAll(values: readonly GraphValue[]): Record<string, string> {
  return Object.fromEntries(values.map((value) => [value.name, declare(value)]));
}

/** Most tokens of a text: what the model was made for, or less if that is wanted. `limits` are its other bounds. */
export function tokensWanted({ context, vocabulary }: Findings, limits: readonly unknown[]): number {
  const bounds = [vocabulary.settings['model_max_length'], ...limits];
  const made = bounds.reduce<number>(
    (least, bound) => (typeof bound === 'number' && bound > 0 ? Math.min(least, bound) : least),
    MOST_TOKENS,
  );
  if (context !== null && context > made)
    throw refusal(
      `the model was made for ${made} tokens, not for ${context}`,
      `Use --context ${made} or less.`,
    );
  return Math.max(LEAST_TOKENS, Math.floor(context ?? made));
}
