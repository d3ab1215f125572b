/** Blocks of memory and files of weights that a claim was made of, for its tests. */
import assert from 'node:assert/strict';
import { closeSync, fsyncSync, openSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import type { Claim } from '../../../agent/runtime/parking/claim.ts';
import type { Residency } from '../../../agent/runtime/parking/read-ahead.ts';
import { Block, folder, MB, mapFile, type Place, parking } from './allocations.ts';

export const BYTES = 3 * MB;

interface Stage {
  readonly claim: Claim;
  readonly blocks: readonly Block[];
  readonly directory: string;
}

/** Blocks full of 1, 2, 3… that came after a look at the process. */
export function claimed(
  t: TestContext,
  count: number,
  folders: readonly string[] = [],
  more = () => {},
): Stage {
  assert.ok(parking !== null);
  const watch = parking.watch();
  const blocks = Array.from({ length: count }, (_, at) => new Block(BYTES, at + 1));
  more();
  const claim = watch.claim(folders);
  t.after(() => claim.release());
  return { claim, blocks, directory: folder(t) };
}

export async function adopted(t: TestContext, count: number, ...rest: [(readonly string[])?, (() => void)?]) {
  const stage = claimed(t, count, ...rest);
  await stage.claim.copy(stage.directory, 0);
  stage.claim.adopt();
  return stage;
}

export function assertIntact(blocks: readonly Block[]): void {
  for (const [at, block] of blocks.entries()) assert.ok(block.holds(at + 1), `block ${at + 1}`);
}

export function seen(claim: Claim): Residency {
  const residency = claim.residency();
  assert.ok(residency !== null, 'nothing is known of its pages');
  return residency;
}

export const isRefusal = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof AgentError && error.code === code && message.test(error.message);

/** What is not on the disk yet cannot leave the page cache. */
export function toDisk(path: string): void {
  const file = openSync(path, 'r+');
  fsyncSync(file);
  closeSync(file);
}

/** A package's file of weights, full of 7, mapped as the runtime maps it. */
export async function withDataFile(t: TestContext) {
  const package_ = folder(t);
  const path = join(package_, 'weights.data');
  writeFileSync(path, new Uint8Array(BYTES).fill(7));
  toDisk(path);
  utimesSync(path, 1_000, 1_000);
  const parts: Place[] = [];
  const { claim, blocks } = await adopted(t, 1, [package_], () => {
    parts.push(mapFile(path));
  });
  const [part] = parts;
  assert.ok(part !== undefined);
  assert.ok(part.holds(7));
  return { claim, blocks, path, part };
}
