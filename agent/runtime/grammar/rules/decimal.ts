/** Numbers in the digits that JSON writes them with. */

/** A number without its sign. */
export interface Decimal {
  /** Without leading zeros; `0` below 1. */
  readonly whole: string;
  /** Without trailing zeros; may be empty. */
  readonly fraction: string;
}

/** The shortest digits that read as the magnitude of `value`, which is finite. */
export function decimal(value: number): Decimal {
  const [mantissa = '0', exponent = '0'] = String(Math.abs(value)).split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  const shift = Number(exponent);
  const digits = whole + fraction;
  const point = whole.length + shift;
  const padded = point > 0 ? digits.padEnd(point, '0') : '0'.repeat(1 - point) + digits;
  const at = Math.max(1, point);
  return {
    whole: padded.slice(0, at).replace(/^0+(?=\d)/, ''),
    fraction: padded.slice(at).replace(/0+$/, ''),
  };
}
