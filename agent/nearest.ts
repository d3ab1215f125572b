/** "Did you mean": names that are a slip of the finger away. */

/**
 * The candidates nearest to `word`, best first: those whose edit distance is at most a third of the longer length (at
 * least 1, or 2 from four letters on), or that one of the two begins. Case does not count. Words beyond 128
 * characters have no neighbours: nobody mistypes those.
 */
export function nearest(word: string, candidates: Iterable<string>, limit = 3): string[] {
  const wanted = word.toLowerCase();
  if (wanted.length === 0 || wanted.length > 128) return [];
  const scored: { name: string; distance: number }[] = [];
  for (const name of candidates) {
    const other = name.toLowerCase();
    if (other.length > 128) continue;
    const distance = editDistance(wanted, other);
    if (distance <= tolerance(wanted, other) || isBeginning(wanted, other)) scored.push({ name, distance });
  }
  scored.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  return scored.slice(0, limit).map(({ name }) => name);
}

/** ` Did you mean "a" or "b"?`, or nothing. Starts with a space, to follow a sentence. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const names = nearest(word, candidates).map((name) => `"${name}"`);
  return names.length === 0 ? '' : ` Did you mean ${names.join(' or ')}?`;
}

function tolerance(a: string, b: string): number {
  const length = Math.max(a.length, b.length);
  return Math.max(length >= 4 ? 2 : 1, Math.floor(length / 3));
}

function isBeginning(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= 3 && (a.startsWith(b) || b.startsWith(a));
}

/** Optimal string alignment distance: insert, delete, replace, or swap two neighbours. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      }
      current.push(best);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
