/**
 * A Service without a loop, cells or a database: three experts, answers that depend on the question alone, and a
 * script of refusals. It records what was asked, so that tests can look.
 */
import type { Piece, SaidToken } from '../../agent/generation.ts';
import type { Answer, Ask } from '../../agent/ports.ts';
import type {
  AskRequest,
  Chosen,
  DecisionQuery,
  DecisionRow,
  DecisionTold,
  ExpertView,
  Explanation,
  FleetView,
  Health,
  Listeners,
  Refusal,
  Reply,
  Service,
  SplitMessage,
  StateView,
} from '../../agent/service.ts';
import type { Choice, Failure, Task } from '../../agent/types.ts';

const MB = 1_048_576;

export function expertView(id: string, task: Task, change: Partial<ExpertView> = {}): ExpertView {
  return {
    id,
    version: '1.0.0',
    task,
    summary: `What ${id} does.`,
    license: 'Apache-2.0',
    source: 'https://example.org/',
    state: 'resident',
    leases: 0,
    pinned: false,
    cell: 'fast-1',
    memory: { residentBytes: 20 * MB, loadBytes: 24 * MB, loadMs: 120, measured: true },
    lastUsedMs: null,
    uses: 0,
    error: null,
    progress: null,
    graph: { inputs: {}, outputs: {} },
    ...change,
  };
}

export function refusal(code: string, change: Partial<Refusal> & { failure?: Failure } = {}): Refusal {
  const failure: Failure = {
    code,
    message: `refused with ${code}`,
    hint: 'Do something else.',
    retryable: false,
  };
  return { failure, decision: 41, retryAfterMs: null, loading: null, ...change };
}

export class FakeService implements Service {
  readonly #listeners = new Set<(told: DecisionTold) => void>();
  readonly asked: AskRequest[] = [];
  readonly commands: string[] = [];
  /** Signals of the requests, in their order. */
  readonly signals: AbortSignal[] = [];
  expertList: readonly ExpertView[] = [
    expertView('embedder', 'feature-extraction'),
    expertView('lang-id', 'text-classification', { state: 'absent', cell: null }),
    expertView('medical', 'retrieval', { pinned: true, uses: 3, lastUsedMs: 1_700_000_000_000 }),
    expertView('writer', 'text-generation', { state: 'absent', cell: null, memory: null }),
  ];
  /** Thrown at the next requests, one each. */
  failures: unknown[] = [];
  /** Pieces that a generator sends before its answer. */
  pieces: readonly (string | Piece)[] = ['Hel', 'lo ', 'you'];
  /** Called between pieces: lets a test hang up, or fail, in mid-stream. */
  betweenPieces: (index: number, signal: AbortSignal) => Promise<void> = async () => {};
  answerOf: (ask: Ask, expert: string) => Answer = defaultAnswer;
  /** Beside the answers. */
  notes: Pick<Reply, 'degraded' | 'sources'> = {};
  healthView: Health = { live: true, ready: true, version: '0.0.1', uptimeMs: 65_000, problems: [] };
  stateView: StateView = defaultState();
  #decision = 41;

  async ask(request: AskRequest, listeners: Listeners, signal: AbortSignal): Promise<Reply> {
    this.asked.push(request);
    this.signals.push(signal);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const expert = request.model ?? this.#choose(request);
    this.#decision++;
    const decision = this.#decision;
    const stages = { queue: 0.1, run: 1.5, prefill: 0.5, decode: 1, cell: 1.6, total: 2 };
    if (expert === null) {
      return { decision, expert, confidence: null, residency: null, answer: null, stages };
    }
    const view = this.expertList.find(({ id }) => id === expert);
    if (view === undefined) throw refusal('model_not_found');
    if (request.want === 'load') {
      return { decision, expert, confidence: null, residency: null, answer: null, stages: {} };
    }
    const residency = view.state === 'resident' ? 'resident' : 'absent';
    const chosen: Chosen = { decision, expert, confidence: 0.87, residency };
    listeners.onChosen?.(chosen);
    if (view.task === 'text-generation') await this.#generate(listeners, signal);
    return { ...chosen, answer: this.answerOf(request.ask, expert), stages, ...this.notes };
  }

