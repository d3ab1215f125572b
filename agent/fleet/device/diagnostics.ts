/** What a device tells of itself when it is asked: its state, its last decisions, its log. One JSON text, redacted. */
import type { DecisionRow, ExpertView, Health, StateView } from '../../service.ts';
import type { Command } from '../documents/command.ts';
import { type Redaction, redactLine, redactValue } from './diagnostics-redaction.ts';
import type { Device } from './ports.ts';

export type DiagnosticsArgs = Extract<Command, { type: 'diagnostics' }>['args'];

/** What was not asked for is missing. */
export interface Diagnostics {
  readonly v: 1;
  readonly atMs: number;
  readonly state?: {
    readonly health: Health;
    /** Its `fleet` tells, too, which messages were not followed. */
    readonly state: StateView;
    readonly experts: readonly ExpertView[];
  };
  /** Newest first. */
  readonly decisions?: readonly DecisionRow[];
  /** Oldest first. */
  readonly log?: readonly string[];
}

export interface DiagnosticsSources {
  readonly device: Pick<Device, 'health' | 'state' | 'experts' | 'decisions' | 'logTail'>;
  readonly atMs: number;
  readonly redaction: Redaction;
}

const PARTS = ['state', 'decisions', 'log'] as const;
const DECISIONS = 100;
const LOG_LINES = 500;

/** The text of a `Diagnostics`. */
export function diagnose(args: DiagnosticsArgs, sources: DiagnosticsSources): string {
  const { device, atMs, redaction } = sources;
  const parts = new Set(args.parts ?? PARTS);
  const told: Diagnostics = {
    v: 1,
    atMs,
    ...(parts.has('state')
      ? { state: { health: device.health(), state: device.state(), experts: device.experts() } }
      : {}),
    ...(parts.has('decisions')
      ? { decisions: device.decisions({ limit: args.decisions ?? DECISIONS, before: null, expert: null }) }
      : {}),
  };
  const lines = parts.has('log') ? device.logTail(args.log_lines ?? LOG_LINES) : null;
  const log = lines === null ? {} : { log: lines.map((line) => redactLine(line, redaction)) };
  return JSON.stringify({ ...(redactValue(told, redaction) as Diagnostics), ...log } satisfies Diagnostics);
}
