/** What the fleet's side of a device needs of its agent. Implemented where the agent is put together. */
import type { Config } from '../../config.ts';
import type { DecisionQuery, DecisionRow, ExpertView, Health, StateView } from '../../service.ts';
import type { ExpertId } from '../../types.ts';
import type { FleetPolicy } from '../documents/desired.ts';
import type { CommandState } from '../documents/shapes.ts';

/** What a fleet's document, and its commands, say over the configuration of the device. */
export interface Overlay {
  /** Of these ids, instead of what the configuration says of them. */
  readonly experts: Config['experts'];
  /** Not to be on this device, whatever the configuration says. */
  readonly remove: readonly ExpertId[];
  readonly policy: FleetPolicy;
  readonly budget: number | string | null;
}

export type ExpertCommand = 'load' | 'park' | 'unload' | 'pin' | 'unpin' | 'clear';

/** What became of an order of the fleet: a row of the record for each. */
export interface Order {
  /** The id of a command, or `gen 7` of a desired document. */
  readonly order: string;
  /** `desired`, or the type of the command. */
  readonly what: string;
  readonly state: CommandState;
  /** Reason and message where it was refused or failed. */
  readonly why: string | null;
}

export interface Device {
  /**
   * Lets the fleet's word count over the configuration from now on, or (null) no more. Resolves when it was taken (what
   * has to be fetched comes later); rejects with an AgentError, and changes nothing, where it cannot be used.
   */
  overlay(part: Overlay | null): Promise<void>;
  /** Rejects with a Refusal or AgentError where there is no such expert. */
  command(command: ExpertCommand, expert: ExpertId): Promise<ExpertView>;
  experts(): readonly ExpertView[];
  state(): StateView;
  health(): Health;
  decisions(query: DecisionQuery): readonly DecisionRow[];
  /** The newest lines of the agent's log, oldest first, up to so many; secrets are never in them. */
  logTail(lines: number): readonly string[];
  /** Records it. */
  note(order: Order): void;
  /** Ends this process so that its supervisor starts it again; called after the result was sent. */
  restart(): void;
}
