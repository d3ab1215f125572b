/**
 * Of the versions of one expert that lie on this device: which one counts, and what is to be done for the one that the
 * configuration wants. A function of values.
 *
 *  1 what counts is what is wanted: it stays, and nothing is to be done
 *  2 what is wanted was rolled back: the one that counts stays
 *  3 what is wanted is not here: it is fetched, and the one that counts stays meanwhile
 *  4 nothing that works counts, or the very same package does: what is wanted counts at once
 *  5 else it is staged: it proves itself beside the one that counts
 */
import type { Config } from '../config.ts';
import type { Package } from './package.ts';
import type { Candidate, Tenure, Version } from './rollouts.ts';

/** An expert as the configuration names it. */
export type Wanted = Config['experts'][number];

/** What lies here of one expert. */
export interface Holdings {
  /** Whole ones, the newest first. */
  readonly fetched: readonly Package[];
  /** That was added by hand or came with expertd, where the configuration has sources for another. */
  readonly folder: Package | null;
}

export type Next =
  | { readonly kind: 'none' }
  | { readonly kind: 'fetch' }
  | { readonly kind: 'stage'; readonly found: Package; readonly candidate: Candidate }
  | { readonly kind: 'held'; readonly candidate: Candidate };

export interface Standing {
  /** null: nothing that works is here. */
  readonly counts: Package | null;
  readonly next: Next;
  /** To be recorded; null: nothing is known, and nothing here. */
  readonly tenure: Tenure | null;
}

export const NO_TENURE: Tenure = { current: null, previous: null, candidate: null };

export function standingOf(wanted: Wanted, holdings: Holdings, recorded: Tenure | null): Standing {
  const { fetched, folder } = holdings;
  const fitting = fetched.filter((found) => fits(wanted, versionOf(found)));
  const tenure = recorded ?? assumed(holdings, fitting);
  const { current, candidate } = tenure;
  const counts = current === null ? folder : withDigest(fetched, current.digest);
  if (counts !== null && current !== null && fits(wanted, current)) return settled(counts, tenure);
  const rival = candidate !== null && fits(wanted, candidate) ? candidate : null;
  const kept = { ...tenure, candidate: rival };
  if (rival?.state === 'rolledBack')
    return { counts, next: { kind: 'held', candidate: rival }, tenure: kept };
  const found = withDigest(fetched, rival?.digest) ?? fitting[0] ?? null;
  if (found === null) {
    const isKnown = recorded !== null || counts !== null;
    return { counts, next: { kind: 'fetch' }, tenure: isKnown ? kept : null };
  }
  if (counts === null || counts.digest === found.digest) return settled(found, tenure);
  const next = {
    kind: 'stage',
    found,
    candidate: rival?.digest === found.digest ? rival : fresh(found),
  } as const;
  return { counts, next, tenure: { ...tenure, candidate: next.candidate } };
}

export function versionOf({ manifest, digest }: Package): Version {
  return { version: manifest.version, digest };
}

/** Where nothing is known, what is wanted counts if it is here, then what is in a folder, then the newest that was fetched. */
function assumed({ fetched, folder }: Holdings, fitting: readonly Package[]): Tenure {
  const found = fitting[0] ?? (folder === null ? fetched[0] : undefined);
  return { ...NO_TENURE, current: found === undefined ? null : versionOf(found) };
}

function settled(found: Package, { previous }: Tenure): Standing {
  const tenure = {
    current: versionOf(found),
    previous: previous?.digest === found.digest ? null : previous,
    candidate: null,
  };
  return { counts: found, next: { kind: 'none' }, tenure };
}

function fresh(found: Package): Candidate {
  const progress = { answered: 0, elapsedMs: 0 };
  return { ...versionOf(found), state: 'staged', attempts: 0, progress, why: null };
}

/** Whether the configuration could mean this one. A source without a sum may hold any. */
function fits({ version: wanted, sources }: Wanted, { version, digest }: Version): boolean {
  if (wanted !== undefined && wanted !== version) return false;
  return sources.length === 0 || sources.some(({ sha256 }) => sha256 === undefined || sha256 === digest);
}

function withDigest(packages: readonly Package[], digest: string | undefined): Package | null {
  return packages.find((one) => one.digest === digest) ?? null;
}
