/**
 * What goes over each topic. R is the root, D the device (`../topics.ts`); everything is JSON in UTF-8, at most 128 KB.
 *
 * | topic           | QoS, retained | by        | payload                                                           |
 * |-----------------|---------------|-----------|-------------------------------------------------------------------|
 * | R/v1/D/status   | 1, yes        | device    | `Birth`, and as its last will `Death`; one whose `bd` is not the  |
 * |                 |               |           | newest is of an older connection, and says nothing                |
 * | R/v1/D/desired  | 1, yes        | operator  | envelope of a `Desired` (desired.ts)                              |
 * | R/v1/D/reported | 1, yes        | device    | `Reported`                                                        |
 * | R/v1/D/cmd      | 1, no         | operator  | envelope of a `Command` (command.ts), or of keys (keys.ts)        |
 * | R/v1/D/res      | 1, no         | device    | `Result`, in parts                                                |
 * | R/v1/D/rec      | 1, no         | device    | gzip of `RecordsHead` and its records                             |
 * | R/v1/D/ack      | 1, yes        | collector | `Ack`                                                             |
 * | R/v1/D/metrics  | 0, no         | device    | numbers by name; nobody repeats what was lost                     |
 * | R/v1/ctl/status | 1, yes        | collector | `CollectorStatus`                                                 |
 * | R/v1/ctl/hello  | 1, no         | device    | `Hello`, for collectors whose broker keeps nothing for wildcards  |
 *
 * Envelopes are DSSE (`../trust/dsse.ts`), and may bring keys: `keys` holds the envelopes of the sets that lead from
 * what a device may have pinned to those that signed this. Times in signed documents are seconds, elsewhere `...Ms`.
 *
 * Signed documents are read strictly. The shapes below come from devices that may be newer than their reader: what
 * is not known is let through, what is known must be right.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { checker } from '../../validation.ts';
import { CommandIdSchema } from './command.ts';
import { type JsonLimits, readJson } from './json.ts';
import { misshapen } from './reading.ts';

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const CountOrNull = Type.Union([Count, Type.Null()]);
const Word = Type.String({ minLength: 1, maxLength: 128 });
const Sentence = Type.String({ maxLength: 2_048 });

const BirthSchema = Type.Object({
  online: Type.Literal(true),
  /** Counts connections, so that a will which comes late is known for what it is. */
  bd: Count,
  /** Of the system: another one after each start of the device. */
  boot: Word,
  /** Of the records: another one at each start of the agent; null where no log could be opened. */
  epoch: CountOrNull,
  /** The sequence number of the newest record. */
  head: CountOrNull,
  agent: Word,
  schema: Count,
  caps: Type.Array(Word, { maxItems: 64 }),
});
const DeathSchema = Type.Object({ online: Type.Literal(false), bd: Count });

/** As Kubernetes has them: what is true, false or not known of the device, and why. */
const ConditionSchema = Type.Object({
  type: Word,
  status: Type.Union([Type.Literal('true'), Type.Literal('false'), Type.Literal('unknown')]),
  reason: Word,
  message: Sentence,
  sinceMs: Count,
});

const ReportedExpertSchema = Type.Object({
  id: Word,
  version: Type.Union([Word, Type.Null()]),
  digest: Type.Union([Word, Type.Null()]),
  state: Word,
  /** Of its rollout; null where none is under way. */
  phase: Type.Union([Word, Type.Null()]),
});

const ReportedSchema = Type.Object({
  gen_seen: Count,
  gen_applied: Count,
  phase: Word,
  conditions: Type.Array(ConditionSchema, { maxItems: 64 }),
  experts: Type.Array(ReportedExpertSchema, { maxItems: 512 }),
  disk: Type.Object({
    freeBytes: CountOrNull,
    totalBytes: CountOrNull,
  }),
  clock: Type.Union([Type.Literal('synced'), Type.Literal('unsynced')]),
});

