/** Opens ONNX Runtime sessions over the files of a package, with the options of a cell. */
import { realpathSync } from 'node:fs';
import { basename, resolve, sep } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../catalog/manifest.ts';
import { AgentError } from '../errors.ts';
import { plainMessage } from './failure.ts';

type Library = typeof import('onnxruntime-node');

export interface PackageFiles {
  /** Absolute path of the package's folder. */
  readonly directory: string;
  readonly manifest: Manifest;
}

/** A graph with one Identity node, as an ONNX file: enough to make the runtime set itself up. */
const SMALLEST_MODEL = 'CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCAhAN';

let library: Promise<Library> | null = null;

/**
 * Loads ONNX Runtime and lets it set up what stays for the life of the process: 20 MB of code that is paged in and
 * 7 MB of registries, which otherwise would count as a part of the first expert and not come back with it.
 * Rejects with AgentError `bad_runtime` where the library is missing or does not fit the system.
 */
export function startRuntime(): Promise<Library> {
  library ??= importLibrary();
  return library;
}

async function importLibrary(): Promise<Library> {
  try {
    const runtime = await import('onnxruntime-node');
    // Warnings about a graph are for its maker; what fails is reported as an error of the call.
    runtime.env.logLevel = 'error';
    const session = await runtime.InferenceSession.create(
      Buffer.from(SMALLEST_MODEL, 'base64'),
      sessionOptions(1),
    );
    await session.release();
    return runtime;
  } catch (cause) {
    throw new AgentError('bad_runtime', `ONNX Runtime cannot be loaded: ${plainMessage(cause)}`, {
      hint: 'Run `npm ci` in the folder of expertd. Prebuilt libraries need glibc 2.28 or newer.',
      cause,
    });
  }
}

/**
 * Opens the file `path` of a package. Rejects with AgentError `bad_expert` where the path leaves the package or is not
 * listed in it, and where the runtime refuses the file. Whether the graph is the one that the manifest describes is
 * for the task to check: it knows what it feeds.
 */
export async function openSession(
  { directory, manifest }: PackageFiles,
  path: string,
  threads: number,
): Promise<InferenceSession> {
  return await openGraph(manifest, packageFile(directory, manifest, path), threads);
}

/** Opens a file of which it is known that it may be opened. Rejects with `bad_expert` where the runtime refuses it. */
export async function openGraph(
  manifest: Manifest,
  file: string,
  threads: number,
): Promise<InferenceSession> {
  const { InferenceSession } = await startRuntime();
  return await InferenceSession.create(file, sessionOptions(threads)).catch((cause: unknown) => {
    throw badExpert(manifest, `${basename(file)} cannot be loaded: ${plainMessage(cause)}`, cause);
  });
}

/**
 * `threads` is what the lane may use. Threads do not spin: it hurts whoever wants the core meanwhile (a step of a
 * decoder took 64 ms against 35 beside one busy process). No arena: it keeps the highest memory of any run for the
 * life of the session (one batch of 16 x 128 tokens left 84 MB in a MiniLM cell), and the budget would be wrong.
 */
function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    enableCpuMemArena: false,
    enableMemPattern: false,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}

/** Absolute path of a file that the package lists, with all links followed and still inside the package. */
export function packageFile(directory: string, manifest: Manifest, path: string): string {
  if (!manifest.files.some((file) => file.path === path)) {
    throw badExpert(manifest, `${path} is not one of the files that expert.json lists`);
  }
  const inside = (file: string, folder: string) =>
    file.startsWith(folder.endsWith(sep) ? folder : folder + sep);
  const file = resolve(directory, path);
  if (!inside(file, resolve(directory))) throw badExpert(manifest, `${path} leads out of the package`);
  try {
    const real = realpathSync(file);
    if (!inside(real, realpathSync(directory)))
      throw badExpert(manifest, `${path} leads out of the package by a link`);
    return real;
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    throw badExpert(manifest, `${path} cannot be read: ${plainMessage(cause)}`, cause);
  }
}

function badExpert(manifest: Manifest, what: string, cause?: unknown): AgentError {
  return new AgentError('bad_expert', `The expert "${manifest.id}" cannot be loaded: ${what}`, {
    hint: 'Its files may be damaged, or made for another runtime: install it again.',
    ...(cause === undefined ? {} : { cause }),
  });
}
