/**
 * Where expertd's own files are: the one module that knows the three ways in which it runs.
 *
 *   source      node agent/main.ts                    tests: files of the checkout, packages of node_modules
 *   bundle      node dist/<key>/expertd.cjs           `npm start`: the same, with the agent's code in one file
 *   executable  expertd-linux-x64                     the bundle, natives and experts travel inside; launcher.ts
 *                                                     unpacks them into one folder and runs the bundle from there
 *
 * `scripts/bundle.mjs` points every native module that a package would load by itself at `loadNative`, and gives
 * `import.meta.url` its value in the bundle.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import project from '../package.json' with { type: 'json' };
import { AgentError } from './errors.ts';
import v8Flags from './v8-flags.json' with { type: 'json' };

export type RunKind = 'source' | 'bundle' | 'executable';
export type NativeName = 'better_sqlite3' | 'onnxruntime_binding' | 'koffi';

/** A program and its arguments, ready for `child_process.spawn`. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

export const version: string = project.version;
/** Of ONNX Runtime: what was prepared with one is not used with another. */
export const runtimeVersion: string = project.dependencies['onnxruntime-node'];

/** How this process was started. */
export function runKind(): RunKind {
  if (isSea()) return 'executable';
  return import.meta.url.endsWith('.ts') ? 'source' : 'bundle';
}

/**
 * The command that starts a cell: this very program with the hidden sub-command `cell`, on the same Node. The flags
 * of a debugger or a test runner are not passed on; those that keep V8 small are (the executable has them built in).
 */
export function cellCommand(): Command {
  return hiddenCommand('cell');
}

/** The command that starts a process which prepares an expert; it reads its job from stdin. */
export function prepareCommand(): Command {
  return hiddenCommand('prepare');
}

function hiddenCommand(name: string): Command {
  const file = process.execPath;
  if (isSea()) return { file, args: [name] };
  const entry = runKind() === 'source' ? join(checkout(), 'agent/main.ts') : ownFile();
  return { file, args: ['--disable-warning=ExperimentalWarning', ...v8Flags, entry, name] };
}

/** The folder of the experts that ship with expertd. */
export function shippedExpertsDir(): string {
  return join(isSea() ? dirname(ownFile()) : checkout(), 'experts');
}

/** Path of a native module. The libraries that it links to lie beside it. */
export function nativeFile(name: NativeName): string {
  if (isSea()) return join(dirname(ownFile()), 'natives', `${name}.node`);
  const { platform, arch } = process;
  const [owner, path] = nativePackages(platform, arch)[name];
  const require = createRequire(import.meta.url);
  try {
    return join(dirname(require.resolve(`${owner}/package.json`)), path);
  } catch (cause) {
    throw new AgentError(
      'no_native',
      `The native module ${owner} is not installed for ${platform}-${arch}.`,
      {
        hint: 'Run `npm ci` in the folder of expertd. Prebuilt modules exist for Linux on x64 and arm64 (glibc).',
        cause,
      },
    );
  }
}

/** Loads a native module. Throws what the dynamic linker says if it does not fit the system. */
export function loadNative(name: NativeName): unknown {
  const file = nativeFile(name);
  return createRequire(import.meta.url)(file);
}

/** For each native module, the package that ships it and where it lies there; `scripts/build.ts` packs these. */
export function nativePackages(
  platform: string,
  arch: string,
): Readonly<Record<NativeName, readonly [owner: string, path: string]>> {
  return {
    better_sqlite3: ['better-sqlite3', `prebuilds/${platform}-${arch}.node`],
    onnxruntime_binding: ['onnxruntime-node', `bin/napi-v6/${platform}/${arch}/onnxruntime_binding.node`],
    koffi: [`@koromix/koffi-${platform}-${arch}`, `${platform}_${arch}/koffi.node`],
  };
}

/** In source runs `agent/files.ts`, else the bundle. */
function ownFile(): string {
  return fileURLToPath(import.meta.url);
}

function checkout(): string {
  return fileURLToPath(new URL(runKind() === 'source' ? '../' : '../../', import.meta.url));
}