  async route({ question }: SplitMessage): Promise<Choice> {
    const expert = chooseByWords(question);
    const candidates = this.expertList.map(({ id }) => ({
      expert: id,
      score: id === expert ? 0.9 : 0.1,
      confidence: id === expert ? 0.9 : 0.1,
      why: 'words',
    }));
    const confidence = expert === null ? null : 0.9;
    return {
      request: 'dry',
      expert,
      confidence,
      candidates,
      router: 'rules',
      language: null,
      predictedLoadMs: 120,
      residency: 'resident',
    };
  }

  async command(command: string, expert: string): Promise<ExpertView> {
    this.commands.push(`${command} ${expert}`);
    const view = this.expertList.find(({ id }) => id === expert);
    if (view === undefined) throw refusal('model_not_found');
    return { ...view, pinned: command === 'pin' };
  }

  async reload(): Promise<void> {
    this.commands.push('reload');
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
  }

  experts(): readonly ExpertView[] {
    return this.expertList;
  }

  state(): StateView {
    return this.stateView;
  }

  decisions({ limit, before, expert }: DecisionQuery): readonly DecisionRow[] {
    const rows = [44, 43, 42].map((id) => decisionRow(id));
    return rows
      .filter((row) => (before === null || row.id < before) && (expert === null || row.expert === expert))
      .slice(0, limit);
  }

  explain(id: number): Explanation | null {
    return id >= 42 && id <= 44 ? explanation(id) : null;
  }

  health(): Health {
    return this.healthView;
  }

  subscribe(listener: (told: DecisionTold) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells all who subscribed, as an agent does after each decision. */
  tell(told: DecisionTold): void {
    for (const listener of this.#listeners) listener(told);
  }

  get subscribers(): number {
    return this.#listeners.size;
  }

  #choose(request: AskRequest): string | null {
    if (request.ask.kind === 'embeddings') return 'embedder';
    if (request.ask.kind === 'tensors') throw refusal('wrong_task');
    return chooseByWords(request.ask.question);
  }

  async #generate({ onDelta }: Listeners, signal: AbortSignal): Promise<void> {
    for (const [index, piece] of this.pieces.entries()) {
      onDelta?.(typeof piece === 'string' ? { text: piece, tokens: [] } : piece);
      await this.betweenPieces(index, signal);
    }
  }
}

function chooseByWords(question: string): string | null {
  if (/language/i.test(question)) return 'lang-id';
  if (/tachycardia|fever/i.test(question)) return 'medical';
  return /write/i.test(question) ? 'writer' : null;
}

/** As a graph of identities would: an output has the data of the input of its name. */
function echo({ inputs, outputs }: Extract<Ask, { kind: 'tensors' }>): Answer {
  const wanted = outputs ?? inputs.map(({ name }) => name);
  const found = wanted.flatMap((name) => inputs.filter((input) => input.name === name));
  return { kind: 'tensors', outputs: found, inputTokens: 0 };
}

/** What its experts say: a label, a passage, or "Hello you". */
export function defaultAnswer(ask: Ask, expert: string): Answer {
  if (ask.kind === 'tensors') return echo(ask);
  if (ask.kind === 'embeddings') {
    const vectors = ask.texts.map((text) => Float32Array.of(0.5, -0.25, text.length));
    return { kind: 'embeddings', vectors, inputTokens: ask.texts.length * 4 };
  }
  if (expert === 'lang-id') {
    const labels = [
      { label: 'es', score: 0.97 },
      { label: 'gl', score: 0.02 },
    ];
    return { kind: 'labels', labels, inputTokens: 9 };
  }
  if (expert === 'medical') {
    const text = 'A heart rate above 100 beats per minute.';
    const passages = [{ title: 'tachycardia', text, source: 'Glossary', score: 0.9 }];
    return { kind: 'passages', passages, inputTokens: 5 };
  }
  return said('Hello you');
}

