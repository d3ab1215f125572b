/** A tokenizer.json's decoder as steps, and its post-processor as the ids around a text. */
import { compilePattern } from './compile-normalizer.ts';
import { metaspaceScheme, single } from './compile-splitter.ts';
import type { Component } from './component.ts';
import { badTokenizer, unsupported } from './refusal.ts';
import type { DecodeStep } from './settings.ts';

/** `bytes`: the vocabulary is byte-level. */
export function compileDecoder(decoder: Component | null, bytes: boolean): readonly DecodeStep[] {
  const steps: readonly DecodeStep[] =
    decoder === null ? [{ kind: 'join', separator: ' ' }] : stepsOf(decoder);
  const byteLevel = steps.some(({ kind }) => kind === 'bytes');
  if (byteLevel !== bytes) throw unsupported(`a ByteLevel ${bytes ? 'pre-tokenizer' : 'decoder'} alone`);
  if (byteLevel && steps.some(({ kind }) => kind !== 'bytes' && kind !== 'fuse'))
    throw unsupported('a decoder beside ByteLevel');
  return byteLevel ? [{ kind: 'bytes' }] : steps;
}

function stepsOf(decoder: Component): readonly DecodeStep[] {
  switch (decoder.type) {
    case 'Sequence':
      return decoder.parts('decoders').flatMap(stepsOf);
    case 'ByteLevel':
      return [{ kind: 'bytes' }];
    case 'ByteFallback':
      return [{ kind: 'byte-fallback' }];
    case 'Fuse':
      return [{ kind: 'fuse' }];
    case 'Strip':
      return [
        {
          kind: 'strip',
          content: single(decoder, 'content'),
          start: decoder.count('start'),
          stop: decoder.count('stop'),
        },
      ];
    case 'Replace': {
      const pattern = compilePattern(decoder.need('pattern'));
      return [{ kind: 'replace', pattern, content: decoder.text('content') }];
    }
    case 'WordPiece':
      return [{ kind: 'wordpiece', prefix: decoder.text('prefix'), cleanup: decoder.flag('cleanup') }];
    case 'Metaspace':
      return [
        {
          kind: 'metaspace',
          replacement: single(decoder, 'replacement'),
          prepended: metaspaceScheme(decoder) !== 'never',
        },
      ];
    case 'BPEDecoder':
      return [{ kind: 'suffix', suffix: decoder.text('suffix') }];
    default:
      throw unsupported(`the decoder ${decoder.type}`);
  }
}

export interface Around {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const NOTHING: Around = { before: [], after: [] };

export function compilePostProcessor(processor: Component | null): Around {
  if (processor === null) return NOTHING;
  switch (processor.type) {
    // It changes where tokens are said to begin and end, not which they are.
    case 'ByteLevel':
      return NOTHING;
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { before: [named(processor, 'cls')], after: [named(processor, 'sep')] };
    case 'TemplateProcessing':
      return template(processor);
    case 'Sequence': {
      const parts = processor.parts('processors').map(compilePostProcessor);
      const adding = parts.filter(({ before, after }) => before.length + after.length > 0);
      if (adding.length > 1) throw unsupported('two post-processors that add tokens');
      return adding[0] ?? NOTHING;
    }
    default:
      throw unsupported(`the post-processor ${processor.type}`);
  }
}

/** A pair of text and id. */
function named(processor: Component, key: string): number {
  const id = processor.list(key)[1];
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0) return id;
  throw badTokenizer(`${processor.path}.${key} should be a token and its id`);
}

function template(processor: Component): Around {
  const special = processor.need('special_tokens');
  const pieces = processor.parts('single').map((piece) => {
    const token = piece.part('SpecialToken');
    if (token !== null) return special.need(token.text('id')).counts('ids');
    return piece.need('Sequence').text('id');
  });
  const text = pieces.indexOf('A');
  const ids = pieces.filter((piece) => typeof piece !== 'string');
  if (text < 0 || ids.length !== pieces.length - 1) throw unsupported('a template without one text');
  return { before: ids.slice(0, text).flat(), after: ids.slice(text).flat() };
}
