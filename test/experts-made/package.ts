/** Writes the files of a generated expert and its `expert.json`. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Manifest, ManifestFile } from '../../agent/catalog/manifest.ts';

export class PackageWriter {
  readonly directory: string;
  readonly #files: ManifestFile[] = [];

  /** `directory` is made if it is not there. */
  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  /** Absolute path of a file of the package; its folder exists afterwards. */
  path(inner: string): string {
    const path = join(this.directory, inner);
    mkdirSync(dirname(path), { recursive: true });
    return path;
  }

  add(inner: string, content: string | Uint8Array): void {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    writeFileSync(this.path(inner), bytes, { flag: 'wx' });
    this.listed(inner, { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
  }

  addJson(inner: string, value: unknown): void {
    this.add(inner, `${JSON.stringify(value, null, 1)}\n`);
  }

  /** Lists a file that something else wrote. */
  listed(path: string, { bytes, sha256 }: { readonly bytes: number; readonly sha256: string }): void {
    this.#files.push({ path, bytes, sha256 });
  }

  /** Writes `expert.json`; returns it. */
  finish(manifest: Omit<Manifest, 'files'>): Manifest {
    const whole: Manifest = { ...manifest, files: [...this.#files] };
    writeFileSync(this.path('expert.json'), `${JSON.stringify(whole, null, 2)}\n`, { flag: 'wx' });
    return whole;
  }
}