/** What a language model says, of three tokens after a prompt of seven, five of which it had read before. */
export function said(text: string, tokens: readonly SaidToken[] = []): Extract<Answer, { kind: 'text' }> {
  return { kind: 'text', text, finish: 'stop', inputTokens: 7, outputTokens: 3, cachedTokens: 5, tokens };
}

/** A token of that text, as likely as that, with one alternative. */
export function saidToken(text: string, logprob: number): SaidToken {
  const bytes = Buffer.from(text);
  const other = { id: 2, text: 'other', bytes: Buffer.from('other'), logprob: -3 };
  return { id: 1, text, bytes, logprob, top: [other] };
}

/** Of a device that is connected, has a document under way, and was sent what it does not follow. */
export const FLEET: FleetView = {
  device: 'kitchen',
  broker: 'mqtt://broker:1883',
  isUp: true,
  reason: null,
  delivery: 'paused',
  recordsWaiting: 12,
  genSeen: 6,
  genApplied: 5,
  phase: 'Fetching',
  refused: { expired: 1, bad_signature: 40 },
};

function defaultState(): StateView {
  return {
    budgetBytes: 300 * MB,
    committedBytes: 180 * MB,
    measuredBytes: 171 * MB,
    agentBytes: 60 * MB,
    availableBytes: null,
    pressure: { level: 'ok', why: 'no sign of pressure' },
    admission: 'open',
    cells: [
      {
        id: 'fast-1',
        lane: 'fast',
        pid: 4242,
        bytes: 80 * MB,
        measuredBytes: 75 * MB,
        fileBytes: 20 * MB,
        expectedBytes: 72 * MB,
        experts: ['embedder'],
        leases: 1,
      },
    ],
    waiting: 2,
    running: 1,
    policies: { router: ['rules', 'nearest'], residency: 'gdsf', combiner: 'best' },
    log: { state: 'ok', reason: null, lastSequence: 44, syncedSequence: 43, dropped: 0 },
  };
}

function decisionRow(id: number): DecisionRow {
  const abstained = id === 43;
  return {
    id,
    atMs: 1_700_000_000_000 + id * 1_000,
    request: `r${id}`,
    expert: abstained ? null : 'lang-id',
    confidence: abstained ? null : 0.87,
    router: 'rules',
    reasons: abstained ? ['no expert is confident'] : ['the rules name lang-id'],
    ok: true,
    totalMs: abstained ? 0.4 : 132.5,
  };
}

function explanation(id: number): Explanation {
  const decision = decisionRow(id);
  const candidates = [
    { expert: 'lang-id', score: 0.91, confidence: 0.87, why: 'its rule "which language" matches' },
    { expert: 'medical', score: 0.2, confidence: 0.11, why: 'no rule matches' },
  ];
  const { expert, confidence } = decision;
  return {
    decision,
    asked: { sha256: 'ab'.repeat(32), chars: 51, language: 'en', text: null },
    choice: {
      request: `r${id}`,
      expert,
      confidence,
      candidates,
      router: 'rules',
      language: null,
      predictedLoadMs: 120,
      residency: 'resident',
    },
    policies: { router: ['rules', 'nearest'], residency: 'gdsf', combiner: 'best' },
    residencyBefore: { embedder: 'resident', 'lang-id': 'absent', medical: 'resident' },
    residencyAfter: { embedder: 'resident', 'lang-id': 'loading', medical: 'absent' },
    memory: { budgetBytes: 300 * MB, committedBytes: 180 * MB, availableBytes: 900 * MB, pressure: 'ok' },
    timeline: [
      {
        id,
        atMs: decision.atMs,
        event: 'request',
        reasons: ['the rules name lang-id', 'medical is evicted to make room'],
        steps: ['unload medical from fast-1', 'load lang-id in fast-1'],
      },
      {
        id: id + 1,
        atMs: decision.atMs + 121,
        event: 'loaded',
        reasons: ['lang-id is resident'],
        steps: ['grant r42'],
      },
    ],
    outcome: {
      ok: true,
      failure: null,
      stages: { queue: 121, tokenize: 0.2, run: 1.4, total: 132.5 },
      predictedLoadMs: 120,
      loadMs: 118,
    },
  };
}
