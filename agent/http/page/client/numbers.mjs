/** Numbers and times as people read them; the same words as the command line uses. */

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;

/** @param {number | null | undefined} count */
export function bytes(count) {
  if (count === null || count === undefined) return 'no data';
  if (count < KB) return `${count} B`;
  if (count < MB) return `${(count / KB).toFixed(1)} kB`;
  return count < GB ? `${(count / MB).toFixed(1)} MB` : `${(count / GB).toFixed(2)} GB`;
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return 'no data';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** @param {number | null | undefined} share */
export function percent(share) {
  return share === null || share === undefined ? 'no data' : `${Math.round(share * 100)} %`;
}

/**
 * Time of day; with the date where it was not today.
 * @param {number} ms
 */
export function time(ms) {
  const date = new Date(ms);
  const clock = date.toLocaleTimeString([], { hour12: false });
  return date.toDateString() === new Date().toDateString() ? clock : `${date.toLocaleDateString()} ${clock}`;
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
