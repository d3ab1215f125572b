/** Base64 as RFC 4648 has it, sections 4 and 5, and nothing that decoders forgive: one text for one string of bytes. */

/** The bytes; null for a wrong alphabet, two alphabets at once, missing padding, spare bits that are not zero. */
export function readBase64(text: string): Uint8Array | null {
  for (const encoding of ['base64', 'base64url'] as const) {
    const bytes = Buffer.from(text, encoding);
    if (padded(bytes.toString(encoding)) === text) return bytes;
  }
  return null;
}

export function writeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function padded(text: string): string {
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}
