/**
 * Makes the executable: a stripped Node, the launcher, and the packed files (the bundle is one), joined by pkg's `--sea` mode.
 *
 * pkg's command line knows two such modes. The one for packages wraps the program in a virtual file system, which
 * costs memory and start-up time and cannot carry V8 flags; the one for a single script is what is needed here, but
 * the command line gives it neither assets nor flags. So its function is called directly (pkg 6.23, pinned).
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pkgSea, { type SeaConfig } from '@yao-pkg/pkg/lib-es5/sea.js';
import { bundleFile } from '../bundle.mjs';
import { expertSources, nativeSources, packAssets, packageFolder } from './pack.ts';

export type Arch = 'x64' | 'arm64';

export interface BuildOptions {
  readonly root: string;
  readonly bundle: string;
  readonly arch: Arch;
  readonly output: string;
}

/** Builds the executable at `output`, replacing it at once. Throws if a package for `arch` is not installed. */
export async function buildExecutable({ root, bundle, arch, output }: BuildOptions): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'expertd-build-'));
  const home = process.env['HOME'];
  try {
    const node = strippedNode(root, arch, work);
    const launcher = join(work, 'launcher.cjs');
    await bundleFile(root, 'agent/launcher.ts', launcher);
    const sources = [
      { path: 'expertd.cjs', file: bundle },
      ...nativeSources(root, arch),
      ...expertSources(root),
    ];
    const seaConfig: SeaConfig & { execArgv: string[] } = {
      disableExperimentalSEAWarning: true,
      useSnapshot: false,
      // For the launcher only, which is small; the bundle has the compile cache.
      useCodeCache: false,
      execArgv: [...v8Flags(root), '--disable-warning=ExperimentalWarning'],
      assets: packAssets(sources, join(work, 'assets')),
    };
    const made = join(work, 'expertd');
    // pkg finds the Node of a target in a folder under the home folder, or else downloads it.
    process.env['HOME'] = seedCache(work, arch, node);
    const version = process.versions.node;
    await pkgSea.default(launcher, {
      targets: [{ nodeRange: `node${version}`, platform: 'linux', arch, output: made }],
      seaConfig,
    });
    mkdirSync(join(output, '..'), { recursive: true });
    copyFileSync(made, `${output}.new`);
    renameSync(`${output}.new`, output);
  } finally {
    if (home === undefined) delete process.env['HOME'];
    else process.env['HOME'] = home;
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Node as npm ships it without its symbols, 18 MB less; it must be done before anything is injected. Without binutils
 * (or for another arch than they know) the executable is larger and works the same.
 */
function strippedNode(root: string, arch: Arch, work: string): string {
  const original = join(packageFolder(root, `node-linux-${arch}`, arch), 'bin', 'node');
  const copy = join(work, 'node');
  copyFileSync(original, copy);
  const strip =
    arch === process.arch ? 'strip' : `${arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu-strip`;
  try {
    execFileSync(strip, [copy], { stdio: 'ignore' });
  } catch {
    process.stderr.write(
      `build: no usable ${strip} (Debian: binutils); the executable will be 18 MB larger\n`,
    );
    copyFileSync(original, copy);
  }
  return copy;
}

/** Lays out pkg's cache as if the archive of this Node had been downloaded, checked and extracted. */
function seedCache(work: string, arch: Arch, node: string): string {
  const name = `node-v${process.versions.node}-linux-${arch}`;
  const cache = join(work, '.pkg-cache', 'sea');
  mkdirSync(join(cache, name, 'bin'), { recursive: true });
  for (const file of [`${name}.tar.gz`, `${name}.tar.gz.ok`, `${name}/bin/node.ok`])
    writeFileSync(join(cache, file), '');
  renameSync(node, join(cache, name, 'bin', 'node'));
  return work;
}

function v8Flags(root: string): string[] {
  return JSON.parse(readFileSync(join(root, 'agent/v8-flags.json'), 'utf8')) as string[];
}