export const COMMAND_STATES = [
  'ACCEPTED',
  'IN_PROGRESS',
  'SUCCEEDED',
  'FAILED',
  'REJECTED',
  'TIMED_OUT',
  'CANCELED',
] as const;
export type CommandState = (typeof COMMAND_STATES)[number];

const ResultSchema = Type.Object({
  id: CommandIdSchema,
  part: Type.Integer({ minimum: 1, maximum: 10_000 }),
  parts: Type.Integer({ minimum: 1, maximum: 10_000 }),
  state: Type.Unsafe<CommandState>(Type.Union(COMMAND_STATES.map((state) => Type.Literal(state)))),
  reason: Type.Union([Word, Type.Null()]),
  /** One part of the text of the answer; null where there is none. */
  detail: Type.Union([Type.String(), Type.Null()]),
});

const RecordsHeadSchema = Type.Object({
  v: Count,
  epoch: Count,
  first: Count,
  last: Count,
  recs: Type.Array(Type.Unknown()),
});

const AckSchema = Type.Object({
  epoch: Count,
  /** All records up to this one are kept. */
  hw: Count,
  missing: Type.Array(Type.Tuple([Count, Count]), { maxItems: 1_024 }),
});

const CollectorStatusSchema = Type.Object({
  online: Type.Boolean(),
  /** When it connected, which tells a reminder from a new connection. */
  sinceMs: Type.Optional(Count),
});
const HelloSchema = Type.Object({ device: Word, bd: Count, epoch: CountOrNull });

export type Birth = Static<typeof BirthSchema>;
export type Death = Static<typeof DeathSchema>;
export type Status = Birth | Death;
export type Condition = Static<typeof ConditionSchema>;
export type ReportedExpert = Static<typeof ReportedExpertSchema>;
export type Reported = Static<typeof ReportedSchema>;
export type Result = Static<typeof ResultSchema>;
export type RecordsHead = Static<typeof RecordsHeadSchema>;
export type Ack = Static<typeof AckSchema>;
export type CollectorStatus = Static<typeof CollectorStatusSchema>;
export type Hello = Static<typeof HelloSchema>;

/** From bytes of a topic to a value; throws Refused. `limits` are those of `readJson`. */
export type PayloadReader<T> = (payload: Uint8Array, limits?: JsonLimits) => T;

const readBirth = reader<Birth>(BirthSchema, 'the birth');
const readDeath = reader<Death>(DeathSchema, 'the death');
export const readReported = reader<Reported>(ReportedSchema, 'what was reported');
export const readAck = reader<Ack>(AckSchema, 'the acknowledgement', (ack) => {
  const wrong = ack.missing.find(([from, to]) => from > to);
  if (wrong !== undefined) throw misshapen(`"missing" holds a range from ${wrong[0]} to ${wrong[1]}`);
});
export const readCollectorStatus = reader<CollectorStatus>(
  CollectorStatusSchema,
  'the status of the collector',
);
export const readHello = reader<Hello>(HelloSchema, 'the hello');
export const readResult = reader<Result>(ResultSchema, 'the result', ({ part, parts }) => {
  if (part > parts) throw misshapen(`"part" is ${part} of ${parts}`);
});
/** Of what was unpacked: the caller bounds that, and says so by `limits`. */
export const readRecords = reader<RecordsHead>(RecordsHeadSchema, 'the records', ({ first, last }) => {
  if (first > last) throw misshapen(`"first" is ${first}, and "last" ${last}`);
});

/** Throws Refused. */
export function readStatus(payload: Uint8Array): Status {
  const value = readJson(payload);
  const isDeath = typeof value === 'object' && value !== null && 'online' in value && value.online === false;
  return isDeath ? readDeath(payload) : readBirth(payload);
}

function reader<T>(
  schema: TSchema,
  subject: string,
  meaning: (value: T) => void = () => {},
): PayloadReader<T> {
  const check = checker(schema, { subject });
  return (payload, limits) => {
    const { value, problem } = check(readJson(payload, limits));
    if (problem !== null) throw misshapen(problem.message, problem.hint);
    meaning(value as T);
    return value as T;
  };
}
