/**
 * The commands that a device is given: judged, remembered, carried out one after the other, and answered.
 *
 * A command is on the disk before anything is done about it, and taken once. What a crash interrupts is carried out
 * again by the next process: everything that can be ordered may be done twice (a restart has then been done).
 */
import { AgentError } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import type { FleetPolicy } from '../documents/desired.ts';
import { type Reason, Refused } from '../documents/refused.ts';
import type { CommandState } from '../documents/shapes.ts';
import type { Received } from '../link.ts';
import { admitCommand, type CommandResult, type CommandVerdict } from '../trust/admit-command.ts';
import { PAYLOADS, readEnvelope } from '../trust/dsse.ts';
import { admitKeysMessage, type Circumstances, type Trust } from '../trust/trust.ts';
import { diagnose } from './diagnostics.ts';
import { type Redaction, redactText } from './diagnostics-redaction.ts';
import { type Held, KeptCommands } from './kept-commands.ts';
import type { Hearer } from './member.ts';
import { type End, type ExpertHeld, Experts, endOf, lapsed, SUCCEEDED } from './orders-experts.ts';
import { Replies, type ReplyTo } from './orders-replies.ts';
import type { Device } from './ports.ts';
import { Outgoing, type Said } from './results.ts';

export interface OrdersLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface OrdersOptions {
  readonly device: Device;
  readonly stateDir: string;
  readonly circumstances: () => Circumstances;
  readonly trust: {
    current(): Trust;
    /** Throws what the system says, if it cannot be stored. */
    keep(trust: Trust): void;
  };
  /** Resolves when the broker has it; rejects with `not_connected` or `link_lost`, or because the broker refuses. */
  readonly publish: (name: 'res', body: string, retain: boolean) => Promise<void>;
  /** As `publish`, to where an answer is wanted besides, not retained. */
  readonly reply: (to: ReplyTo, body: string) => Promise<void>;
  /** First levels of the topics of the fleet. */
  readonly root: string;
  /** The policy counts over that of the desired document from now on. */
  readonly setPolicy: (policy: FleetPolicy) => Promise<void>;
  readonly clock: Clock;
  readonly log: OrdersLog;
  /** Values that no answer may hold: passwords and tokens of the configuration. */
  readonly secrets?: () => readonly string[];
}

/** How long a restart waits until the broker has its result; without one it is said afterwards. */
const LAST_WORD_MS = 5_000;
/** Refused commands whose refusal is in the record: whoever repeats one does not fill it. */
const MAX_NOTED = 256;
/** The answer of diagnostics is large, and true at one moment. */
const ANSWER_NOT_KEPT = {
  state: 'SUCCEEDED',
  reason: 'answer_not_kept',
  detail: 'What it answered was said once, and is not kept: send a new command.',
} as const;

export class Orders implements Hearer {
  readonly #options: OrdersOptions;
  readonly #kept: KeptCommands;
  readonly #replies: Replies;
  readonly #outgoing: Outgoing;
  readonly #experts: Experts;
  /** Accepted, in their order, and not begun. */
  #line: Held[] = [];
  #isWorking = false;
  #isStopped = false;
  readonly #refused = new Map<Reason, number>();
  readonly #noted = new Set<string>();
  #isUnansweredTold = false;

