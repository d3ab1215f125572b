/** A tokenizer.json's normalizer as steps. */
import { type CodePoints, classOf, complement, only, property, union } from './code-points.ts';
import type { Component } from './component.ts';
import { literal } from './literal.ts';
import { translate } from './pattern.ts';
import { unsupported } from './refusal.ts';
import type { NormalForm, NormalizeStep } from './settings.ts';

const SPACE = 0x20;
const REPLACEMENT = 0xfffd;
const ASCII_END = 0x80;

/** What BERT takes apart one by one: the blocks of CJK ideographs that its authors listed. */
const IDEOGRAPHS: CodePoints = union(
  [0x4e00, 0xa000],
  [0x3400, 0x4dc0],
  [0x20000, 0x2a6e0],
  [0x2a700, 0x2b740],
  [0x2b740, 0x2b820],
  [0x2b920, 0x2ceb0],
  [0xf900, 0xfb00],
  [0x2f800, 0x2fa20],
);

export function compileNormalizer(normalizer: Component | null): readonly NormalizeStep[] {
  if (normalizer === null) return [];
  switch (normalizer.type) {
    case 'Sequence':
      return normalizer.parts('normalizers').flatMap(compileNormalizer);
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return [form(normalizer.type)];
    case 'Lowercase':
      return [lowercase()];
    case 'StripAccents':
      return [removes(property('mark'))];
    case 'Strip':
      return [{ kind: 'strip', left: normalizer.flag('strip_left'), right: normalizer.flag('strip_right') }];
    case 'Prepend':
      return [{ kind: 'prepend', text: normalizer.text('prepend') }];
    case 'Replace':
      return [
        {
          kind: 'replace',
          pattern: compilePattern(normalizer.need('pattern')),
          content: normalizer.text('content'),
          around: false,
          ascii: true,
        },
      ];
    case 'BertNormalizer':
      return bert(normalizer);
    default:
      throw unsupported(`the normalizer ${normalizer.type}`);
  }
}

/** `{"String": ..}` or `{"Regex": ..}` as the source of an expression. */
export function compilePattern(pattern: Component): string {
  const text = pattern.textOrNull('String');
  if (text === null) return translate(pattern.text('Regex'));
  if (text === '') throw unsupported('an empty pattern');
  return literal(text);
}

function bert(normalizer: Component): readonly NormalizeStep[] {
  const lowers = normalizer.flag('lowercase');
  const dropped = union(property('control'), only(0, REPLACEMENT));
  // A space is left alone: it would only become one.
  const space = complement(union(complement(property('space')), only(SPACE)));
  return [
    ...(normalizer.flag('clean_text') ? [removes(dropped), replaces(space, ' ')] : []),
    ...(normalizer.flag('handle_chinese_chars') ? [replaces(IDEOGRAPHS, ' ', true)] : []),
    ...(normalizer.flag('strip_accents', lowers) ? [form('NFD'), removes(property('nonspacing'))] : []),
    ...(lowers ? [lowercase()] : []),
  ];
}

function form(name: NormalForm): NormalizeStep {
  return { kind: 'form', form: name, unassigned: classOf(property('unassigned9')) };
}

function lowercase(): NormalizeStep {
  return { kind: 'lowercase', pattern: classOf(property('lowered')) };
}

function removes(set: CodePoints): NormalizeStep {
  return { ...replaces(set, ''), pattern: `${classOf(set)}+` };
}

function replaces(set: CodePoints, content: string, around = false): NormalizeStep & { kind: 'replace' } {
  const [first = ASCII_END] = set;
  return { kind: 'replace', pattern: classOf(set), content, around, ascii: first < ASCII_END };
}
