/** Server-sent events as the HTML standard frames them (section 9.2), and the head of a reply that is a stream of them. */

export const EVENT_STREAM = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Tells proxies of nginx's kind to pass each event on at once.
  'x-accel-buffering': 'no',
} as const;

/** A comment: it keeps proxies and clients from taking a quiet stream for a dead one. */
export const HEARTBEAT = ':\n\n';

/** One event. JSON has no line breaks of its own, so the data is one line. */
export function frame(event: string, data: object, id: number | null = null): string {
  return `${id === null ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
