/**
 * Bundles the agent and the cell into one minified CommonJS file, `dist/<key>/expertd.cjs`: what `npm start` runs and
 * what the executable holds. The key is a hash of all that goes in, so nothing is rebuilt without need, a running
 * agent keeps the file that its cells are started from, and two starts at once cannot disturb each other.
 *
 * Plain JavaScript, without packages but esbuild (loaded only to build): run.mjs uses it on whatever Node the host has.
 */
import { createHash, randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

const SOURCES = ['agent', 'policies', 'package.json', 'package-lock.json', 'scripts/bundle.mjs'];
const KEPT_BUNDLES = 5;
const KEPT_MS = 24 * 3_600_000;
/** As in agent/http/page/sources.ts. */
const PAGE_FILES = /\.(html|css|mjs|svg)$/;

/**
 * @param {string} [root] the checkout
 * @returns {{ folder: string, file: string, exists: boolean }} the bundle of the sources as they are now
 */
export function currentBundle(root = ROOT) {
  const folder = join(root, 'dist', sourceKey(root));
  const file = join(folder, 'expertd.cjs');
  return { folder, file, exists: existsSync(file) };
}

/**
 * @param {string} [root] the checkout
 * @returns {Promise<string>} path of the bundle, built if it was not there
 */
export async function ensureBundle(root = ROOT) {
  const { folder, file, exists } = currentBundle(root);
  if (exists) return file;
  const dist = dirname(folder);
  const own = join(dist, `.building-${randomUUID()}`);
  try {
    mkdirSync(own, { recursive: true });
    await bundleFile(root, 'agent/main.ts', join(own, 'expertd.cjs'));
    moveInto(own, folder);
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
  removeOld(dist, folder);
  return file;
}

/**
 * Hash of the content of everything that a bundle is made of.
 * @param {string} root
 */
export function sourceKey(root) {
  const hash = createHash('sha256');
  for (const path of SOURCES.flatMap((name) => filesUnder(root, name))) {
    const content = readFileSync(join(root, path));
    hash.update(`${path}\0${content.length}\0`).update(content);
  }
  return `bundle-${hash.digest('hex').slice(0, 16)}`;
}

/**
 * @param {string} root
 * @param {string} name
 * @returns {string[]} relative paths in a stable order
 */
function filesUnder(root, name) {
  const path = join(root, name);
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [name];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => filesUnder(root, join(name, entry.name)));
}

/**
 * One file, evaluated lazily: what is behind `import()` runs when it is asked for, so the agent never evaluates a
 * cell's code. ASCII, because one character beyond Latin-1 would double the memory that V8 needs for the source.
 * @param {string} root
 * @param {string} entry
 * @param {string} outfile
 */
export async function bundleFile(root, entry, outfile) {
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    charset: 'ascii',
    legalComments: 'none',
    sourcemap: 'external',
    sourcesContent: false,
    logLevel: 'warning',
    // What mqtt brings to run on Node 12 and in browsers is in this Node: half of what it adds to the bundle.
    alias: { 'readable-stream': 'node:stream' },
    define: { 'import.meta.url': 'bundleUrl' },
    banner: { js: "const bundleUrl=require('node:url').pathToFileURL(__filename).href;" },
    plugins: [nativesPlugin(join(root, 'agent/files.ts')), pagePlugin],
  });
}

/**
 * Replaces what packages do to find their native module by a call of `loadNative` in agent/files.ts: the module lies
 * in node_modules in one way of running, in an unpacked folder in the other, and never beside the bundle.
 * @param {string} filesModule
 * @returns {import('esbuild').Plugin}
 */
function nativesPlugin(filesModule) {
  /** @param {string} name */
  const loader = (name) => ({
    contents: `module.exports = require(${JSON.stringify(filesModule)}).loadNative(${JSON.stringify(name)});`,
    resolveDir: dirname(filesModule),
  });
  return {
    name: 'natives',
    setup(build) {
      build.onLoad({ filter: /better-sqlite3\/lib\/binding\.js$/ }, () => ({
        contents: "exports.getBinding = () => require('native:better_sqlite3');",
      }));
      // The path of its native module is computed, which no bundler follows; the rest of the file stays.
      build.onLoad({ filter: /onnxruntime-node\/dist\/binding\.js$/ }, ({ path }) => {
        const source = readFileSync(path, 'utf8');
        const call = /require\(`[^`]*onnxruntime_binding\.node`\)/;
        if (!call.test(source))
          throw new Error(`${path} loads its native module in a new way: mend bundle.mjs`);
        return { contents: source.replace(call, "require('native:onnxruntime_binding')") };
      });
      // Its module for `import` requires behind the bundler's back; the one for `require` is plain.
      build.onResolve({ filter: /^koffi$/ }, ({ resolveDir, kind }) =>
        kind === 'require-call' ? null : build.resolve('koffi', { kind: 'require-call', resolveDir }),
      );
      build.onResolve({ filter: /^@koromix\/koffi-linux-(x64|arm64)$/ }, () => ({
        path: 'koffi',
        namespace: 'native',
      }));
      build.onResolve({ filter: /^native:/ }, ({ path }) => ({ path: path.slice(7), namespace: 'native' }));
      build.onLoad({ filter: /.*/, namespace: 'native' }, ({ path }) => loader(path));
    },
  };
}

/**
 * Puts the files of the page into the bundle, minified, where agent/http/page/sources.ts reads them from the disk.
 * @type {import('esbuild').Plugin}
 */
const pagePlugin = {
  name: 'page',
  setup(build) {
    build.onLoad({ filter: /agent\/http\/page\/sources\.ts$/ }, async ({ path }) => {
      const folder = join(dirname(path), 'client');
      /** @type {Record<string, string>} */
      const texts = {};
      for (const name of readdirSync(folder).filter((name) => PAGE_FILES.test(name))) {
        const text = readFileSync(join(folder, name), 'utf8');
        const loader = name.endsWith('.mjs') ? 'js' : name.endsWith('.css') ? 'css' : null;
        texts[name] =
          loader === null ? text : (await build.esbuild.transform(text, { loader, minify: true })).code;
      }
      return { contents: `export const SOURCES = ${JSON.stringify(texts)};` };
    });
  },
};

/**
 * @param {string} own
 * @param {string} folder
 */
function moveInto(own, folder) {
  try {
    renameSync(own, folder);
  } catch (error) {
    // Another start was faster: its bundle has the same key, so the same content.
    if (!existsSync(join(folder, 'expertd.cjs'))) throw error;
  }
}

/**
 * A bundle may belong to an agent that still runs, so the latest ones and those used in the last day stay.
 * @param {string} dist
 * @param {string} current
 */
function removeOld(dist, current) {
  const bundles = readdirSync(dist)
    .filter((name) => /^(bundle-[0-9a-f]{16}|\.building-.*)$/.test(name))
    .map((name) => ({
      path: join(dist, name),
      usedMs: statSync(join(dist, name), { throwIfNoEntry: false })?.mtimeMs,
    }))
    .sort((a, b) => (b.usedMs ?? 0) - (a.usedMs ?? 0));
  for (const { path, usedMs } of bundles.slice(KEPT_BUNDLES)) {
    const old = usedMs !== undefined && Date.now() - usedMs > KEPT_MS;
    if (old && path !== current) rmSync(path, { recursive: true, force: true });
  }
}

/**
 * Keeps the bundle from being removed as unused.
 * @param {string} folder
 */
export function markUsed(folder) {
  try {
    utimesSync(folder, new Date(), new Date());
  } catch {
    // A checkout that this user may not write: nothing is removed there either.
  }
}
