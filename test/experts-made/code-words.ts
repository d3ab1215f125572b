/**
 * Names for tokens: the 2,048 words of the Reed-Muller code RM(2,4), as 16 values of +1 or -1.
 *
 * Two different words differ in at least 4 places (MacWilliams and Sloane, The Theory of Error-Correcting Codes,
 * chapter 13), so their dot product is at most 8, and 16 with themselves: an attention head can tell them apart.
 */
export const CODE_LENGTH = 16;
export const CODE_WORDS = 2_048;

/** Word `number` (0 to 2,047): its bits choose monomials of degree two or less in the four bits of a place. */
export function codeWord(number: number): Int8Array {
  return Int8Array.from({ length: CODE_LENGTH }, (_, place) => {
    let parity = 0;
    for (const [bit, mask] of MONOMIALS.entries()) {
      if (((number >> bit) & 1) === 1 && (place & mask) === mask) parity ^= 1;
    }
    return parity === 0 ? 1 : -1;
  });
}

/** Each as the set of bits of a place that must be 1. */
const MONOMIALS = [0, 1, 2, 4, 8, 3, 5, 9, 6, 10, 12];
