/** Reads an expert's folder: the manifest, checked, and that every file it lists is there with its size. */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../errors.ts';
import type { Traces } from '../untouched.ts';
import { checker } from '../validation.ts';
import { type Manifest, type ManifestFile, ManifestSchema } from './manifest.ts';

export const MANIFEST_NAME = 'expert.json';
/** A manifest holds examples and golden outputs, not data. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

export interface Package {
  readonly manifest: Manifest;
  /** sha256 of `expert.json`: the identity of all of the content, since the manifest holds every file's sha256. */
  readonly digest: string;
  /** Absolute. */
  readonly directory: string;
}

/** What a request names to let the router choose: an expert of this name could not be asked. */
const RESERVED_ID = 'auto';

const check = checker(ManifestSchema, { subject: MANIFEST_NAME });

/** Parses a manifest. `where` names it in errors. Throws AgentError `bad_expert`. */
export function parseManifest(bytes: Buffer, where: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw badExpert(
      `${where} is not JSON: ${(cause as Error).message}`,
      'Mend the file; "expertd check FOLDER" shows where.',
    );
  }
  const { value: manifest, problem } = check(value);
  if (manifest !== null) return checkPaths(checkAssistant(checkId(manifest, where), where), where);
  throw badExpert(
    `${where}: ${problem.message}`,
    problem.hint ?? 'schema/expert.schema.json describes the file.',
  );
}

function checkId(manifest: Manifest, where: string): Manifest {
  if (manifest.id !== RESERVED_ID) return manifest;
  throw badExpert(
    `${where}: "${RESERVED_ID}" is the name that lets the router choose, and no expert's`,
    'Give it another id.',
  );
}

/** Sources come from `retrieval`, and somebody else speaks from them. */
function checkAssistant(manifest: Manifest, where: string): Manifest {
  const { assistant, task, id } = manifest;
  if (assistant === undefined) return manifest;
  if (task !== 'retrieval') {
    throw badExpert(
      `${where}: "assistant" belongs to an expert whose task is "retrieval", and this one does "${task}"`,
      'Leave it out, or put the index into an expert of its own.',
    );
  }
  if (assistant.base !== id) return manifest;
  throw badExpert(
    `${where}: "assistant.base" is the expert itself`,
    'Name a language model, or leave it out: then the generalist of the configuration speaks.',
  );
}

/** Every file that the manifest names elsewhere is listed in `files`, so that it is hashed before it is read. */
function checkPaths(manifest: Manifest, where: string): Manifest {
  const listed = new Set(manifest.files.map((file) => file.path));
  const { model, tokenizer, labels, index, routing } = manifest;
  const named = [model.path, labels, index?.entries, routing.vocabulary];
  if (tokenizer?.kind === 'huggingface') named.push(tokenizer.path, tokenizer.config);
  if (tokenizer?.kind === 'fasttext') named.push(tokenizer.dictionary);
  for (const path of named) {
    if (path !== undefined && !listed.has(path)) {
      throw badExpert(
        `${where} names "${path}" and does not list it in "files"`,
        'List the file with its bytes and sha256.',
      );
    }
  }
  if (listed.size !== manifest.files.length)
    throw badExpert(`${where} lists a file twice`, 'List each file once.');
  return manifest;
}

/** Reads the package in `directory`; its files are looked at, not hashed. Throws AgentError `bad_expert`. */
export function readPackage(directory: string): Package {
  const path = join(directory, MANIFEST_NAME);
  const bytes = readManifest(path);
  const manifest = parseManifest(bytes, path);
  checkPresence(directory, manifest);
  return { manifest, digest: sha256(bytes), directory };
}

function readManifest(path: string): Buffer {
  const size = sizeOf(path);
  if (size === null)
    throw badExpert(`${path} is missing`, 'A folder is an expert once it holds expert.json.');
  if (size > MAX_MANIFEST_BYTES)
    throw badExpert(
      `${path} has ${size} bytes, more than ${MAX_MANIFEST_BYTES}`,
      'Move data to files of their own.',
    );
  return readFileSync(path);
}

function checkPresence(directory: string, { files, id }: Manifest): void {
  const root = existsSync(directory) ? realpathSync(directory) : directory;
  for (const file of files) checkFile(root, file, id);
}

function checkFile(root: string, file: ManifestFile, id: string): void {
  const path = join(root, file.path);
  const size = sizeOf(path);
  const hint = `Copy the folder of "${id}" again from where it came.`;
  if (size === null || realpathSync(path) !== path)
    throw badExpert(`expert "${id}": ${file.path} is missing`, hint);
  if (size !== file.bytes) {
    throw badExpert(`expert "${id}": ${file.path} has ${size} bytes, its manifest says ${file.bytes}`, hint);
  }
}

/** Size of a regular file; null where there is none. A link is none: it could lead out of the package. */
function sizeOf(path: string): number | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : null;
}

/** What the file system tells of every file of a package, in the order of the manifest. */
export function tracesOf({ manifest, directory }: Package): Traces {
  return manifest.files.map(
    ({ path }) => statSync(join(directory, path), { bigint: true, throwIfNoEntry: false }) ?? null,
  );
}

/** Hashes every file of a package. Rejects with AgentError `bad_expert` that names the first file that differs. */
export async function verifyPackage({ manifest, directory }: Package): Promise<void> {
  checkPresence(directory, manifest);
  for (const file of manifest.files) {
    const actual = await hashFile(join(directory, file.path));
    if (actual === file.sha256) continue;
    throw badExpert(
      `expert "${manifest.id}": the content of ${file.path} is not what its manifest says (sha256 ${actual.slice(0, 12)}..., expected ${file.sha256.slice(0, 12)}...)`,
      `Copy the folder of "${manifest.id}" again from where it came, then POST /expertd/v1/experts/${manifest.id}/clear.`,
    );
  }
}

const HASH_CHUNK_BYTES = 1024 * 1024;

/** sha256 of a file in hex, read in pieces so that a large model does not pass through memory at once. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  const handle: FileHandle = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(HASH_CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function badExpert(message: string, hint: string): AgentError {
  return new AgentError('bad_expert', message, { hint });
}
