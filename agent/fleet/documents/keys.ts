/** The documents that say which keys a device trusts, and for what. Whether the keys are keys is `trust/`'s business. */
import { type Static, Type } from 'typebox';
import {
  CounterSchema,
  documentCheck,
  KeyIdSchema,
  misshapen,
  needAudience,
  SecondsSchema,
  strict,
  VersionSchema,
} from './reading.ts';

/** `root` signs keys, `release` desired documents, `command` commands. */
export const ROLES = ['root', 'release', 'command'] as const;
export type Role = (typeof ROLES)[number];

const RoleSchema = Type.Unsafe<Role>(Type.Union(ROLES.map((role) => Type.Literal(role))));
const FloorSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const ThresholdSchema = Type.Optional(Type.Integer({ minimum: 1, maximum: 8 }));

export const KeySetSchema = Type.Object(
  {
    v: VersionSchema,
    /** Of the set: the next one is higher by one. */
    version: CounterSchema,
    keys: Type.Array(
      Type.Object(
        {
          /** The public key: base64 of its SubjectPublicKeyInfo in DER (RFC 8410). */
          key: Type.String({ pattern: '^[A-Za-z0-9+/]{59}=$' }),
          roles: Type.Array(RoleSchema, { minItems: 1, maxItems: 3 }),
        },
        strict,
      ),
      { minItems: 1, maxItems: 16 },
    ),
    /** How many keys of a role must sign; 1 where it is left out. */
    thresholds: Type.Optional(
      Type.Object({ root: ThresholdSchema, release: ThresholdSchema, command: ThresholdSchema }, strict),
    ),
    /** Ids of keys that are never to be trusted again, beside those of the sets before. */
    revoked: Type.Optional(Type.Array(KeyIdSchema, { maxItems: 256 })),
    /**
     * Undoes what a stolen key has raised: a device that took a higher generation, or minimum of releases, goes on
     * as if these had been the last. What is not above them stays refused.
     */
    lower: Type.Optional(Type.Object({ gen: FloorSchema, min_release: FloorSchema }, strict)),
  },
  strict,
);
export type KeySet = Static<typeof KeySetSchema>;

export const EnrolmentSchema = Type.Object(
  {
    v: VersionSchema,
    aud: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }),
    exp: Type.Optional(SecondsSchema),
    keyset: KeySetSchema,
  },
  strict,
);
/** The first keys of one device. */
export type Enrolment = Static<typeof EnrolmentSchema>;

/** Throws Refused. */
export const checkKeySet = documentCheck<typeof KeySetSchema, KeySet>(
  KeySetSchema,
  { subject: 'the key set' },
  needDistinct,
);

/** Throws Refused. */
export const checkEnrolment = documentCheck<typeof EnrolmentSchema, Enrolment>(
  EnrolmentSchema,
  { subject: 'the enrolment' },
  (enrolment) => {
    needAudience(enrolment.aud);
    needDistinct(enrolment.keyset);
  },
);

function needDistinct({ keys }: KeySet): void {
  const texts = keys.map(({ key }) => key);
  if (new Set(texts).size < texts.length)
    throw misshapen('"keys" holds a key twice', 'Give it all of its roles in one place.');
}
