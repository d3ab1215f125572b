/**
 * `GET /expertd/v1/events`: what happens, as it happens, as server-sent events.
 *
 *   decision   one decision; its `id:` is its number in the log, and `Last-Event-ID` continues after it
 *   state      what `/expertd/v1/state` answers, with the experts: at first, and when something changed
 *   progress   how far a fetch is
 *   skipped    so many decisions were too many to tell; the log has them
 *   reset      the log does not reach back to `Last-Event-ID`: what the client knows has a gap
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { AgentError } from '../errors.ts';
import type { Service } from '../service.ts';
import { Broadcast, type Listener } from './broadcast.ts';
import { EVENT_STREAM, frame } from './sse.ts';
import { rowFrame } from './tellings.ts';

/** Each costs a socket, a few kB, and a write per event: more than people who look at one device. */
export const MAX_STREAMS = 100;
/** Choices that are told again to a client that comes back; one that missed more starts anew. */
export const MAX_MISSED = 200;
/** A client that lost the stream waits this long before it comes back. */
const RETRY_MS = 3_000;

export function addEvents(app: FastifyInstance, service: Service): void {
  const broadcast = new Broadcast(service);
  // Streams have no end of their own: the server would wait for them until its deadline.
  app.addHook('preClose', (done) => {
    broadcast.close();
    done();
  });
  app.get('/expertd/v1/events', { exposeHeadRoute: false }, (request, reply) => {
    if (broadcast.size >= MAX_STREAMS) {
      // Hundreds of refused clients should not keep their connections as well.
      void reply.header('connection', 'close');
      throw new AgentError('too_many_streams', `${MAX_STREAMS} clients follow the events already`, {
        hint: 'Close a page or a terminal that shows them, or poll /expertd/v1/state.',
        retryable: true,
      });
    }
    const missed = missedSince(service, request.headers['last-event-id']);
    open(reply, broadcast, `retry: ${RETRY_MS}\n\n${missed}`);
    return reply;
  });
}

function open(reply: FastifyReply, broadcast: Broadcast, opening: string): void {
  const { raw } = reply;
  void reply.headers(EVENT_STREAM);
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) raw.setHeader(name, value);
  reply.hijack();
  const listener: Listener = {
    write: (text) => void raw.write(text),
    bufferedBytes: () => raw.writableLength,
    end: () => void raw.end(),
    drop: () => void raw.destroy(),
  };
  raw.once('close', () => broadcast.leave(listener));
  broadcast.join(listener, opening);
}

/** The choices since `lastId`, oldest first, or a `reset`. The log lists choices alone: other decisions are not told again. */
function missedSince(service: Service, lastId: string | string[] | undefined): string {
  if (lastId === undefined || lastId === '') return '';
  const last = typeof lastId === 'string' && /^\d{1,15}$/.test(lastId) ? Number(lastId) : null;
  if (last === null) return frame('reset', { reason: 'Last-Event-ID is not the number of a decision' });
  if (last > service.state().log.lastSequence)
    return frame('reset', { reason: `decision ${last} is not in this log: it has begun anew` });
  const rows = service.decisions({ limit: MAX_MISSED + 1, before: null, expert: null });
  const missed = rows.filter(({ id }) => id > last);
  if (missed.length > MAX_MISSED)
    return frame('reset', { reason: `more than ${MAX_MISSED} choices were made since decision ${last}` });
  // Rows are removed oldest first: where an earlier one is left, none is missing after it.
  const whole = missed.length < rows.length || service.explain(last) !== null;
  if (!whole) return frame('reset', { reason: `the log does not reach back to decision ${last}` });
  return missed
    .reverse()
    .map((row) => rowFrame(row))
    .join('');
}
