/** From the bytes of a signed document to its value: strictly, since whoever signs says exactly what shall be. */
import { type TSchema, Type } from 'typebox';
import { type Checker, type CheckOptions, checker } from '../../validation.ts';
import { isDeviceId } from '../topics.ts';
import { readJson } from './json.ts';
import { Refused } from './refused.ts';

export const strict = { additionalProperties: false } as const;

/** Rises from version to version when an older device would misread a document. */
const VERSION = 1;
export const VersionSchema = Type.Literal(VERSION);

const MAX_SECONDS = 253_402_300_799;
/** Seconds since 1970, as RFC 7519 has them, up to the year 9999: milliseconds by mistake are too large. */
export const SecondsSchema = Type.Integer({ minimum: 0, maximum: MAX_SECONDS });

/** Counters stay exact in a double. */
export const CounterSchema = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
export const KeyIdSchema = Type.String({ pattern: '^[0-9a-f]{32}$' });

const AUDIENCE = '^(group:)?[A-Za-z0-9_-]{1,64}$';
/** Whom it is for: the id of a device, `group:NAME`, or a list of these. */
export const AudienceSchema = Type.Union([
  Type.String({ pattern: AUDIENCE }),
  Type.Array(Type.String({ pattern: AUDIENCE }), { minItems: 1, maxItems: 1_024 }),
]);

/** Who reads: the device, and the groups it was told to be of. */
export interface Reader {
  readonly device: string;
  readonly groups: readonly string[];
}

export function isFor(audience: string | readonly string[], { device, groups }: Reader): boolean {
  const names = typeof audience === 'string' ? [audience] : audience;
  return names.some((name) => (name.startsWith('group:') ? groups.includes(name.slice(6)) : name === device));
}

/** Checks values of a kind of document; throws Refused `unknown_version` or `bad_shape`. */
export type DocumentCheck<T> = (value: unknown) => T;

/** `meaning` says what a schema cannot; it throws Refused by `misshapen`. */
export function documentCheck<S extends TSchema, T = ReturnType<Checker<S>>['value']>(
  schema: S,
  options: CheckOptions,
  meaning: (value: NonNullable<T>) => void,
): DocumentCheck<NonNullable<T>> {
  const check = checker(schema, options);
  return (value) => {
    needVersion(value, options.subject);
    const { value: found, problem } = check(value);
    if (problem !== null) throw misshapen(problem.message, problem.hint);
    meaning(found as NonNullable<T>);
    return found as NonNullable<T>;
  };
}

export function misshapen(message: string, hint: string | null = null): Refused {
  return new Refused('bad_shape', message, hint);
}

/** A document of another version may differ everywhere: nothing else is said of it. */
function needVersion(value: unknown, subject: string): void {
  const version = typeof value === 'object' && value !== null && 'v' in value ? value.v : VERSION;
  if (typeof version !== 'number' || version === VERSION) return;
  throw new Refused(
    'unknown_version',
    `${subject} is of version ${version}, and ${VERSION} is known here`,
    'Update expertd.',
  );
}

export function readDocument<T>(body: Uint8Array, check: DocumentCheck<T>): T {
  return check(readJson(body));
}

/** Names in an audience that no device and no group can have. */
export function needAudience(audience: string | readonly string[]): void {
  const names = typeof audience === 'string' ? [audience] : audience;
  const wrong = names.find((name) => !name.startsWith('group:') && !isDeviceId(name));
  if (wrong !== undefined) throw misshapen(`"aud" names "${wrong}", which no device is called`);
}

export function needLifetime(nbf: number | undefined, exp: number): void {
  if (nbf !== undefined && exp <= nbf) throw misshapen('"exp" must be later than "nbf"');
}
