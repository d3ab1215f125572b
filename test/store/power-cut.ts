/**
 * A disk that loses power. It is told what a process wrote and synced (from a trace of its system calls) and makes the
 * files that could be found after a cut: everything that a finished sync covers, and of what came later any sectors in
 * any version.
 */
import { Buffer } from 'node:buffer';

const sectorBytes = 512;

interface Write {
  readonly offset: number;
  readonly data: Buffer;
}

type Change = Write | { readonly length: number };

/** What of the writes that no sync covers is found: any sectors in any version, or all writes up to one of them. */
export type Cut = 'scattered' | 'in order';

class TracedFile {
  #durable: Buffer<ArrayBuffer> = Buffer.alloc(0);
  #pending: Change[] = [];
  /** Changes that are durable. */
  #settled = 0;
  /** The name is in the directory for certain. */
  named = false;

  change(change: Change): void {
    this.#pending.push(change);
  }

  /** Changes so far. */
  get issued(): number {
    return this.#settled + this.#pending.length;
  }

  /** A sync that began after `issued` changes has finished; another one may have begun and ended meanwhile. */
  synced(issued: number): void {
    const settling = this.#pending.splice(0, Math.max(0, issued - this.#settled));
    for (const change of settling) this.#durable = apply(this.#durable, change);
    this.#settled += settling.length;
  }

  /** `random` gives 0 <= x < 1; close to 1 leaves the newest version. */
  afterCut(random: () => number, cut: Cut): Buffer {
    const versions = [this.#durable];
    for (const change of this.#pending) versions.push(apply(versions.at(-1) ?? this.#durable, change));
    if (cut === 'in order') return versions[Math.floor(random() * versions.length)] ?? this.#durable;
    let result = Buffer.from(this.#durable);
    const touched = new Set(this.#pending.flatMap(sectorsOf));
    for (const sector of touched) {
      const version = versions[Math.floor(random() * versions.length)] ?? this.#durable;
      const offset = sector * sectorBytes;
      result = apply(result, { offset, data: version.subarray(offset, offset + sectorBytes) });
    }
    return result;
  }
}

function apply(content: Buffer, change: Change): Buffer<ArrayBuffer> {
  if ('length' in change) {
    const result = Buffer.alloc(change.length);
    content.copy(result);
    return result;
  }
  const { offset, data } = change;
  const result = Buffer.alloc(Math.max(content.length, offset + data.length));
  content.copy(result);
  data.copy(result, offset);
  return result;
}

/** A change of the length alone may be lost: what lies behind the new end is of no use to anybody. */
function sectorsOf(change: Change): number[] {
  if ('length' in change) return [];
  const first = Math.floor(change.offset / sectorBytes);
  const last = Math.floor((change.offset + change.data.length - 1) / sectorBytes);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

export class TracedDisk {
  readonly #directory: string;
  readonly #files = new Map<string, TracedFile>();
  /** Syncs under way, by thread: what they will have made durable. */
  readonly #syncs = new Map<string, () => void>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Takes one line of `strace -f -y -xx`; returns what the process says, if it says something. */
  take(line: string): Said | null {
    const [, thread = '', call = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const [, name, path = ''] = /^(\w+)\(\d+<([^>]*)>/.exec(call) ?? [];
    if (/<\.\.\. (fdatasync|fsync) resumed>.*= 0( \(DELAYED\))?$/.test(call)) this.#finish(thread);
    else if (name === 'fdatasync' || name === 'fsync') {
      this.#begin(thread, unescaped(path).toString());
      if (/= 0( \(DELAYED\))?$/.test(call)) this.#finish(thread);
    } else if (name === 'ftruncate') this.#truncate(unescaped(path).toString(), call);
    else if (name === 'pwrite64') this.#write(unescaped(path).toString(), call);
    else if (name === 'write') return said(call);
    return null;
  }

  /** The files after a cut now, by name. */
  afterCut(random: () => number, cut: Cut = 'scattered'): ReadonlyMap<string, Buffer> {
    const result = new Map<string, Buffer>();
    for (const [path, file] of this.#files) {
      if (file.named || random() < 0.5)
        result.set(path.slice(this.#directory.length + 1), file.afterCut(random, cut));
    }
    return result;
  }

  #write(path: string, call: string): void {
    if (!isLog(path)) return;
    const [, data = '', offset = ''] = /, "((?:\\x[0-9a-f]{2})*)", \d+, (\d+)\b/.exec(call) ?? [];
    if (offset === '')
      throw new Error(`the trace holds a write that was not understood: ${call.slice(0, 200)}`);
    this.#file(path).change({ offset: Number(offset), data: unescaped(data) });
  }

  #truncate(path: string, call: string): void {
    const [, length = ''] = />, (\d+)\b/.exec(call) ?? [];
    if (isLog(path)) this.#file(path).change({ length: Number(length) });
  }

  #begin(thread: string, path: string): void {
    if (path === this.#directory) {
      this.#syncs.set(thread, () => {
        for (const file of this.#files.values()) file.named = true;
      });
      return;
    }
    const file = this.#file(path);
    const { issued } = file;
    this.#syncs.set(thread, () => file.synced(issued));
  }

  #finish(thread: string): void {
    this.#syncs.get(thread)?.();
    this.#syncs.delete(thread);
  }

  #file(path: string): TracedFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const file = new TracedFile();
    this.#files.set(path, file);
    return file;
  }
}

/** The journal of SQLite's first steps is gone, and durably so, before the process says that anything is synced. */
function isLog(path: string): boolean {
  return path.endsWith('/decisions.db') || path.endsWith('/decisions.db-wal');
}

function unescaped(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex');
}

/** The writer says on its stdout the highest numbers that were appended and that are synced. */
export interface Said {
  readonly appended: number;
  readonly synced: number;
}

function said(call: string): Said | null {
  const [, text] = /^write\(1<[^>]*>, "((?:\\x[0-9a-f]{2})*)"/.exec(call) ?? [];
  if (text === undefined) return null;
  const [, appended, synced] = /^(\d+) (\d+)\n$/.exec(unescaped(text).toString()) ?? [];
  return synced === undefined ? null : { appended: Number(appended), synced: Number(synced) };
}
