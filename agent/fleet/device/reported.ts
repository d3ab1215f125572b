/** What a device says of itself, as a function of what is so. Pure. */
import type { ExpertView } from '../../service.ts';
import type { Condition, Reported, ReportedExpert } from '../documents/shapes.ts';
import { isHere } from './capacity.ts';
import type { KeptDesired } from './kept-desired.ts';

/**
 * How far the newest admitted document is: `Idle`, there is none; `Applying`, it is kept and nothing is done yet;
 * `Fetching`, it counts, and experts are still to come; `Proving`, all are here, and some prove themselves beside those
 * whose place they are to take; `RolledBack`, one of them did not, and the old one stays; `Applied`, every expert is in use
 * with its digest; `Refused` and `Failed`, it does not count, and the one before it still does.
 */
export type Phase =
  | 'Idle'
  | 'Applying'
  | 'Fetching'
  | 'Proving'
  | 'RolledBack'
  | 'Applied'
  | 'Refused'
  | 'Failed';

export type ConditionType =
  /** Every expert that is wanted is here. `false` while some are not; missing where no document counts. */
  | 'ExpertsReady'
  /** The newest admitted document, or else the last message, is not followed. */
  | 'DesiredRefused'
  /** The newest admitted document could not be taken. */
  | 'DesiredFailed'
  /** A document came too late to matter, or too early to count. */
  | 'DesiredIgnored'
  | 'DesiredWaits'
  /** There are two signed documents of one generation. */
  | 'Forked'
  /** What is wrong with the keys that came with a document. */
  | 'KeysRefused'
  /** Whether experts that are still to come fit is not known. */
  | 'SizesUnknown'
  | 'ClockUntrusted'
  /** The keys on this device were made for another one, as on a copied disk. */
  | 'WrongDevice'
  /** What the fleet wanted before is damaged: no document is taken. */
  | 'MemoryDamaged'
  /** The disk does not take what has to be kept. */
  | 'NotKept';

export interface Remark {
  readonly reason: string;
  readonly message: string;
}

export type Remarks = ReadonlyMap<ConditionType, Remark>;

export interface Situation {
  readonly kept: KeptDesired;
  readonly experts: readonly ExpertView[];
  /** Experts of which nobody could tell whether they fit. */
  readonly unsized: readonly string[];
  /** What happened to messages, and is not kept. */
  readonly remarks: Remarks;
  readonly device: string;
  /** Whom the keys were made for; null: nobody said. */
  readonly enrolledAs: string | null;
  readonly clockTrusted: boolean;
  readonly disk: Reported['disk'];
}

export type Told = Omit<Reported, 'conditions'> & {
  readonly conditions: readonly Omit<Condition, 'sinceMs'>[];
};

/** Messages carry 128 KB at most, and an expert takes up to 300 bytes of it. */
const MAX_EXPERTS = 350;
const MAX_MESSAGE_CHARS = 500;
const MAX_REASON_CHARS = 128;

export function toldOf(situation: Situation): Told {
  const { kept, clockTrusted, disk } = situation;
  return {
    gen_seen: kept.memory.gen,
    gen_applied: kept.completeGen,
    phase: phaseOf(situation),
    conditions: conditionsOf(situation),
    experts: expertsOf(situation),
    disk,
    clock: clockTrusted ? 'synced' : 'unsynced',
  };
}

/** Ids of wanted experts that are not here, and of unwanted ones that are. */
export function differences({ kept, experts }: Pick<Situation, 'kept' | 'experts'>): readonly string[] {
  const document = kept.current?.document;
  if (document === undefined) return [];
  const views = new Map(experts.map((view) => [view.id, view]));
  const missing = document.experts.filter((expert) => !isHere(expert, views.get(expert.id)));
  const unwanted = document.experts_remove?.filter((id) => views.has(id)) ?? [];
  return [...missing.map(({ id }) => id), ...unwanted];
}

