/**
 * Collects the files that travel inside the executable and compresses them: native modules with the libraries beside
 * them, and the starter experts. `agent/unpack.ts` is the reader.
 *
 * The experts are inside, not beside: one file is then all there is to copy, sign and roll back, and a version's
 * experts cannot be mixed with another's. The price is that a device keeps them twice, once of it compressed.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { nativePackages } from '../../agent/files.ts';
import type { PackedFile } from '../../agent/unpack.ts';

export interface Source {
  /** Where it will lie in the unpacked folder. */
  readonly path: string;
  /** Where it is now. */
  readonly file: string;
}

const FRAME_BYTES = 4 << 20;
const LEVEL = 15;

/**
 * Where npm installed a package: in the checkout, or for another arch than this machine's in `dist/packages-ARCH`.
 * Throws with the command that installs it there.
 */
export function packageFolder(root: string, name: string, arch: string): string {
  const require = createRequire(join(root, 'package.json'));
  const other = join(root, 'dist', `packages-${arch}`);
  try {
    return dirname(require.resolve(`${name}/package.json`, { paths: [root, other] }));
  } catch (cause) {
    const { dependencies } = require('./package.json') as { dependencies: { koffi: string } };
    const packages = `node-linux-${arch}@${process.versions.node} @koromix/koffi-linux-${arch}@${dependencies.koffi}`;
    const command = `npm install --no-save --force --prefix ${other} --os linux --cpu ${arch} ${packages}`;
    throw new Error(`${name} is not installed. For an executable for ${arch}, run \`${command}\``, { cause });
  }
}

/** The native modules for Linux on one arch. */
export function nativeSources(root: string, arch: string): Source[] {
  return Object.entries(nativePackages('linux', arch)).flatMap(([name, [owner, path]]) => {
    const file = join(packageFolder(root, owner, arch), path);
    const libraries = readdirSync(dirname(file)).filter((sibling) => /\.so(\.\d+)*$/.test(sibling));
    return [
      { path: `natives/${name}.node`, file },
      // Found through the module's RUNPATH, $ORIGIN.
      ...libraries.map((library) => ({ path: `natives/${library}`, file: join(dirname(file), library) })),
    ];
  });
}

/** Of every expert: its manifest, the files that the manifest lists, and its licence. Not how it was made. */
export function expertSources(root: string): Source[] {
  const experts = join(root, 'experts');
  if (!existsSync(experts)) return [];
  return readdirSync(experts)
    .sort()
    .filter((id) => existsSync(join(experts, id, 'expert.json')))
    .flatMap((id) => {
      const folder = join(experts, id);
      const { files } = JSON.parse(readFileSync(join(folder, 'expert.json'), 'utf8')) as {
        files: { path: string }[];
      };
      const listed = new Set(['expert.json', ...files.map(({ path }) => path)]);
      if (existsSync(join(folder, 'LICENSE'))) listed.add('LICENSE');
      return [...listed].map((path) => ({ path: `experts/${id}/${path}`, file: join(folder, path) }));
    });
}

/** Writes one asset a source and the index into `folder`; returns asset names with the files that hold them. */
export function packAssets(sources: readonly Source[], folder: string): Record<string, string> {
  const assets: Record<string, string> = {};
  const files = sources.map(({ path, file }, index): PackedFile => {
    const asset = join(folder, `${index}.zst`);
    assets[path] = asset;
    return pack(path, readFileSync(file), asset);
  });
  assets['files.json'] = join(folder, 'files.json');
  writeFileSync(assets['files.json'], JSON.stringify({ files }));
  return assets;
}

/** Compresses in frames of bounded size, so that unpacking needs little memory. */
function pack(path: string, content: Buffer, asset: string): PackedFile {
  const frames: Buffer[] = [];
  for (let offset = 0; offset < content.length; offset += FRAME_BYTES) {
    const params = { [constants.ZSTD_c_compressionLevel]: LEVEL };
    frames.push(zstdCompressSync(content.subarray(offset, offset + FRAME_BYTES), { params }));
  }
  mkdirSync(dirname(asset), { recursive: true });
  writeFileSync(asset, Buffer.concat(frames));
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { path, bytes: content.length, sha256, frames: frames.map(({ length }) => length) };
}
