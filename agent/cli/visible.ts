/** Makes text harmless that somebody else wrote: what would steer a terminal is shown instead. */

/** C0 and DEL but newline and tab; C1; and what turns the direction of writing, which hides what a line says. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const PICTURES = 0x2400;
const PICTURE_OF_DELETE = '\u2421';
const REPLACEMENT = '\uFFFD';

/** Control characters as Unicode's pictures of them (an escape is `␛`), others as U+FFFD. Line ends become newlines. */
export function visible(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(STEERING, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(PICTURES + code);
    return code === 0x7f ? PICTURE_OF_DELETE : REPLACEMENT;
  });
}
