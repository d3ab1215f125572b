/** A small disk at a folder, which an agent alone sees and which goes with it. Takes root, a loop device and mke2fs. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const BALLAST = 'ballast';

/** `ballastBytes` are taken until `makeRoom`; 0: nothing is. */
export class SmallDisk {
  readonly #bytes: number;
  readonly #ballastBytes: number;
  /** Where it is mounted; null before it was made. */
  #at: string | null = null;

  constructor(bytes: number, ballastBytes: number) {
    this.#bytes = bytes;
    this.#ballastBytes = ballastBytes;
  }

  /** What starts `argv` with the disk at a folder. */
  command(argv: readonly string[], at: string): readonly string[] {
    const image = `${at}.img`;
    this.#make(image);
    mkdirSync(at, { recursive: true });
    this.#at = at;
    const fill = this.#ballastBytes > 0 ? `fallocate -l ${this.#ballastBytes} "$2/${BALLAST}"` : 'true';
    const script = `mount -o loop "$1" "$2" && ${fill} && shift 2 && exec "$@"`;
    return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', image, at, ...argv];
  }

  /** While the agent runs, whose process this is: nobody else sees the disk. */
  makeRoom(pid: number): void {
    if (this.#at !== null) rmSync(join(`/proc/${pid}/root`, this.#at, BALLAST));
  }

  #make(image: string): void {
    const file = openSync(image, 'w');
    ftruncateSync(file, this.#bytes);
    closeSync(file);
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-m', '0', image]);
  }
}

/** Why there can be no small disk here; false where there can. */
export function whyNoSmallDisk(): string | false {
  const script = 'unshare --mount true && command -v mke2fs fallocate && losetup --find';
  const { status } = spawnSync('sh', ['-c', script], { stdio: 'ignore' });
  return status === 0 ? false : 'a small disk cannot be mounted here: that takes root and a loop device';
}
