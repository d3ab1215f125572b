/** A tokenizer.json's pre-tokenizer as steps. */
import { classOf, complement, property, union } from './code-points.ts';
import { compilePattern } from './compile-normalizer.ts';
import type { Component } from './component.ts';
import { literal } from './literal.ts';
import { translate } from './pattern.ts';
import { badTokenizer, unsupported } from './refusal.ts';
import type { Behavior, SplitStep } from './settings.ts';

/** GPT-2's, which `ByteLevel` uses. */
const BYTE_LEVEL = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
const BEHAVIORS: readonly Behavior[] = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
];

/** Whether what it makes are bytes, not characters. */
export function isByteLevel(preTokenizer: Component | null): boolean {
  return preTokenizer !== null && flattened(preTokenizer).some(({ type }) => type === 'ByteLevel');
}

export function compileSplitter(preTokenizer: Component | null): readonly SplitStep[] {
  const parts = preTokenizer === null ? [] : flattened(preTokenizer);
  if (parts.slice(0, -1).some(({ type }) => type === 'ByteLevel'))
    throw unsupported('a pre-tokenizer after ByteLevel');
  return parts.flatMap(stepsOf);
}

function flattened(preTokenizer: Component): readonly Component[] {
  if (preTokenizer.type !== 'Sequence') return [preTokenizer];
  return preTokenizer.parts('pretokenizers').flatMap(flattened);
}

function stepsOf(preTokenizer: Component): readonly SplitStep[] {
  switch (preTokenizer.type) {
    case 'ByteLevel':
      return [
        ...(preTokenizer.flag('add_prefix_space') ? [{ kind: 'prefix-space' } as const] : []),
        ...(preTokenizer.flag('use_regex', true) ? [splits(translate(BYTE_LEVEL), 'Isolated')] : []),
      ];
    case 'Split':
      return [
        splits(
          compilePattern(preTokenizer.need('pattern')),
          preTokenizer.choice('behavior', BEHAVIORS),
          preTokenizer.flag('invert'),
        ),
      ];
    case 'Digits': {
      const numeric = classOf(property('numeric'));
      return [splits(preTokenizer.flag('individual_digits') ? numeric : `${numeric}+`, 'Isolated')];
    }
    case 'Whitespace': {
      const [word, space] = [property('word'), property('space')];
      const other = complement(union(word, space));
      return [splits(`${classOf(word)}+|${classOf(other)}+`, 'Removed', true)];
    }
    case 'WhitespaceSplit':
      return [splits(`${classOf(property('space'))}+`, 'Removed')];
    case 'Punctuation':
      return [
        splits(classOf(property('punctuation')), preTokenizer.choice('behavior', BEHAVIORS, 'Isolated')),
      ];
    case 'BertPreTokenizer': {
      const [marks, space] = [property('punctuation'), property('space')];
      const letters = complement(union(marks, space));
      return [splits(`${classOf(letters)}+|${classOf(marks)}`, 'Removed', true)];
    }
    case 'Metaspace':
      return metaspace(preTokenizer);
    case 'CharDelimiterSplit':
      return [splits(literal(single(preTokenizer, 'delimiter')), 'Removed')];
    default:
      throw unsupported(`the pre-tokenizer ${preTokenizer.type}`);
  }
}

function metaspace(preTokenizer: Component): readonly SplitStep[] {
  const replacement = single(preTokenizer, 'replacement');
  const scheme = metaspaceScheme(preTokenizer);
  const step: SplitStep = { kind: 'metaspace', replacement, scheme };
  const divides = preTokenizer.flag('split', true);
  return divides ? [step, splits(literal(replacement), 'MergedWithNext')] : [step];
}

/** Older files say `add_prefix_space` in place of `prepend_scheme`. */
export function metaspaceScheme(component: Component): 'always' | 'first' | 'never' {
  const scheme = component.choice('prepend_scheme', ['always', 'first', 'never'], 'always');
  return component.flag('add_prefix_space', true) ? scheme : 'never';
}

/** A text of one character. */
export function single(component: Component, key: string): string {
  const text = component.text(key);
  if ([...text].length === 1) return text;
  throw badTokenizer(`${component.path}.${key} should be one character`);
}

function splits(pattern: string, behavior: Behavior, invert = false): SplitStep {
  return { kind: 'pattern', pattern, behavior, invert };
}
