/** What is remembered of experts across restarts, by the digest of their content. */
import { decode, encode } from '../codec.ts';
import type { Memory } from '../ports.ts';
import type { ExpertId, MemoryProfile } from '../types.ts';
import type { Database } from './database.ts';

/** Every new version of an expert adds a row; nothing asks for those of long ago. */
const keptRows = 2_000;

interface RawProfile {
  readonly residentBytes: number;
  readonly loadBytes: number;
  readonly loadMs: number;
  readonly measured: number;
}

/** Throws what SQLite throws, and AgentError `bad_encoding` where stored text is damaged. */
export class MemoryTables implements Memory {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.#statements = prepare(database);
  }

  profile(digest: string): MemoryProfile | null {
    const profile = this.#statements.profile.get(digest);
    return profile === undefined ? null : { ...profile, measured: profile.measured === 1 };
  }

  keepProfile(digest: string, { residentBytes, loadBytes, loadMs, measured }: MemoryProfile): void {
    this.#statements.keepProfile.run(digest, residentBytes, loadBytes, loadMs, measured ? 1 : 0);
    this.#statements.forgetProfiles.run();
  }

  prototypes(digest: string, embedderDigest: string): readonly Int8Array[] | null {
    const text = this.#statements.prototypes.get(digest, embedderDigest);
    if (text === undefined) return null;
    const vectors = decode(text);
    const valid = Array.isArray(vectors) && vectors.every((vector) => vector instanceof Int8Array);
    return valid ? vectors : null;
  }

  keepPrototypes(digest: string, embedderDigest: string, prototypes: readonly Int8Array[]): void {
    this.#statements.keepPrototypes.run(digest, embedderDigest, encode(prototypes));
    this.#statements.forgetPrototypes.run();
  }

  recentExperts(limit: number): readonly ExpertId[] {
    return this.#statements.recent.all(limit);
  }
}

function prepare(database: Database) {
  return {
    recent: database
      .prepare<[number], string>(
        `SELECT expert FROM (SELECT seq, expert FROM choices WHERE expert IS NOT NULL ORDER BY seq DESC LIMIT ?)
         ORDER BY seq`,
      )
      .pluck(),
    profile: database.prepare<[string], RawProfile>(
      `SELECT resident_bytes AS residentBytes, load_bytes AS loadBytes, load_ms AS loadMs, measured
       FROM profiles WHERE digest = ?`,
    ),
    keepProfile: database.prepare('INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?, ?)'),
    forgetProfiles: database.prepare(
      `DELETE FROM profiles WHERE rowid <= (SELECT max(rowid) FROM profiles) - ${keptRows}`,
    ),
    prototypes: database
      .prepare<[string, string], string>('SELECT body FROM prototypes WHERE digest = ? AND embedder = ?')
      .pluck(),
    keepPrototypes: database.prepare('INSERT OR REPLACE INTO prototypes VALUES (?, ?, ?)'),
    forgetPrototypes: database.prepare(
      `DELETE FROM prototypes WHERE rowid <= (SELECT max(rowid) FROM prototypes) - ${keptRows}`,
    ),
  };
}
