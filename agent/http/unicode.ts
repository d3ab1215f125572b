/** Texts that are none: bytes that are not UTF-8, and halves of surrogate pairs that JSON can spell (`"\ud800"`). */
import { isUtf8 } from 'node:buffer';
import { FieldError } from './errors.ts';

/** A schema, or whatever else a request may nest, is deeper than this only to do harm. */
const MAX_DEPTH = 100;
const REPLACEMENT = '\u{fffd}';
const REPLACEMENT_BYTES = Buffer.from(REPLACEMENT);

/** Throws a FieldError that says which byte is the first wrong one. */
export function utf8Of(body: Buffer): string {
  const text = body.toString();
  if (isUtf8(body)) return text;
  const at = firstWrongByte(body, text);
  const byte = (body[at] ?? 0).toString(16).padStart(2, '0');
  throw new FieldError(
    'bad_json',
    '',
    `the body is not UTF-8: byte ${at} is 0x${byte}`,
    'Send JSON in UTF-8, or write what is not ASCII as \\u escapes.',
  );
}

/** The first replacement character that does not stand for itself: all before it was decoded byte for byte. */
function firstWrongByte(body: Buffer, text: string): number {
  let bytes = 0;
  let from = 0;
  for (let at = text.indexOf(REPLACEMENT); at >= 0; at = text.indexOf(REPLACEMENT, from)) {
    bytes += Buffer.byteLength(text.slice(from, at));
    if (!REPLACEMENT_BYTES.equals(body.subarray(bytes, bytes + REPLACEMENT_BYTES.length))) return bytes;
    bytes += REPLACEMENT_BYTES.length;
    from = at + 1;
  }
  return bytes;
}

/** Throws a FieldError that names the first text within a value that is not well-formed Unicode. */
export function needUnicode(value: unknown, path = '', depth = 0): void {
  if (typeof value === 'string') needWhole(value, path);
  if (typeof value !== 'object' || value === null) return;
  if (depth === MAX_DEPTH)
    throw new FieldError('bad_input', shortened(path), `"${shortened(path)}" is nested too deeply`);
  if (Array.isArray(value)) {
    for (const [at, one] of value.entries())
      if (typeof one !== 'number') needUnicode(one, `${path}[${at}]`, depth + 1);
    return;
  }
  for (const [key, one] of Object.entries(value)) {
    const inner = path === '' ? key : `${path}.${key}`;
    needWhole(key, inner);
    needUnicode(one, inner, depth + 1);
  }
}

function needWhole(text: string, path: string): void {
  if (text.isWellFormed()) return;
  const field = shortened(path);
  const hint = 'A character beyond U+FFFF is two \\u escapes, or itself.';
  throw new FieldError('bad_input', field, `"${field}" holds half of a surrogate pair`, hint);
}

function shortened(path: string): string {
  const whole = path.toWellFormed();
  return whole.length > 200 ? `${whole.slice(0, 200).toWellFormed()}...` : whole;
}
