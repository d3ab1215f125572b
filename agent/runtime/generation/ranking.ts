/** The largest of many numbers, without sorting them all. */

/**
 * Puts the places of the `count` largest values into the beginning of `places`, in no order; returns how many there
 * are. The first of equals wins; what is minus infinity is never among them. One comparison for nearly every value.
 */
export function placesOfLargest(values: Float32Array, count: number, places: Int32Array): number {
  let found = 0;
  let least = Number.NEGATIVE_INFINITY;
  for (let place = 0; place < values.length; place += 1) {
    const value = values[place] ?? Number.NEGATIVE_INFINITY;
    if (value <= least) continue;
    if (found < count) {
      places[found] = place;
      found += 1;
      if (found === count) for (let at = (count >> 1) - 1; at >= 0; at -= 1) sink(values, places, at, count);
    } else {
      places[0] = place;
      sink(values, places, 0, count);
    }
    // Until there are enough, anything is taken that is possible at all.
    if (found === count) least = values[places[0] ?? 0] ?? least;
  }
  return found;
}

/** Whether `left` leaves the heap before `right`: the lesser value, the later of equals. */
function isWorse(values: Float32Array, left: number, right: number): boolean {
  const a = values[left] ?? 0;
  const b = values[right] ?? 0;
  return a < b || (a === b && left > right);
}

/** Restores the heap, worst first, below the place `at`. */
function sink(values: Float32Array, heap: Int32Array, at: number, size: number): void {
  const moving = heap[at] ?? 0;
  let hole = at;
  for (;;) {
    let child = 2 * hole + 1;
    if (child >= size) break;
    if (child + 1 < size && isWorse(values, heap[child + 1] ?? 0, heap[child] ?? 0)) child += 1;
    if (!isWorse(values, heap[child] ?? 0, moving)) break;
    heap[hole] = heap[child] ?? 0;
    hole = child;
  }
  heap[hole] = moving;
}
