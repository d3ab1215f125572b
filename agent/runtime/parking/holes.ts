/**
 * Keeps weights out of the heap. malloc makes a mapping of a large block only where the heap has no free room for it; a
 * cell that has unloaded an expert has such room, and what lies there can never leave (measured: 5 MB more with every
 * load of a 135M model). So while sessions are made, the heap's free room is cut into pieces that are too small for a
 * mapping: half of them stay free for all the small things.
 */
import type { Address } from '../../linux/foreign.ts';
import type { Heap } from '../../linux/heap.ts';

/** From here on blocks become mappings: as `MALLOC_MMAP_THRESHOLD_` of a cell. */
export const PIECE_BYTES = 65_536;
/** More is not cut: 256 MB of room. */
const MOST_PIECES = 4_096;

/** With its header and what is too little to be a block of its own. */
const STEP_BYTES = BigInt(PIECE_BYTES + 48);

/** Returns what gives the pieces back. */
export function cutHoles(heap: Heap): () => void {
  const pieces: Address[] = [];
  for (let block = heap.allocate(PIECE_BYTES); block !== null; block = heap.allocate(PIECE_BYTES)) {
    pieces.push(block);
    if (pieces.length >= MOST_PIECES) break;
  }
  pieces.sort((a, b) => (a < b ? -1 : 1));
  const kept: Address[] = [];
  for (const [at, piece] of pieces.entries()) {
    const [before, behind] = [kept.at(-1), pieces[at + 1]];
    // Between two that are kept: at an end it would grow together with the rest of the hole.
    const isBetween = touches(before, piece) && touches(piece, behind);
    if (isBetween) heap.free(piece);
    else kept.push(piece);
  }
  return () => {
    for (const piece of kept.splice(0)) heap.free(piece);
  };
}

function touches(piece: Address | undefined, next: Address | undefined): boolean {
  return piece !== undefined && next !== undefined && next - piece < STEP_BYTES;
}
