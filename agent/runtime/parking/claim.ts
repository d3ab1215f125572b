/**
 * The weights of one expert: where they are in memory, and whether they are there. A copy of them is written to a file
 * once, which is then mapped over the same addresses: the session never notices, and from then on the kernel can drop
 * their pages and fetch them again. What is left alone whenever it is not certain: a chunk that is another one than was
 * copied, and one that was written to since.
 */
import type { AgentError } from '../../errors.ts';
import type { Address } from '../../linux/foreign.ts';
import { isAnonymous, type Mapping, readMappings } from '../../linux/mappings.ts';
import type { OwnMemory } from '../../linux/own-memory.ts';
import type { Remapping } from '../../linux/remapping.ts';
import type { Chunk } from './chunks.ts';
import { CopyFile } from './copy-file.ts';
import type { DataFile } from './data-file.ts';
import { type Residency, readAhead, residencyOf, type Wanted } from './read-ahead.ts';
import { notParkable, weightsChanged } from './refusal.ts';

/** What is done with memory. */
export interface Machine {
  readonly pageBytes: number;
  readonly memory: Pick<OwnMemory, 'read' | 'count' | 'touched'>;
  readonly remapping: Remapping;
}

export interface Adopted {
  /** Bytes that can leave from now on. */
  readonly bytes: number;
  /** Of chunks that did not stay what they were: no weights. */
  readonly changedBytes: number;
}

export interface ParkReport {
  /** Of all that can leave memory, whether it was there or not. */
  readonly bytes: number;
  /** Bytes that were in memory and are no more, chunks and files together. */
  readonly leftBytes: number;
  /** Bytes of weights that are still in memory. */
  readonly keptBytes: number;
  /** Chunks that were written to since they were copied: they stay. */
  readonly writtenChunks: number;
  /** Chunks that the session has given back, or exchanged for others: they are no business of ours any more. */
  readonly lostChunks: number;
}

export interface ResumeReport {
  /** Bytes that came from the disk. */
  readonly readBytes: number;
  readonly readMs: number;
}

interface PlacedChunk extends Chunk {
  /** Bytes from the beginning of the file. */
  readonly offset: number;
}

type State = 'claimed' | 'copied' | 'resident' | 'parked' | 'released';

/** Of a copy: fits into the cache of the processor. */
const BLOCK_BYTES = 256 * 1024;

export class Claim {
  readonly #machine: Machine;
  readonly #data: readonly DataFile[];
  #chunks: readonly PlacedChunk[];
  #file: CopyFile | null = null;
  /** What `/proc/self/maps` calls the file. */
  #name: string | null = null;
  #state: State = 'claimed';
  #runs = 0;
  #copying: Promise<void> | null = null;

