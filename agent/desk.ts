/**
 * The desk keeps what never enters an event: the text of each request under way and the client that waits for it.
 * Every client is told exactly once; whoever comes second finds nobody.
 */
import type { Piece } from './generation.ts';
import type { Answer, Ask, Passage } from './ports.ts';
import type { Chosen, Listeners, Refusal, Reply } from './service.ts';
import type { Choice, ExpertId, LeaseId, RequestId } from './types.ts';

export interface Client {
  readonly ask: Ask;
  readonly listeners: Listeners;
  readonly answer: (reply: Reply) => void;
  readonly refuse: (refusal: Refusal) => void;
}

interface Case {
  readonly client: Client;
  ask: Ask;
  chosen: Chosen | null;
  /** The run that is to answer; what an earlier one still says is dropped. */
  run: LeaseId | null;
  /** What waits because the answer may be taken back; null: it goes out as it comes. */
  held: Piece[] | null;
  /** Part of the answer went out: it cannot be tried again. */
  started: boolean;
  /** What an assistant found, and its base speaks from, in the assistant's words. */
  sources: readonly Passage[];
  words: string;
  /** What is the answer where the base does not speak. */
  found: Answer | null;
  degraded: string | null;
}

const NOBODY: Chosen = { decision: 0, expert: null, confidence: null, residency: null };

export class Desk {
  readonly #cases = new Map<RequestId, Case>();

  open(id: RequestId, client: Client): void {
    this.#cases.set(id, {
      client,
      ask: client.ask,
      chosen: null,
      run: null,
      held: null,
      started: false,
      sources: [],
      words: '',
      found: null,
      degraded: null,
    });
  }

  /** What the request asks; null when its client is gone. */
  ask(id: RequestId): Ask | null {
    return this.#cases.get(id)?.ask ?? null;
  }

  /** Keeps the embedding that was computed for routing, for experts that need it too. */
  embed(id: RequestId, embedding: Float32Array): void {
    const one = this.#cases.get(id);
    if (one !== undefined && one.ask.kind === 'chat') one.ask = { ...one.ask, embedding };
  }

  /**
   * Keeps what an assistant found for the request: the sources and the words that its base is told, and the answer without
   * it. The assistant, or this version of it, may have left before its base speaks.
   */
  keepFound(id: RequestId, found: Answer, sources: readonly Passage[], words: string): void {
    const one = this.#cases.get(id);
    if (one !== undefined) Object.assign(one, { found, sources, words });
  }

  sources(id: RequestId): readonly Passage[] {
    return this.#cases.get(id)?.sources ?? [];
  }

  words(id: RequestId): string {
    return this.#cases.get(id)?.words ?? '';
  }

  /** Notes in what way the answer is going to be less than it could be, and whose it is. */
  degrade(id: RequestId, degraded: string, expert: ExpertId): void {
    const one = this.#cases.get(id);
    if (one === undefined) return;
    one.degraded = degraded;
    if (one.chosen !== null && one.chosen.expert !== expert) one.chosen = { ...one.chosen, expert };
  }

  chosen({ request, expert, confidence, router, language, residency }: Choice, decision: number): void {
    const one = this.#cases.get(request);
    if (one === undefined) return;
    one.chosen = { decision, expert, confidence, residency, router, language };
    one.client.listeners.onChosen?.(one.chosen);
  }

  /** Another run of the request begins. `revocable`: nothing of it goes out before it has ended well. */
  begin(id: RequestId, run: LeaseId, revocable: boolean): void {
    const one = this.#cases.get(id);
    if (one === undefined) return;
    one.run = run;
    one.held = revocable ? [] : null;
  }

  /** True while this run is the one that is to answer. */
  expects(id: RequestId, run: LeaseId): boolean {
    return this.#cases.get(id)?.run === run;
  }

  delta(id: RequestId, run: LeaseId, piece: Piece): void {
    const one = this.#cases.get(id);
    if (one?.run !== run) return;
    if (one.held !== null) return void one.held.push(piece);
    one.started = true;
    one.client.listeners.onDelta?.(piece);
  }

  /** True where part of what this run says went out. */
  hasStarted(id: RequestId, run: LeaseId): boolean {
    const one = this.#cases.get(id);
    return one?.run === run && one.started;
  }

  answer(id: RequestId, answer: Answer | null, stages: Readonly<Record<string, number>>): void {
    const one = this.#take(id);
    if (one === undefined) return;
    const { chosen, sources, degraded, held } = one;
    for (const piece of held ?? []) one.client.listeners.onDelta?.(piece);
    one.client.answer({
      ...(chosen ?? NOBODY),
      answer,
      stages,
      ...(degraded === null ? {} : { degraded }),
      ...(answer?.kind === 'text' && sources.length > 0 ? { sources } : {}),
    });
  }

  /** What an assistant found is the answer; the refusal, where part of another one went out or nothing was found. */
  fallBack(id: RequestId, refusal: Omit<Refusal, 'decision'>, degraded: string): void {
    const one = this.#cases.get(id);
    if (one === undefined) return;
    if (one.started || one.found === null) return this.refuse(id, refusal);
    // What a run has said that failed then is no part of it.
    Object.assign(one, { degraded, held: null });
    this.answer(id, one.found, {});
  }

  refuse(id: RequestId, refusal: Omit<Refusal, 'decision'>, decision: number | null = null): void {
    const one = this.#take(id);
    one?.client.refuse({ ...refusal, decision: one.chosen?.decision ?? decision });
  }

  /** The client is gone. */
  drop(id: RequestId): void {
    this.#cases.delete(id);
  }

  ids(): readonly RequestId[] {
    return [...this.#cases.keys()];
  }

  #take(id: RequestId): Case | undefined {
    const one = this.#cases.get(id);
    this.#cases.delete(id);
    return one;
  }
}
