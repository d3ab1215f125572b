/** Tokens to text, step by step: each step takes the tokens' texts and gives texts. */
import type { DecodeStep } from './settings.ts';

type Decode = (tokens: readonly string[]) => readonly string[];

const REPLACEMENT = '\uFFFD';
/** What the Rust library takes for a byte: its parser of numbers allows a plus. */
const BYTE = /^<0x(\+[0-9A-Fa-f]|[0-9A-Fa-f]{2})>$/;
/** Of WordPiece's `cleanup`, in its order. */
const CLEANED: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** Steps that are not `bytes`: those need bytes, not texts. */
export type TextStep = Exclude<DecodeStep, { kind: 'bytes' }>;

export function decoderOf(steps: readonly TextStep[]): (tokens: readonly string[]) => string {
  const functions = steps.map(functionOf);
  return (tokens) => functions.reduce((texts, step) => step(texts), tokens).join('');
}

/** What one token adds to a text that has begun and goes on, as bytes: those of a single byte need not be UTF-8. */
export function betweenOf(steps: readonly TextStep[]): (token: string) => Uint8Array {
  const single = steps.some(({ kind }) => kind === 'byte-fallback');
  const separator = steps.find((step) => step.kind === 'join')?.separator ?? '';
  // The others are about the ends of the text.
  const functions = steps.filter(({ kind }) => !['byte-fallback', 'fuse', 'join', 'strip'].includes(kind));
  const decode = functions.map(functionOf);
  return (token) => {
    const byte = single ? BYTE.exec(token)?.[1] : undefined;
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    const [, text = ''] = decode.reduce<readonly string[]>((texts, step) => step(texts), ['', token, '']);
    return new TextEncoder().encode(separator + text);
  };
}

function functionOf(step: TextStep): Decode {
  switch (step.kind) {
    case 'byte-fallback':
      return joinBytes;
    case 'fuse':
      return (tokens) => [tokens.join('')];
    case 'join':
      return (tokens) => [tokens.join(step.separator)];
    case 'strip':
      return (tokens) => tokens.map((token) => stripped(token, step.content, step.start, step.stop));
    case 'replace': {
      const pattern = new RegExp(step.pattern, 'gu');
      return (tokens) => tokens.map((token) => token.replace(pattern, () => step.content));
    }
    case 'wordpiece':
      return (tokens) => tokens.map((token, at) => wordPiece(token, at > 0, step.prefix, step.cleanup));
    case 'metaspace':
      return (tokens) =>
        tokens.map((token, at) => token.replaceAll(step.replacement, at === 0 && step.prepended ? '' : ' '));
    case 'suffix':
      return (tokens) =>
        tokens.map((token, at) => token.replaceAll(step.suffix, at === tokens.length - 1 ? '' : ' '));
  }
}

/** Bytes in a row become text if they are UTF-8, else a replacement character each. */
function joinBytes(tokens: readonly string[]): readonly string[] {
  const texts: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    try {
      texts.push(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes)));
    } catch {
      for (const _ of bytes) texts.push(REPLACEMENT);
    }
    bytes = [];
  };
  for (const token of tokens) {
    const byte = BYTE.exec(token)?.[1];
    if (byte !== undefined) bytes.push(Number.parseInt(byte, 16));
    else {
      flush();
      texts.push(token);
    }
  }
  flush();
  return texts;
}

/** Without up to `start` times `content` at the beginning, and up to `stop` times at the end. */
function stripped(token: string, content: string, start: number, stop: number): string {
  const chars = [...token];
  let first = 0;
  while (first < Math.min(start, chars.length) && chars[first] === content) first += 1;
  let last = chars.length;
  while (chars.length - last < stop && last > first && chars[last - 1] === content) last -= 1;
  return chars.slice(first, last).join('');
}

function wordPiece(token: string, continues: boolean, prefix: string, cleanup: boolean): string {
  let text = token;
  if (continues) text = token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
  return cleanup ? CLEANED.reduce((clean, [from, to]) => clean.replaceAll(from, to), text) : text;
}