export function phaseOf(situation: Pick<Situation, 'kept' | 'experts' | 'remarks'>): Phase {
  const { kept, remarks } = situation;
  if (remarks.has('MemoryDamaged')) return 'Failed';
  if (kept.next !== null) {
    if (kept.turnedDown === null) return 'Applying';
    return kept.turnedDown.state === 'REJECTED' ? 'Refused' : 'Failed';
  }
  if (kept.current === null) return 'Idle';
  const ids = differences(situation);
  if (ids.length === 0) return 'Applied';
  const rollouts = situation.experts
    .filter(({ id }) => ids.includes(id))
    .map(({ rollout }) => rollout?.phase);
  if (rollouts.includes('rolledBack')) return 'RolledBack';
  const areAllProving =
    rollouts.length === ids.length && rollouts.every((phase) => PROVING.includes(phase ?? ''));
  return areAllProving ? 'Proving' : 'Fetching';
}

/** Phases of the view of a rollout, in the words of reports. */
const ROLLOUT_PHASES = {
  fetching: 'DOWNLOADING',
  failed: 'FAILED',
  selfTest: 'SELFTEST',
  probation: 'PROBATION',
  committed: 'COMMITTED',
  rolledBack: 'ROLLED_BACK',
} as const;
const PROVING: readonly string[] = ['selfTest', 'probation', 'committed'];

function conditionsOf(situation: Situation): Told['conditions'] {
  const { kept, unsized, remarks, device, enrolledAs, clockTrusted } = situation;
  const all = new Map(remarks);
  const { next, turnedDown } = kept;
  if (next !== null && turnedDown !== null)
    all.set(turnedDown.state === 'REJECTED' ? 'DesiredRefused' : 'DesiredFailed', turnedDown);
  const waiting = differences(situation);
  const unknown = unsized.filter((id) => waiting.includes(id));
  if (unknown.length > 0)
    all.set('SizesUnknown', {
      reason: 'not_said',
      message: `whether these fit is not known: ${unknown.join(', ')}`,
    });
  if (!clockTrusted)
    all.set('ClockUntrusted', {
      reason: 'not_synchronised',
      message: 'nobody has set the clock: "nbf" and "exp" of documents are not looked at',
    });
  if (enrolledAs !== null && enrolledAs !== device)
    all.set('WrongDevice', {
      reason: 'other_device',
      message: `the keys here were made for "${enrolledAs}", and this is "${device}"`,
    });
  return [...readiness(situation), ...[...all].map(([type, remark]) => condition(type, 'true', remark))];
}

function readiness(situation: Situation): Told['conditions'] {
  if (situation.kept.current === null) return [];
  const ids = differences(situation);
  if (ids.length === 0)
    return [condition('ExpertsReady', 'true', { reason: 'all_here', message: 'every expert is here' })];
  const errors = situation.experts
    .filter(({ id }) => ids.includes(id))
    .map(({ error, rollout }) => rollout?.error ?? error);
  const error = errors.find((one) => one !== null) ?? null;
  const message = `${ids.join(', ')}: ${error?.message ?? 'not as wanted yet'}`;
  return [condition('ExpertsReady', 'false', { reason: error?.code ?? 'under_way', message })];
}

function condition(
  type: ConditionType,
  status: Condition['status'],
  { reason, message }: Remark,
): Told['conditions'][number] {
  return {
    type,
    status,
    reason: reason.slice(0, MAX_REASON_CHARS),
    message: message.slice(0, MAX_MESSAGE_CHARS).toWellFormed(),
  };
}

/** Those that the fleet wants come first, where there are too many for a message. */
function expertsOf({ kept, experts }: Situation): ReportedExpert[] {
  const wanted = new Set(kept.current?.document.experts.map(({ id }) => id));
  const isOther = ({ id }: ExpertView): boolean => !wanted.has(id);
  return [...experts.filter(({ id }) => wanted.has(id)), ...experts.filter(isOther)]
    .slice(0, MAX_EXPERTS)
    .map(({ id, version, state, files, rollout }) => ({
      id,
      version,
      digest: files == null ? null : `sha256:${files.digest}`,
      state,
      phase: rollout == null ? null : ROLLOUT_PHASES[rollout.phase],
    }));
}
