/** The desired document: everything that a device shall be. The device works out what to change. */
import { type Static, Type } from 'typebox';
import { parseBytes } from '../../bytes.ts';
import { ExpertIdSchema } from '../../catalog/manifest.ts';
import { ConfigSchema } from '../../config.ts';
import { AgentError } from '../../errors.ts';
import {
  AudienceSchema,
  CounterSchema,
  documentCheck,
  misshapen,
  needAudience,
  needLifetime,
  SecondsSchema,
  strict,
  VersionSchema,
} from './reading.ts';

/** The part of the configuration that a fleet may override. */
export const PolicySchema = Type.Partial(ConfigSchema.properties.policies, { ...strict, minProperties: 1 });
const DigestSchema = Type.String({ pattern: '^sha256:[0-9a-f]{64}$' });
/** A folder that holds expert.json. */
const SourceSchema = Type.String({ pattern: '^(file:.|https://[^/])', maxLength: 2_048 });

/** How a new version proves itself: a share of live requests, until so many were decided or so long. */
const CanarySchema = Type.Object(
  {
    share: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
    decisions: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    minutes: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 43_200 })),
  },
  strict,
);

const DesiredExpertSchema = Type.Object(
  {
    id: ExpertIdSchema,
    version: Type.String({ pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$', maxLength: 64 }),
    /** Of its expert.json, which lists every other file with its own. */
    digest: DigestSchema,
    sources: Type.Array(SourceSchema, { minItems: 1, maxItems: 8 }),
    pinned: Type.Optional(Type.Boolean()),
    canary: Type.Optional(CanarySchema),
  },
  strict,
);

export const DesiredSchema = Type.Object(
  {
    v: VersionSchema,
    gen: CounterSchema,
    aud: AudienceSchema,
    nbf: Type.Optional(SecondsSchema),
    exp: SecondsSchema,
    release_no: CounterSchema,
    min_release: CounterSchema,
    experts: Type.Array(DesiredExpertSchema, { maxItems: 256 }),
    policy: Type.Optional(PolicySchema),
    budget: ConfigSchema.properties.memory.properties.budget,
    experts_remove: Type.Optional(Type.Array(ExpertIdSchema, { maxItems: 256 })),
  },
  strict,
);

export type Desired = Static<typeof DesiredSchema>;
export type DesiredExpert = Static<typeof DesiredExpertSchema>;
export type FleetPolicy = Static<typeof PolicySchema>;

/** Throws Refused. */
export const checkDesired = documentCheck<typeof DesiredSchema, Desired>(
  DesiredSchema,
  { subject: 'the desired document' },
  (desired) => {
    needAudience(desired.aud);
    needLifetime(desired.nbf, desired.exp);
    if (desired.release_no < desired.min_release)
      throw misshapen('"release_no" is below the "min_release" of the same document');
    needDistinct(desired.experts.map(({ id }) => id));
    desired.experts.forEach(needOneMeasure);
    const both = desired.experts_remove?.find((id) => desired.experts.some((expert) => expert.id === id));
    if (both !== undefined) throw misshapen(`"${both}" is both in "experts" and in "experts_remove"`);
    if (desired.budget !== undefined) needSize(desired.budget);
  },
);

function needDistinct(ids: readonly string[]): void {
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw misshapen(`"experts" names "${twice}" twice`, 'Name each expert once.');
}

function needOneMeasure({ id, canary }: DesiredExpert): void {
  if (canary === undefined || (canary.decisions === undefined) !== (canary.minutes === undefined)) return;
  throw misshapen(`"canary" of "${id}" must have either "decisions" or "minutes"`);
}

function needSize(budget: number | string): void {
  try {
    parseBytes(budget, '"budget"');
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    throw misshapen(error.message, error.hint);
  }
}