  constructor(machine: Machine, chunks: readonly Chunk[], data: readonly DataFile[]) {
    this.#machine = machine;
    this.#data = data;
    // A page of nothing lies between two chunks: else the kernel makes one mapping of neighbours.
    let offset = 0;
    this.#chunks = chunks.map((chunk) => {
      const placed = { ...chunk, offset };
      offset += chunk.bytes + machine.pageBytes;
      return placed;
    });
  }

  /** Bytes of its chunks: those of its weights, and maybe more before `adopt` has told them apart. */
  get chunkBytes(): number {
    return this.#chunks.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get isParked(): boolean {
    return this.#state === 'parked';
  }

  /**
   * While its work is under way, nothing leaves memory. Throws where the weights are not there; AgentError
   * `weights_changed` where one of its files was written to, which shows in memory at once.
   */
  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#state === 'parked' || this.#state === 'released') {
      throw new TypeError(`The weights are ${this.#state}`);
    }
    for (const file of this.#data) file.check();
    this.#runs += 1;
    try {
      return await work();
    } finally {
      this.#runs -= 1;
    }
  }

  /**
   * Writes a copy of the chunks to a nameless file in a folder. Runs may go on meanwhile; some should follow before
   * `adopt`, on inputs of another kind, so that it sees what they write to. Rejects with AgentError `not_parkable`:
   * everything is as before then.
   */
  async copy(folder: string, marginBytes?: number): Promise<void> {
    this.#expect('claimed');
    if (this.#copying !== null) throw new TypeError('The weights are being copied');
    if (this.#chunks.length === 0) {
      // Where all the weights are in files of the package, as they are used, there is nothing to copy.
      if (this.#data.length === 0) throw notParkable('none were found in the memory of this process');
      this.#state = 'copied';
      return;
    }
    this.#copying = this.#copy(folder, marginBytes);
    await this.#copying.finally(() => {
      this.#copying = null;
    });
  }

  async #copy(folder: string, marginBytes?: number): Promise<void> {
    const file = await CopyFile.create(folder, this.chunkBytes, marginBytes);
    try {
      const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      for (const chunk of this.#chunks) {
        for (const [at, part] of partsOf(chunk, block)) {
          if (this.#state === 'released') throw notParkable('they are being given back');
          // What is not there any more is no weight: `adopt` will not find it either.
          if (!this.#machine.memory.read(chunk.start + BigInt(at), part)) break;
          await file.write(part, chunk.offset + at);
        }
      }
      await file.sync();
      if (this.#state === 'released') throw notParkable('they are being given back');
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
    this.#state = 'copied';
  }

  /**
   * Takes as weights what is still the same to the last bit, and puts the file in its place. No other thread may be
   * writing to it meanwhile, which is why no run may be under way.
   */
  adopt(): Adopted {
    this.#expect('copied');
    this.#expectNoRun();
    const before = this.chunkBytes;
    if (this.#file !== null) this.#exchangeAll(this.#file);
    this.#state = 'resident';
    return { bytes: this.chunkBytes, changedBytes: before - this.chunkBytes };
  }

  #exchangeAll(file: CopyFile): void {
    const mappings = readMappings();
    if (mappings === null) throw unreadable();
    const isSame = this.#comparison(file);
    this.#chunks = this.#chunks.filter(
      (chunk) => isStillThere(chunk, mappings) && isSame(chunk) && this.#exchange(chunk, file),
    );
    this.#name = readMappings()?.find(({ start }) => start === this.#chunks[0]?.start)?.file ?? null;
    if (this.#name === null) throw notParkable('nothing in the memory of this process stays the same');
  }

  /**
   * Lets the weights leave memory. Throws AgentError `weights_changed` where one of its files was written to: nothing has
   * left then, and what is in memory is wrong already.
   */
  park(): ParkReport {
    this.#expect('resident');
    this.#expectNoRun();
    const mappings = readMappings();
    if (mappings === null) throw unreadable();
    for (const file of this.#data) file.check();
    const at = new Map(mappings.map((mapping) => [mapping.start, mapping]));
    const standing = this.#chunks.filter((chunk) => isMapped(chunk, this.#name, at));
    const lostChunks = this.#chunks.length - standing.length;
    this.#chunks = standing;
    const chunks = standing.map((chunk) => this.#drop(chunk));
    const parts = this.#data.flatMap(({ parts, file }) =>
      parts.filter((part) => isMapped(part, file, at)).map((part) => this.#drop(part, part.used)),
    );
    this.#state = 'parked';
    return {
      bytes: this.chunkBytes + this.#usedBytes(),
      leftBytes: sum([...chunks, ...parts].map(({ left }) => left)),
      keptBytes: sum([...chunks, ...parts].map(({ kept }) => kept)),
      writtenChunks: chunks.filter(({ written }) => written).length,
      lostChunks,
    };
  }

  /** Tells how much of it is still near; null is "no data". */
  residency(): Residency | null {
    const { pageBytes, remapping } = this.#machine;
    const isUnknown = this.#data.some(({ tellsResidency, isOfUse }) => isOfUse && !tellsResidency);
    return isUnknown ? null : residencyOf(this.#wanted(), pageBytes, remapping.cached);
  }

  /** The page cache lets go of it: then it comes from the disk, unless it is warmed before. */
  chill(): void {
    this.#expect('parked');
    for (const { fd } of [...(this.#file === null ? [] : [this.#file]), ...this.#data])
      this.#machine.remapping.forget(fd);
  }

  /**
   * Reads into the page cache what is not there; it stays parked. It may be resumed meanwhile. `isEnough` ends it early.
   * Rejects with `weights_changed` as `resume` does.
   */
  async warm(isEnough: () => boolean): Promise<void> {
    this.#expect('parked');
    for (const file of this.#data) file.check();
    await this.#readAhead(isEnough);
  }

  /**
   * It may be used again: whatever is touched comes back by itself. With `ahead`, what is not in the page cache is read
   * from the disk first, in one go. Rejects with AgentError `weights_changed` where one of its files was written to
   * meanwhile: a run would answer with nonsense, or end the process.
   */
  async resume(ahead: boolean): Promise<ResumeReport> {
    this.#expect('parked');
    for (const file of this.#data) file.check();
    const startMs = performance.now();
    const readBytes = ahead ? await this.#readAhead() : 0;
    this.#expect('parked');
    this.#state = 'resident';
    return { readBytes, readMs: performance.now() - startMs };
  }

  /**
   * Gives up its files. Before or after the session: a session that is still there goes on with the memory it has, whose
   * file the kernel keeps for as long.
   */
  async release(): Promise<void> {
    if (this.#state === 'released') return;
    this.#state = 'released';
    await this.#copying?.catch(() => {});
    await this.#file?.close();
    for (const file of this.#data) file.close();
  }

  #comparison(file: CopyFile): (chunk: PlacedChunk) => boolean {
    const [here, there] = [Buffer.allocUnsafeSlow(BLOCK_BYTES), Buffer.allocUnsafeSlow(BLOCK_BYTES)];
    return (chunk) => {
      for (const [at, part] of partsOf(chunk, here)) {
        const copy = there.subarray(0, part.length);
        const isRead =
          this.#machine.memory.read(chunk.start + BigInt(at), part) && file.read(copy, chunk.offset + at);
        if (!isRead || !part.equals(copy)) return false;
      }
      return true;
    };
  }

  /** Throws `weights_changed` where the kernel has taken the memory and not given the file: nothing is there then. */
  #exchange(chunk: PlacedChunk, file: CopyFile): boolean {
    const { start, bytes, offset } = chunk;
    if (this.#machine.remapping.mapOver(start, bytes, file.fd, offset)) return true;
    if (isStillThere(chunk, readMappings() ?? [])) return false;
    this.#state = 'released';
    throw weightsChanged('the kernel has no memory for the mapping of a file');
  }

  #drop(
    { start, bytes }: Chunk,
    used?: Uint8Array,
  ): { readonly left: number; readonly kept: number; readonly written: boolean } {
    const { memory, remapping } = this.#machine;
    const pages = memory.count(start, bytes, used);
    const written = pages === null || pages.ownBytes > 0;
    if (!written && remapping.drop(start, bytes)) return { left: pages.presentBytes, kept: 0, written };
    return { left: 0, kept: pages?.presentBytes ?? bytes, written };
  }

  async #readAhead(isEnough?: () => boolean): Promise<number> {
    const { pageBytes, remapping } = this.#machine;
    return await readAhead(this.#wanted(), pageBytes, remapping.cached, isEnough);
  }

  #wanted(): readonly Wanted[] {
    const file = this.#file;
    const chunks = file === null ? [] : this.#chunks.map((chunk) => ({ ...chunk, source: file, used: null }));
    const parts = this.#data.flatMap((source) => source.parts.map((part) => ({ ...part, source })));
    return [...chunks, ...parts];
  }

  /** Of its files, the pages that are of use. */
  #usedBytes(): number {
    const parts = this.#data.flatMap(({ parts }) => parts);
    const pages = ({ bytes, used }: (typeof parts)[number]): number =>
      used === null ? bytes / this.#machine.pageBytes : sum([...used]);
    return sum(parts.map(pages)) * this.#machine.pageBytes;
  }

  #expect(state: State): void {
    if (this.#state !== state) throw new TypeError(`The weights are ${this.#state}, not ${state}`);
  }

  #expectNoRun(): void {
    if (this.#runs > 0) throw new TypeError(`${this.#runs} runs use the weights`);
  }
}

/** Offsets of the blocks of a chunk, with as much of `block` as each one takes. */
function* partsOf({ bytes }: Chunk, block: Buffer): Generator<readonly [number, Buffer]> {
  for (let at = 0; at < bytes; at += block.length) {
    yield [at, block.subarray(0, Math.min(block.length, bytes - at))];
  }
}

/** Whether a chunk lies in memory that is nobody's file. */
function isStillThere({ start, bytes }: Chunk, mappings: readonly Mapping[]): boolean {
  const around = mappings.find(({ end }) => end > start);
  return (
    around !== undefined && around.start <= start && isAnonymous(around) && around.end >= end(start, bytes)
  );
}

/** Whether a part of a file is one mapping, as it was made. */
function isMapped(
  { start, bytes, offset }: PlacedChunk,
  file: string | null,
  at: ReadonlyMap<Address, Mapping>,
): boolean {
  const found = at.get(start);
  return (
    found !== undefined &&
    found.file === file &&
    found.offset === offset &&
    found.end === end(start, bytes) &&
    found.permissions.endsWith('p')
  );
}

function unreadable(): AgentError {
  return notParkable('the mappings of this process cannot be read');
}

function end(start: Address, bytes: number): Address {
  return start + BigInt(bytes);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
