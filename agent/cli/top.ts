/** `expertd top`: what the agent does, live, on a terminal; a snapshot, or lines of JSON, elsewhere. */
import type { DecisionRow, ExpertView } from '../service.ts';
import { type AgentClient, type AgentFlags, findAgent } from './client.ts';
import { readEvents, type ServerEvent } from './events.ts';
import { AGENT_FLAGS, AGENT_FLAGS_HELP, parseFlags } from './flags.ts';
import { CliError, type Command, EXIT, type Io, type Terminal } from './io.ts';
import { painterOf } from './print.ts';
import { frame, type TopDecision, type TopState } from './screen.ts';
import { INTERRUPT } from './terminal.ts';

const FLAGS = { ...AGENT_FLAGS, once: { type: 'boolean' } } as const;
/** A line that wraps is worse than one that is cut. */
const SNAPSHOT_COLUMNS = 100;
const SNAPSHOT_DECISIONS = 10;
const KEPT_DECISIONS = 100;
const SECOND_MS = 1_000;
const RETRY_MS = 2_000;
const QUIT_KEYS: readonly string[] = ['q', 'Q', INTERRUPT];

export const top: Command = {
  name: 'top',
  summary: 'watch memory, experts and decisions, live',
  flags: FLAGS,
  usage: `Usage: expertd top [FLAGS]

Redraws as things happen; q quits. Where stdout is no terminal, it prints one picture and ends.

  --once            print one picture and end
${AGENT_FLAGS_HELP.replace("print the agent's JSON as it is", 'print each event as a line of JSON; with --once: the state')}`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, FLAGS);
    if (positionals.length > 0) throw new CliError(EXIT.usage, `top takes no arguments: "${positionals[0]}"`);
    const agent = findAgent(values, io);
    const { terminal = null } = io;
    if (values.json) return values.once ? printState(agent, io) : printEvents(agent, io);
    if (values.once || terminal === null) return printOnce(agent, io);
    await new Live(values, terminal, io).run(agent);
    return EXIT.ok;
  },
};

async function printState(agent: AgentClient, io: Io): Promise<number> {
  io.stdout.write(`${JSON.stringify(await readState(agent))}\n`);
  return EXIT.ok;
}

/** Until the agent ends, or whoever reads has enough. */
async function printEvents(agent: AgentClient, io: Io): Promise<number> {
  for await (const { event, id, data } of readEvents(await agent.events('', new AbortController().signal))) {
    const number = id === '' ? '' : `"id":${id},`;
    io.stdout.write(`{"event":${JSON.stringify(event)},${number}"data":${data}}\n`);
  }
  return EXIT.ok;
}

async function printOnce(agent: AgentClient, io: Io): Promise<number> {
  const [state, decisions] = [await readState(agent), await readDecisions(agent, SNAPSHOT_DECISIONS)];
  const columns = io.terminal?.size().columns ?? SNAPSHOT_COLUMNS;
  const room = { columns, rows: Number.POSITIVE_INFINITY };
  io.stdout.write(`${frame({ state, decisions, corner: '' }, room, painterOf(io)).join('\n')}\n`);
  return EXIT.ok;
}

async function readState(agent: AgentClient): Promise<TopState> {
  const { value: state } = await agent.get<TopState>('/expertd/v1/state');
  const { value } = await agent.get<{ experts: ExpertView[] }>('/expertd/v1/experts');
  return { ...state, experts: value.experts };
}

async function readDecisions(agent: AgentClient, limit: number): Promise<TopDecision[]> {
  const { value } = await agent.get<{ decisions: DecisionRow[] }>(`/expertd/v1/decisions?limit=${limit}`);
  return value.decisions.map(({ id, atMs, reasons, expert, confidence }) => {
    return { id, atMs, event: null, reasons, choice: { expert, confidence }, steps: [] };
  });
}

