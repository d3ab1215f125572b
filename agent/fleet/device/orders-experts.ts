/** Commands about one expert: given to the agent at once, and finished when they have come true, failed or run late. */
import { toFailure } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import type { ExpertView } from '../../service.ts';
import type { ExpertId, Failure } from '../../types.ts';
import type { Command } from '../documents/command.ts';
import { isFor } from '../documents/reading.ts';
import type { CommandResult } from '../trust/admit-command.ts';
import { type Circumstances, SKEW_MS, type Trust } from '../trust/trust.ts';
import type { Held } from './kept-commands.ts';
import { lookedAt, type Sight, sightOf, standing } from './orders-goal.ts';
import type { Device, ExpertCommand } from './ports.ts';

export type ExpertHeld = Held & { readonly command: Extract<Command, { type: ExpertCommand }> };
/** What became of a command. */
export type End = Pick<CommandResult, 'state' | 'reason' | 'detail'>;

export const SUCCEEDED: End = { state: 'SUCCEEDED', reason: null, detail: null };

/** Fetching and loading a large model takes minutes on a slow card. */
const PATIENCE_MS = 15 * 60_000;
/** A change that nobody told of is seen after this. */
const LOOK_MS = 2_000;
/** What a later command about the same expert puts an end to. */
const OPPOSITES: Readonly<Record<ExpertCommand, readonly ExpertCommand[]>> = {
  load: ['park', 'unload'],
  park: ['load', 'unload'],
  unload: ['load', 'park'],
  pin: [],
  unpin: [],
  clear: [],
};

export interface ExpertsOptions {
  readonly device: Pick<Device, 'command' | 'experts' | 'state'>;
  readonly clock: Clock;
  readonly onEnd: (held: ExpertHeld, end: End) => void;
}

interface Waiting {
  readonly held: ExpertHeld;
  readonly untilMs: number;
  sight: Sight;
  /** It is being given once more: what is seen meanwhile is of before. */
  isGiven: boolean;
}

export class Experts {
  readonly #options: ExpertsOptions;
  #waiting: readonly Waiting[] = [];
  #cancelLook: (() => void) | null = null;
  #isStopped = false;

  constructor(options: ExpertsOptions) {
    this.#options = options;
  }

  /** Resolves when the agent has it; rejects where it cannot take it. Its end is told by `onEnd`. */
  async begin(held: ExpertHeld): Promise<void> {
    const { device, clock } = this.#options;
    this.#supersede(held);
    const { command } = held;
    const view = await device.command(command.type, command.args.expert);
    if (this.#isStopped) return;
    const untilMs = clock.nowMs() + PATIENCE_MS;
    this.#waiting = [...this.#waiting, { held, untilMs, sight: sightOf(view), isGiven: true }];
    this.#judge(view.id, [view]);
    this.#lookLater();
  }

  /** The agent may have changed. */
  look(): void {
    if (this.#waiting.length === 0) return;
    const views = this.#options.device.experts();
    for (const id of new Set(this.#waiting.map(({ held }) => held.command.args.expert)))
      this.#judge(id, views);
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
    this.#cancelLook?.();
  }

  #supersede({ command }: ExpertHeld): void {
    const { type, id } = command;
    for (const one of this.#waiting) {
      const { args, type: other } = one.held.command;
      if (args.expert !== command.args.expert || !OPPOSITES[type].includes(other)) continue;
      const detail = `${type} ${args.expert} was ordered by ${id}`;
      this.#end(one, { state: 'CANCELED', reason: 'superseded', detail });
    }
  }

  #lookLater(): void {
    const { clock } = this.#options;
    if (this.#cancelLook !== null || this.#waiting.length === 0 || this.#isStopped) return;
    this.#cancelLook = clock.at(clock.nowMs() + LOOK_MS, () => {
      this.#cancelLook = null;
      this.look();
      this.#lookLater();
    });
  }

  #judge(expert: ExpertId, views: readonly ExpertView[]): void {
    const view = views.find(({ id }) => id === expert);
    const { budgetBytes } = this.#options.device.state();
    for (const one of this.#waiting) {
      const { args, type } = one.held.command;
      if (args.expert !== expert || !one.isGiven) continue;
      if (view === undefined) {
        const detail = `no expert "${expert}" is installed any more`;
        this.#end(one, { state: 'FAILED', reason: 'model_not_found', detail });
        continue;
      }
      const found = standing(type, one.sight, view, budgetBytes);
      one.sight = lookedAt(one.sight, view);
      if (found.is === 'done') this.#end(one, SUCCEEDED);
      else if (found.is === 'failed') this.#end(one, failedBy(found.failure));
      else if (this.#options.clock.nowMs() >= one.untilMs) this.#end(one, tooLate(view));
      else if (found.is === 'again') void this.#giveAgain(one);
    }
  }

  async #giveAgain(one: Waiting): Promise<void> {
    const { type, args } = one.held.command;
    one.isGiven = false;
    try {
      one.sight = sightOf(await this.#options.device.command(type, args.expert));
      one.isGiven = true;
      this.look();
    } catch (error) {
      this.#end(one, endOf(error));
    }
  }

  #end(one: Waiting, end: End): void {
    if (!this.#waiting.includes(one)) return;
    this.#waiting = this.#waiting.filter((other) => other !== one);
    this.#options.onEnd(one.held, end);
  }
}

/**
 * How a command ends whose turn came too late, whose keys are trusted no more, or that another device was given, on a disk
 * that was copied; null while it is good.
 */
export function lapsed(
  { command, signers }: Held,
  { ring }: Trust,
  circumstances: Circumstances,
): End | null {
  const { device, nowMs, clockTrusted } = circumstances;
  if (!isFor(command.aud, circumstances))
    return { state: 'CANCELED', reason: 'wrong_audience', detail: `it is not for "${device}"` };
  if (clockTrusted && nowMs >= command.exp * 1_000 + SKEW_MS)
    return {
      state: 'TIMED_OUT',
      reason: 'expired',
      detail: `it was good until ${new Date(command.exp * 1_000).toISOString()}`,
    };
  const holders = ring?.keys.filter(({ roles }) => roles.includes('command')).map(({ id }) => id) ?? [];
  const good = signers.filter((signer) => holders.includes(signer));
  if (ring !== null && good.length >= ring.thresholds.command) return null;
  return { state: 'CANCELED', reason: 'revoked_key', detail: 'the keys that signed it are trusted no more' };
}

/** Of anything thrown: an AgentError, a refusal of the agent (it has a `failure`), or a bug. */
export function endOf(error: unknown): End {
  return failedBy(isRefusal(error) ? error.failure : toFailure(error));
}

function isRefusal(error: unknown): error is { readonly failure: Failure } {
  return typeof error === 'object' && error !== null && 'failure' in error;
}

function failedBy({ code, message, hint }: Failure): End {
  return { state: 'FAILED', reason: code, detail: hint === null ? message : `${message}. ${hint}` };
}

function tooLate({ id, state }: ExpertView): End {
  return {
    state: 'TIMED_OUT',
    reason: 'late',
    detail: `after ${PATIENCE_MS / 60_000} minutes ${id} is ${state}`,
  };
}
