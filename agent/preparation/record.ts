/** `prepared.json`: what a folder holds and how it came to be. Written last: a folder without it is of no use. */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Static, Type } from 'typebox';
import type { Traces } from '../untouched.ts';
import { checker } from '../validation.ts';
import { RECORD } from './job.ts';

/** To be raised when what is made changes: what an older expertd has made is made anew then. */
export const EDITION = 2;

const strict = { additionalProperties: false } as const;
const Name = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$', maxLength: 255 });
const Nullable = (schema: ReturnType<typeof Type.String>) => Type.Union([schema, Type.Null()]);

const RecordSchema = Type.Object(
  {
    edition: Type.Literal(EDITION),
    expert: Type.String(),
    /** sha256 of its expert.json. */
    digest: Type.String(),
    runtime: Type.String(),
    arch: Type.String(),
    /** Names in the folder; null where the package's own are used. */
    model: Type.Union([Name, Type.Null()]),
    tokenizer: Type.Union([Name, Type.Null()]),
    files: Type.Array(
      Type.Object(
        {
          path: Name,
          bytes: Type.Integer({ minimum: 0 }),
          sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
          linkOf: Nullable(Type.String()),
        },
        strict,
      ),
    ),
    steps: Type.Array(
      Type.Object({ name: Type.String(), done: Type.Boolean(), why: Nullable(Type.String()) }, strict),
    ),
    canary: Type.Union([
      Type.Object(
        {
          compared: Type.Integer(),
          otherChoices: Type.Integer(),
          /** null is beyond all numbers: JSON has no word for it. */
          prefillDifference: Type.Union([Type.Number(), Type.Null()]),
          stepDifference: Type.Union([Type.Number(), Type.Null()]),
          tolerance: Type.Number(),
          peakBytes: Type.Union([Type.Integer(), Type.Null()]),
          decoder: Type.Union([
            Type.Object(
              {
                cache: Type.Union([Type.Literal('shared'), Type.Literal('growing')]),
                vocabulary: Type.Integer({ minimum: 1 }),
                lastOnly: Type.Boolean(),
              },
              strict,
            ),
            Type.Null(),
          ]),
        },
        strict,
      ),
      Type.Null(),
    ]),
    /** False where something failed that may succeed another time. */
    complete: Type.Boolean(),
    /** How often a process died over it, or the copy could not be compared. */
    vainTries: Type.Integer({ minimum: 0 }),
    /** Links are not counted. */
    writtenBytes: Type.Integer({ minimum: 0 }),
    tookMs: Type.Number({ minimum: 0 }),
  },
  { ...strict, title: RECORD },
);

export type PreparedRecord = Static<typeof RecordSchema>;

const check = checker(RecordSchema, { subject: RECORD });

/** What a folder was made of; another makes it anew. */
export type Identity = Pick<PreparedRecord, 'digest' | 'runtime' | 'arch'>;

/** What the file system tells of the files that a record names. */
export function tracesOf(folder: string, { files }: Pick<PreparedRecord, 'files'>): Traces {
  return files.map(
    ({ path }) => statSync(join(folder, path), { bigint: true, throwIfNoEntry: false }) ?? null,
  );
}

/**
 * The record of a folder, if all that it names is there: what is a link is still the package's file, everything else
 * has its sha256. With it, what those files were just before. null where the folder is not there, or not whole, or not of this identity.
 */
export async function readIntact(
  folder: string,
  packageFolder: string,
  identity: Identity,
): Promise<{ readonly record: PreparedRecord; readonly traces: Traces } | null> {
  const record = readRecord(folder);
  if (record === null || !isOf(record, identity)) return null;
  const traces = tracesOf(folder, record);
  for (const { path, bytes, sha256, linkOf } of record.files) {
    const file = join(folder, path);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() !== true || stat.size !== bytes) return null;
    // The agent hashes the package itself, so a second name for one of its files needs no second look.
    if (linkOf !== null && isSame(file, join(packageFolder, linkOf))) continue;
    if ((await hashOf(file).catch(() => null)) !== sha256) return null;
  }
  return { record, traces };
}

function readRecord(folder: string): PreparedRecord | null {
  try {
    return check(JSON.parse(readFileSync(join(folder, RECORD), 'utf8'))).value;
  } catch {
    return null;
  }
}

function isOf(record: PreparedRecord, { digest, runtime, arch }: Identity): boolean {
  return record.digest === digest && record.runtime === runtime && record.arch === arch;
}

function isSame(left: string, right: string): boolean {
  const [one, other] = [left, right].map((path) => statSync(path, { throwIfNoEntry: false, bigint: true }));
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