/** The screen, and what stands on it. */
class Live {
  readonly #flags: AgentFlags;
  readonly #terminal: Terminal;
  readonly #io: Io;
  readonly #quit = new AbortController();
  #state: TopState | null = null;
  /** When `#state` came: the time since then is added to what it says of its age. */
  #stateAtMs = 0;
  readonly #decisions = new Map<number, TopDecision>();
  #trouble: string | null = null;
  #lastId = '';
  /** What stands on the screen: only lines that changed are sent, for the sake of slow connections. */
  #lines: readonly string[] = [];

  constructor(flags: AgentFlags, terminal: Terminal, io: Io) {
    this.#flags = flags;
    this.#terminal = terminal;
    this.#io = io;
  }

  /** Resolves when the reader quits. Rejects where the agent refuses at the first try. */
  async run(agent: AgentClient): Promise<void> {
    const first = await this.#open(agent);
    const giveBack = this.#terminal.take({
      onKey: (key) => {
        if (QUIT_KEYS.includes(key)) this.#quit.abort();
      },
      onResize: () => {
        this.#lines = [];
        this.#draw();
      },
    });
    const timer = setInterval(() => this.#draw(), SECOND_MS);
    try {
      await this.#follow(first);
    } finally {
      clearInterval(timer);
      giveBack();
    }
  }

  async #open(agent: AgentClient): Promise<Response> {
    const response = await agent.events(this.#lastId, this.#quit.signal);
    const known = await readDecisions(agent, KEPT_DECISIONS);
    for (const decision of known) this.#decisions.set(decision.id, decision);
    return response;
  }

  async #follow(first: Response): Promise<void> {
    let response: Response | null = first;
    while (!this.#quit.signal.aborted) {
      try {
        // The agent may have started again elsewhere.
        response ??= await this.#open(findAgent(this.#flags, this.#io));
        this.#trouble = null;
        for await (const event of readEvents(response)) this.#take(event);
        this.#trouble = 'the agent has ended';
      } catch (error) {
        this.#trouble = error instanceof CliError ? error.message : 'the connection broke';
      }
      response = null;
      this.#draw();
      await this.#pause(RETRY_MS);
    }
  }

  #take({ event, data, id }: ServerEvent): void {
    if (id !== '') this.#lastId = id;
    if (event === 'state') {
      this.#state = JSON.parse(data) as TopState;
      this.#stateAtMs = performance.now();
    } else if (event === 'decision') {
      this.#decided(JSON.parse(data) as TopDecision);
    } else if (event === 'reset') {
      this.#decisions.clear();
    }
    this.#draw();
  }

  #decided(decision: TopDecision): void {
    this.#decisions.set(decision.id, decision);
    if (this.#decisions.size <= 2 * KEPT_DECISIONS) return;
    for (const { id } of this.#newest().slice(KEPT_DECISIONS)) this.#decisions.delete(id);
  }

  #newest(): TopDecision[] {
    return [...this.#decisions.values()].sort((a, b) => b.id - a.id);
  }

  #draw(): void {
    if (this.#state === null || this.#quit.signal.aborted) return;
    const room = this.#terminal.size();
    const { health } = this.#state;
    const uptimeMs = health.uptimeMs + performance.now() - this.#stateAtMs;
    const state = { ...this.#state, health: { ...health, uptimeMs } };
    const corner = this.#trouble === null ? 'live, q quits' : `${this.#trouble}, q quits`;
    const shown = { state, decisions: this.#newest(), corner };
    const lines = frame(shown, room, painterOf(this.#io));
    const changes = Array.from({ length: room.rows }, (_, row) => {
      const line = lines[row] ?? '';
      return line === this.#lines[row] ? '' : `\u001b[${row + 1};1H\u001b[K${line}`;
    });
    this.#lines = Array.from({ length: room.rows }, (_, row) => lines[row] ?? '');
    const text = changes.join('');
    if (text !== '') this.#io.stdout.write(text);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#quit;
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      if (signal.aborted) end();
      else signal.addEventListener('abort', end);
    });
  }
}
