/**
 * How much to believe the model, given the accents that a text already has. In a text without any, its author writes
 * none, and the model decides alone. In one that has nearly all of them, a letter without accent most likely has none:
 * the model's doubts must not spoil what is right.
 *
 * One number says it: the share of the accents that the author left out. It is estimated from the text itself by
 * expectation maximisation (Dempster, Laird, Rubin, 1977): a bare letter is a plain one, or one with an accent that
 * was left out.
 */

const MAX_ROUNDS = 50;
const CLOSE_ENOUGH = 1e-4;

/**
 * The share, 0 to 1. `margins`: for each bare letter the log odds, as the model has it, of its likeliest accent against
 * none. `kept`: letters that do have an accent. 1 where there are none.
 */
export function leftOutShare(margins: Float32Array, kept: number): number {
  if (kept === 0) return 1;
  let share = 1;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const missing = expectedMissing(margins, share);
    const next = missing / (missing + kept);
    if (Math.abs(next - share) < CLOSE_ENOUGH) return next;
    share = next;
  }
  return share;
}

/** Whether a bare letter of that margin more likely lost an accent than never had one. */
export function isMissing(margin: number, share: number): boolean {
  return margin + Math.log(share) > 0;
}

function expectedMissing(margins: Float32Array, share: number): number {
  let sum = 0;
  for (const margin of margins) sum += 1 / (1 + Math.exp(-margin) / share);
  return sum;
}
