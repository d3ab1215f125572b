/** Whether all that a document wants has its place on this device. Pure: what was found out comes as values. */
import { cacheOf } from '../../catalog/facts.ts';
import type { Manifest } from '../../catalog/manifest.ts';
import type { Config } from '../../config.ts';
import { AgentError } from '../../errors.ts';
import type { ExpertView } from '../../service.ts';
import type { Desired, DesiredExpert } from '../documents/desired.ts';
import type { Manifests } from './manifests.ts';
import { hexOf } from './overlay.ts';

export interface Place {
  readonly experts: readonly ExpertView[];
  readonly manifests: Manifests;
  /** As it would be with the document over it. */
  readonly config: Config;
  /** What may be taken then; null where that is not known. */
  readonly budgetBytes: number | null;
  /** Of the budget, what no expert can have: the agent, and one bare cell. */
  readonly ownBytes: number;
  /** null where the system does not tell. */
  readonly freeDiskBytes: number | null;
}

/** What an expert takes, as far as it is known. */
interface Weight {
  readonly id: string;
  readonly isPinned: boolean;
  /** Still to come to the disk; null: not known. */
  readonly diskBytes: number | null;
  /** While it is loaded, and after; null: nobody has said or measured it. */
  readonly loadBytes: number | null;
  readonly residentBytes: number | null;
}

/** Kept free on the disk beside what is to come, for the record and for what else the device writes. */
export const DISK_MARGIN_BYTES = 128 * 1024 ** 2;

/** This very package is on the device, whole and in use: files come before the version that they replace is free. */
export function isHere({ version, digest }: DesiredExpert, view: ExpertView | undefined): boolean {
  if (view === undefined || view.state === 'fetching' || view.state === 'failed') return false;
  return view.version === version && view.files?.digest === hexOf(digest);
}

/**
 * Throws AgentError where the document can never be fulfilled as a whole: `disk_full` (retryable: there may be room
 * later), `too_large`, `all_pinned`. Returns the ids of those of which nothing is known that would tell.
 */
export function needRoom({ experts }: Desired, place: Place): readonly string[] {
  const weights = experts.map((expert) => weigh(expert, place));
  needDisk(weights, place.freeDiskBytes);
  if (place.budgetBytes !== null) needMemory(weights, place.budgetBytes, place.ownBytes);
  return weights
    .filter(({ diskBytes, loadBytes }) => diskBytes === null || loadBytes === null)
    .map(({ id }) => id);
}

function weigh(expert: DesiredExpert, place: Place): Weight {
  const { id, pinned: isPinned = false } = expert;
  const view = place.experts.find((one) => one.id === id);
  const found = place.manifests.get(id);
  const memory = isHere(expert, view) ? measured(view) : null;
  const tokens = place.config.experts.find((one) => one.id === id)?.contextTokens ?? null;
  return {
    id,
    isPinned,
    diskBytes: diskBytes(expert, view, found?.isFetched === true ? null : found?.manifest),
    ...(memory ?? declared(found?.manifest, tokens)),
  };
}

/** `manifest`: null where its files are here. What a fetch under way has brought is not to come any more. */
function diskBytes(
  expert: DesiredExpert,
  view: ExpertView | undefined,
  manifest: Manifest | null | undefined,
): number | null {
  if (isHere(expert, view) || manifest === null) return 0;
  if (manifest === undefined) return null;
  const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  const came = view?.version === expert.version ? (view.progress ?? 0) : 0;
  return Math.ceil(bytes * (1 - came));
}

function measured(view: ExpertView | undefined): Pick<Weight, 'loadBytes' | 'residentBytes'> | null {
  const memory = view?.memory ?? null;
  if (memory?.measured !== true) return null;
  const residentBytes = memory.residentBytes + (memory.cacheBytes ?? 0);
  return { residentBytes, loadBytes: Math.max(memory.loadBytes, residentBytes) };
}

/** As its maker says it, without a margin: the loop tries what may just fit. */
function declared(
  manifest: Manifest | undefined,
  contextTokens: number | null,
): Pick<Weight, 'loadBytes' | 'residentBytes'> {
  if (manifest?.memory === undefined) return { loadBytes: null, residentBytes: null };
  const residentBytes = manifest.memory.residentBytes + cacheOf(manifest, contextTokens).bytes;
  return { residentBytes, loadBytes: Math.max(manifest.memory.loadBytes, residentBytes) };
}

function needDisk(weights: readonly Weight[], freeBytes: number | null): void {
  const bytes = weights.reduce((sum, { diskBytes }) => sum + (diskBytes ?? 0), 0);
  if (bytes === 0 || freeBytes === null || bytes + DISK_MARGIN_BYTES <= freeBytes) return;
  throw new AgentError(
    'disk_full',
    `${bytes} bytes are to come to the disk, and ${freeBytes} are free, of which ${DISK_MARGIN_BYTES} stay in reserve`,
    { hint: 'Free some space on the device, or want fewer experts.', retryable: true },
  );
}

function needMemory(weights: readonly Weight[], budgetBytes: number, ownBytes: number): void {
  const roomBytes = budgetBytes - ownBytes;
  const large = weights.find(({ loadBytes }) => (loadBytes ?? 0) > roomBytes);
  if (large !== undefined)
    throw new AgentError(
      'too_large',
      `expert "${large.id}" needs ${large.loadBytes} bytes, and a budget of ${budgetBytes} leaves ${roomBytes}`,
      { hint: 'Raise the budget in the document, or want a smaller expert.' },
    );
  const pinned = weights.filter(({ isPinned }) => isPinned);
  const pinnedBytes = pinned.reduce((sum, { residentBytes }) => sum + (residentBytes ?? 0), 0);
  if (pinnedBytes <= roomBytes) return;
  throw new AgentError(
    'all_pinned',
    `what is pinned needs ${pinnedBytes} bytes, and a budget of ${budgetBytes} leaves ${roomBytes}`,
    { hint: 'Raise the budget in the document, or pin fewer experts.' },
  );
}
