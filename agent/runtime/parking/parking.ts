/** Finds the weights of experts in this process, so that they can leave memory while their sessions stay. */
import { sep } from 'node:path';
import { openForeign } from '../../linux/foreign.ts';
import { type Heap, openHeap } from '../../linux/heap.ts';
import { isAnonymous, type Mapping, readMappings } from '../../linux/mappings.ts';
import { OwnMemory } from '../../linux/own-memory.ts';
import { openPages } from '../../linux/pages.ts';
import { openRemapping } from '../../linux/remapping.ts';
import { type Chunk, findChunks } from './chunks.ts';
import { Claim, type Machine } from './claim.ts';
import { DataFile } from './data-file.ts';
import { cutHoles, PIECE_BYTES } from './holes.ts';
import { proves, recognises } from './proof.ts';
import { notParkable } from './refusal.ts';

export class Parking {
  readonly #machine: Machine;
  readonly #heap: Heap;

  constructor(machine: Machine, heap: Heap) {
    this.#machine = machine;
    this.#heap = heap;
  }

  /** Looks at this process before an expert's sessions are made. Throws AgentError `not_parkable`. */
  watch(): Watch {
    const before = see(this.#machine);
    return new Watch(this.#machine, before, cutHoles(this.#heap));
  }
}

/** What is in the memory of this process. */
interface Scene {
  readonly mappings: readonly Mapping[];
  readonly chunks: readonly Chunk[];
}

/** What the process was before an expert came. Ends with a claim, or where there is nothing to claim. */
export class Watch {
  readonly #machine: Machine;
  readonly #before: Scene;
  readonly end: () => void;

  constructor(machine: Machine, before: Scene, end: () => void) {
    this.#machine = machine;
    this.#before = before;
    this.end = end;
  }

  /**
   * What has come since: chunks of the runtime, and its mappings of files below `folders` (absolute, links followed).
   * Nothing else may have been loaded or released meanwhile. Throws AgentError `not_parkable`.
   */
  claim(folders: readonly string[]): Claim {
    this.end();
    const { mappings, chunks } = see(this.#machine);
    const sizes = new Map(this.#before.chunks.map(({ start, bytes }) => [start, bytes]));
    const fresh = chunks.filter(({ start, bytes }) => sizes.get(start) !== bytes);
    return new Claim(this.#machine, fresh, this.#dataFiles(mappings, folders));
  }

  #dataFiles(now: readonly Mapping[], folders: readonly string[]): readonly DataFile[] {
    const known = new Set(this.#before.mappings.map(keyOf));
    const files = new Map<string, Mapping[]>();
    for (const mapping of now) {
      const { file, path, permissions } = mapping;
      const isIts = folders.some((folder) => path.startsWith(folder.endsWith(sep) ? folder : folder + sep));
      if (file === null || !isIts || !permissions.endsWith('-p') || known.has(keyOf(mapping))) continue;
      files.set(file, [...(files.get(file) ?? []), mapping]);
    }
    return [...files].flatMap(([file, mappings]) => {
      const path = mappings[0]?.path ?? '';
      return DataFile.open(path, file, mappings, this.#machine.pageBytes) ?? [];
    });
  }
}

/**
 * null where weights cannot leave memory and come back: there is no glibc, no koffi, no /proc, or the kernel does not do
 * what it should (an emulator, a sandbox).
 */
export async function openParking(reach = openForeign): Promise<Parking | null> {
  const foreign = await reach();
  if (foreign?.find(null, 'gnu_get_libc_version') == null) return null;
  const pages = openPages(foreign);
  if (pages === null) return null;
  const remapping = openRemapping(foreign, pages.pageBytes);
  const heap = openHeap(foreign, PIECE_BYTES);
  const memory = remapping === null ? null : OwnMemory.open(pages.pageBytes);
  if (remapping === null || memory === null || heap === null) return null;
  const machine = { pageBytes: pages.pageBytes, memory, remapping };
  if (proves(machine, foreign, pages) && recognises(machine, heap)) return new Parking(machine, heap);
  memory.close();
  return null;
}

/** A mapping that was there already, as it was. */
function keyOf({ start, end, offset, file }: Mapping): string {
  return `${start} ${end} ${offset} ${file}`;
}

function see({ pageBytes, memory }: Machine): Scene {
  const mappings = readMappings();
  if (mappings === null) throw notParkable('the mappings of this process cannot be read');
  const chunks = findChunks(mappings.filter(isAnonymous), {
    pageBytes,
    touched: ({ start, end }) => memory.touched(start, Number(end - start)),
    read: (at, into) => memory.read(at, into),
  });
  return { mappings, chunks };
}
