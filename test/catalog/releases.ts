/** Versions of one expert, as somebody publishes them, and what a catalog makes of them. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogEvent } from '../../agent/catalog/catalog.ts';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import { sha256 } from '../../agent/catalog/package.ts';
import type { RolloutStep } from '../../agent/catalog/staging.ts';
import type { Failure } from '../../agent/types.ts';
import { writeExpert } from './folder.ts';

export const ID = 'far';

export interface Release {
  readonly version: string;
  readonly digest: string;
  /** The folder that it is published in. */
  readonly source: string;
  /** Its id while it proves itself. */
  readonly candidate: string;
  /** The expert as a configuration names it. */
  wanted(more?: object): object;
}

export function release(base: string, version: string, change: Partial<Manifest> = {}): Release {
  const source = writeExpert(join(base, 'sources', `${version}${change.summary ?? ''}`), ID, {
    version,
    ...change,
  });
  const digest = sha256(readFileSync(join(source, 'expert.json')));
  const sources = [{ uri: `file:${source}`, sha256: digest }];
  return {
    version,
    digest,
    source,
    candidate: `${ID}@${version}`,
    wanted: (more = {}) => ({ id: ID, version, sources, ...more }),
  };
}

export const WHY: Failure = { code: 'golden', message: 'it said "b"', hint: null, retryable: false };

export function step(
  { candidate, digest }: Release,
  phase: RolloutStep['phase'],
  progress: RolloutStep['progress'] = { answered: 0, elapsedMs: 0 },
): RolloutStep {
  const why = phase === 'rolledBack' ? WHY : null;
  return { type: 'rollout', expert: ID, candidate, digest, phase, progress, why };
}

export const staged =
  ({ digest }: Release) =>
  (event: CatalogEvent): boolean =>
    event.type === 'staged' && event.expert.digest === digest;

export const counts =
  ({ digest }: Release) =>
  (event: CatalogEvent): boolean =>
    event.type === 'installed' && event.expert.digest === digest;

/** What was told but for the waiting: `installed far 1.0.0`. */
export function told(events: readonly CatalogEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.type === 'pending') return [];
    if (event.type === 'removed') return [`removed ${event.expert}`];
    if (event.type === 'rolledBack') return [`rolledBack ${event.expert} ${event.version}`];
    return [`${event.type} ${event.expert.id} ${event.expert.version}`];
  });
}

/** Lets what is under way go on until this holds; for ever would be too long. */
export async function eventually(check: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!check()) {
    assert.ok(performance.now() < endMs, 'it did not come to pass');
    await new Promise(setImmediate);
  }
}

/** A while in which what must not happen could. */
export async function aWhile(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
}

/** As on a full disk: the record can be read, and not written. Returns what makes room. */
export function fillDisk(recordPath: string): () => void {
  const inTheWay = `${recordPath}.new`;
  rmSync(inTheWay, { recursive: true, force: true });
  mkdirSync(join(inTheWay, 'full'), { recursive: true });
  return () => rmSync(inTheWay, { recursive: true });
}
