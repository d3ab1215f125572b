/** The alphabet of byte-level vocabularies: a character for each byte, so that every token is printable text. */

/** Bytes that are their own character in Latin-1; the others, in order, are the characters from U+0100. */
function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

function alphabet(): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  let spare = 0x100;
  for (let byte = 0; byte < 256; byte += 1)
    bytes.set(String.fromCharCode(isPrintable(byte) ? byte : spare++), byte);
  return bytes;
}

const BYTES = alphabet();

/** The bytes that a token stands for; null if a character of it is none of the alphabet. */
export function bytesOfToken(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let at = 0; at < token.length; at += 1) {
    const byte = BYTES.get(token.charAt(at));
    if (byte === undefined) return null;
    bytes[at] = byte;
  }
  return bytes;
}

/** What a decoder makes of a token: its bytes, or its own UTF-8 where it is not all of the alphabet. */
export function bytesSaid(token: string): Uint8Array {
  return bytesOfToken(token) ?? new TextEncoder().encode(token);
}
