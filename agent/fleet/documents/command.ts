/** A command: one order, for once and for a while. */
import { type Static, type TSchema, Type } from 'typebox';
import { ExpertIdSchema } from '../../catalog/manifest.ts';
import { checker } from '../../validation.ts';
import { PolicySchema } from './desired.ts';
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

const OfExpert = Type.Object({ expert: ExpertIdSchema }, strict);

const DiagnosticsSchema = Type.Object(
  {
    /** Everything where it is left out. */
    parts: Type.Optional(
      Type.Array(Type.Union([Type.Literal('state'), Type.Literal('decisions'), Type.Literal('log')]), {
        minItems: 1,
        maxItems: 3,
      }),
    ),
    decisions: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
    log_lines: Type.Optional(Type.Integer({ minimum: 1, maximum: 5_000 })),
  },
  strict,
);

const ARGS = {
  load: OfExpert,
  park: OfExpert,
  unload: OfExpert,
  pin: OfExpert,
  unpin: OfExpert,
  /** Takes an expert out of quarantine. */
  clear: OfExpert,
  policy: PolicySchema,
  diagnostics: DiagnosticsSchema,
  restart: Type.Object({}, strict),
} as const satisfies Record<string, TSchema>;

export type CommandType = keyof typeof ARGS;
export const COMMAND_TYPES = Object.keys(ARGS) as CommandType[];
/** What is unfinished or remembered stays bounded, because nothing lives longer. */
const MAX_LIFE_DAYS = 31;
export const MAX_LIFE_SECONDS = MAX_LIFE_DAYS * 86_400;

export const CommandIdSchema = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' });

const HeadSchema = Type.Object(
  {
    v: VersionSchema,
    id: CommandIdSchema,
    type: Type.Union(COMMAND_TYPES.map((type) => Type.Literal(type))),
    args: Type.Object({}),
    aud: AudienceSchema,
    nbf: SecondsSchema,
    exp: SecondsSchema,
    /** Higher than that of every command before it by the same key. */
    ctr: CounterSchema,
  },
  strict,
);

type Head = Omit<Static<typeof HeadSchema>, 'type' | 'args'>;
/** A union over `type`, so that `args` follow from it. */
export type Command = {
  readonly [T in CommandType]: Head & { readonly type: T; readonly args: Static<(typeof ARGS)[T]> };
}[CommandType];

/** One for each schema: to compile one takes its time on a small device. */
const argsChecks = new Map(
  [...new Set<TSchema>(Object.values(ARGS))].map((schema) => [
    schema,
    checker(schema, { subject: '"args"' }),
  ]),
);

/** Throws Refused. */
export const checkCommand = documentCheck<typeof HeadSchema, Command>(
  HeadSchema,
  { subject: 'the command' },
  (command) => {
    const problem = argsChecks.get(ARGS[command.type])?.(command.args).problem ?? null;
    if (problem !== null) throw misshapen(`args of ${command.type}: ${problem.message}`, problem.hint);
    needAudience(command.aud);
    needLifetime(command.nbf, command.exp);
    if (command.exp - command.nbf > MAX_LIFE_SECONDS)
      throw misshapen(`the command would live longer than ${MAX_LIFE_DAYS} days`);
  },
);