  constructor(options: OrdersOptions) {
    this.#options = options;
    this.#kept = new KeptCommands(options.stateDir);
    this.#replies = new Replies({
      root: options.root,
      device: () => options.circumstances().device,
      publish: options.reply,
      onUnanswered: (why) => this.#unanswered(why),
    });
    this.#outgoing = new Outgoing({
      publish: (body) => options.publish('res', body, false),
      sayElsewhere: (said, bodies) => this.#replies.say(said, bodies),
      onSent: ({ id, state }) => this.#sent(id, state),
      onLost: ({ id, state }, why) => options.log.warn({ order: id, state, why }, 'a result was not sent'),
    });
    this.#experts = new Experts({
      device: options.device,
      clock: options.clock,
      onEnd: (held, end) => void this.#finish(held, end),
    });
  }

  /** Messages that were not followed, by reason, since the start. */
  refused(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refused);
  }

  /** What is remembered of the commands that were accepted, newest last. */
  results(): readonly CommandResult[] {
    return this.#kept.memory.results;
  }

  /** Takes up what an earlier process left: results that the broker does not have, commands that are not finished. */
  async start(): Promise<void> {
    const { circumstances, log } = this.#options;
    const damage = this.#kept.open(circumstances().nowMs);
    if (damage !== null)
      log.warn(
        { why: damage },
        'what was known of commands is damaged: only ones that expire late are taken',
      );
    for (const result of this.#kept.unsent) void this.#outgoing.send(result);
    for (const held of [...this.#kept.held]) {
      if (held.command.type === 'restart') void this.#finish(held, SUCCEEDED);
      else this.#line.push(held);
    }
    void this.#work();
  }

  /** What goes on is left to the next start. */
  stop(): void {
    this.#isStopped = true;
    this.#experts.stop();
    this.#outgoing.stop();
    this.#persist(() => this.#kept.flush());
  }

  onUp(): void {
    this.#outgoing.onUp();
  }

  changed(): void {
    this.#experts.look();
  }

  /**
   * Resolves when the command is on the disk, or it is none. Rejects with a retryable AgentError where it could not
   * be stored: then it was not taken, and the broker must send it again.
   */
  async receive(payload: Uint8Array, received: Received): Promise<void> {
    if (this.#isStopped) throw notStored('this device restarts', null);
    const { trust, circumstances } = this.#options;
    if (isOfKeys(payload)) return this.#takeKeys(payload);
    const before = trust.current();
    const verdict = admitCommand(this.#kept.memory, payload, received.retain, before, circumstances());
    this.#keepTrust(before, verdict.trust);
    switch (verdict.verdict) {
      case 'run':
        return this.#accept(verdict, received);
      case 'repeat':
        this.#replies.remember(verdict.result.id, received);
        void this.#outgoing.send(verdict.result);
        return;
      case 'refuse':
      case 'ignore':
        return this.#turnDown(verdict);
    }
  }

  // ---- taking -------------------------------------------------------------------------------------------------

  #takeKeys(payload: Uint8Array): void {
    const { trust, circumstances, device, log } = this.#options;
    const before = trust.current();
    try {
      const after = admitKeysMessage(before, payload, circumstances());
      this.#keepTrust(before, after);
      const version = after.ring?.version ?? 0;
      log.info({ version }, 'new keys of the fleet are trusted');
      device.note({ order: `keys ${version}`, what: 'keys', state: 'SUCCEEDED', why: null });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#count(error.reason, error.message);
    }
  }

  #keepTrust(before: Trust, after: Trust): void {
    if (after === before) return;
    try {
      this.#options.trust.keep(after);
    } catch (cause) {
      throw notStored('new keys could not be stored', cause);
    }
  }

  #accept(
    { memory, command, signers }: Extract<CommandVerdict, { verdict: 'run' }>,
    received: Received,
  ): void {
    const held: Held = { command, signers };
    try {
      this.#kept.accept(memory, held);
    } catch (cause) {
      throw notStored('a command could not be stored', cause);
    }
    this.#replies.remember(command.id, received);
    this.#say({ id: command.id, state: 'ACCEPTED', reason: null, detail: null }, command.type);
    this.#line.push(held);
    void this.#work();
  }

  /** Whoever signed it is answered, unless the id is that of another command, whose result stands. */
  #turnDown({ id, reason, message, hint }: Extract<CommandVerdict, { verdict: 'refuse' | 'ignore' }>): void {
    this.#count(reason, message);
    if (id === null || this.#kept.memory.results.some((result) => result.id === id)) return;
    const said: Said = { id, state: 'REJECTED', reason, detail: sentence(message, hint) };
    const key = `${id} ${reason}`;
    if (this.#noted.has(key)) return void this.#outgoing.send(this.#clean(said));
    this.#noted.add(key);
    if (this.#noted.size > MAX_NOTED) this.#noted.delete([...this.#noted][0] ?? '');
    this.#say(said, 'command');
  }

  #count(reason: Reason, message: string): void {
    const count = (this.#refused.get(reason) ?? 0) + 1;
    this.#refused.set(reason, count);
    // Anybody may send anything: the log has one line for each kind.
    if (count > 1) return;
    const why = redactText(message, this.#redaction());
    this.#options.log.warn(
      { reason, why },
      'a message of the fleet is not followed; more like it are only counted',
    );
  }

  // ---- carrying out -------------------------------------------------------------------------------------------

  /** One after the other; what an expert must become first is waited for beside the line. Never rejects. */
  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    for (let held = this.#line.shift(); held !== undefined; held = this.#line.shift()) {
      await this.#carryOut(held);
      if (this.#isStopped) return;
    }
    this.#isWorking = false;
  }

  async #carryOut(held: Held): Promise<void> {
    const { circumstances, trust } = this.#options;
    const { id, type } = held.command;
    try {
      const late = lapsed(held, trust.current(), circumstances());
      if (late !== null) return void this.#finish(held, late);
      this.#kept.begin(id);
      this.#say({ id, state: 'IN_PROGRESS', reason: null, detail: null }, type);
      await this.#act(held);
    } catch (error) {
      void this.#finish(held, endOf(error));
    }
  }

  async #act({ command, signers }: Held): Promise<void> {
    const held = { command, signers };
    switch (command.type) {
      case 'policy':
        await this.#options.setPolicy(command.args);
        void this.#finish(held, SUCCEEDED);
        return;
      case 'diagnostics':
        void this.#answer(held, this.#diagnose(command.args));
        return;
      case 'restart':
        return this.#restart(held);
      default:
        return this.#experts.begin({ command, signers } satisfies ExpertHeld);
    }
  }

  #diagnose(args: Parameters<typeof diagnose>[0]): string {
    const { device, circumstances } = this.#options;
    return diagnose(args, { device, atMs: circumstances().nowMs, redaction: this.#redaction() });
  }

  /** That it succeeds is said before: this process says nothing afterwards. */
  async #restart(held: Held): Promise<void> {
    const { clock, device } = this.#options;
    const isSaid = this.#finish(held, SUCCEEDED);
    const isLate = Promise.withResolvers<void>();
    const cancel = clock.at(clock.nowMs() + LAST_WORD_MS, isLate.resolve);
    await Promise.race([isSaid, isLate.promise]);
    cancel();
    if (this.#isStopped) return;
    this.#isStopped = true;
    device.restart();
  }

  // ---- answering ----------------------------------------------------------------------------------------------

  /** Resolves when the broker has it. */
  #finish({ command }: Held, end: End): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    const said = this.#clean({ id: command.id, ...end });
    this.#persist(() => this.#kept.finish(said.id, said, false));
    this.#note(said, command.type);
    return this.#outgoing.send(said);
  }

  /** An answer is not kept: until the broker has it the command is not finished, and a crash has it made again. */
  async #answer({ command }: Held, detail: string): Promise<void> {
    const said: Said = { id: command.id, state: 'SUCCEEDED', reason: null, detail };
    this.#note(said, command.type);
    await this.#outgoing.send(said);
    if (!this.#isStopped) this.#persist(() => this.#kept.finish(said.id, ANSWER_NOT_KEPT, true));
  }

  #say(said: Said, what: string): void {
    const clean = this.#clean(said);
    this.#note(clean, what);
    void this.#outgoing.send(clean);
  }

  #note({ id, state, reason, detail }: Said, what: string): void {
    const why = reason === null ? null : `${reason}: ${detail ?? ''}`;
    this.#options.device.note({ order: id, what, state, why });
  }

  #sent(id: string, state: CommandState): void {
    this.#kept.sent(id, state);
    if (this.#outgoing.isEmpty) this.#persist(() => this.#kept.flush());
  }

  /** Anybody may repeat a command with a topic of his own: the log has one line. */
  #unanswered(why: string): void {
    if (this.#isUnansweredTold) return;
    this.#isUnansweredTold = true;
    const fields = { why: redactText(why, this.#redaction()) };
    this.#options.log.warn(fields, 'a command is answered on "res" alone, and not at its response topic');
  }

  /** The disk may be full: what is in memory counts as long as this process, and goes to the disk with the next. */
  #persist(write: () => void): void {
    try {
      write();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.log.warn({ why }, 'what became of a command could not be stored');
    }
  }

  /** An error of the system may quote a URL with its password. */
  #clean(said: Said): Said {
    return { ...said, detail: said.detail === null ? null : redactText(said.detail, this.#redaction()) };
  }

  #redaction(): Redaction {
    const { trust, secrets } = this.#options;
    const { token } = trust.current();
    return { secrets: [...(secrets?.() ?? []), ...(token === null ? [] : [token])] };
  }
}

/** Whether a message is for the keys of this device; what cannot be read is no command either, and is counted as one. */
function isOfKeys(payload: Uint8Array): boolean {
  try {
    const { payloadType } = readEnvelope(payload);
    return payloadType === PAYLOADS.keys || payloadType === PAYLOADS.enrolment;
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}

function sentence(message: string, hint: string | null): string {
  return hint === null ? message : `${message}. ${hint}`;
}

function notStored(message: string, cause: unknown): AgentError {
  return new AgentError('not_stored', message, {
    hint: 'The broker sends it again; look whether the disk is full.',
    retryable: true,
    cause,
  });
}
