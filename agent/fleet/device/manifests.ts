/** What is in packages that are to come: their manifests, each believed only if it has the digest that was asked for. */
import { fetchedPackages } from '../../catalog/fetched.ts';
import type { Manifest } from '../../catalog/manifest.ts';
import { MANIFEST_NAME, MAX_MANIFEST_BYTES, parseManifest, sha256 } from '../../catalog/package.ts';
import { opener } from '../../catalog/source.ts';
import { AgentError } from '../../errors.ts';
import type { DesiredExpert } from '../documents/desired.ts';
import { hexOf } from './overlay.ts';

export interface FoundManifest {
  readonly manifest: Manifest;
  /** Its files lie on this device, fetched for an earlier document. */
  readonly isFetched: boolean;
}

/** Manifests by the id of the expert. One that is missing could not be read anywhere. */
export type Manifests = ReadonlyMap<string, FoundManifest>;

/** For all of them: a source that is slow must not hold up a document, since the catalog tries again for ever. */
const LOOK_MS = 60_000;
const AT_ONCE = 4;

/**
 * Reads the manifests of these experts, from `installDir` or from their sources. Rejects with AgentError `bad_expert`
 * where one with the right digest is not what the document says it is, or nothing that this version can use: then it
 * could never be installed. Rejects with the reason of `signal` when that is aborted.
 */
export async function readManifests(
  experts: readonly DesiredExpert[],
  installDir: string,
  signal: AbortSignal,
): Promise<Manifests> {
  const found = new Map<string, FoundManifest>();
  const patience = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
  const waiting = experts.values();
  const look = async (): Promise<void> => {
    for (const expert of waiting) {
      const one = fetched(expert, installDir) ?? (await fromSources(expert, patience));
      signal.throwIfAborted();
      if (one !== null) found.set(expert.id, one);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, look));
  return found;
}

function fetched({ id, digest }: DesiredExpert, installDir: string): FoundManifest | null {
  const found = fetchedPackages(installDir, id).find((one) => one.digest === hexOf(digest));
  return found === undefined ? null : { manifest: found.manifest, isFetched: true };
}

/** null where no source gave it: that may be mended, so it is no reason against a document. */
async function fromSources(expert: DesiredExpert, signal: AbortSignal): Promise<FoundManifest | null> {
  for (const uri of expert.sources) {
    const bytes = await manifestBytes(uri, signal).catch(() => null);
    if (bytes === null || sha256(bytes) !== hexOf(expert.digest)) continue;
    const manifest = parseManifest(bytes, `${uri}/${MANIFEST_NAME}`);
    needIdentity(expert, manifest);
    return { manifest, isFetched: false };
  }
  return null;
}

async function manifestBytes(uri: string, signal: AbortSignal): Promise<Buffer | null> {
  const stream = await opener(uri)(MANIFEST_NAME, signal);
  const end = (): void => void stream.destroy(new Error('it took too long'));
  signal.addEventListener('abort', end, { once: true });
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    if (signal.aborted) return null;
    for await (const chunk of stream) {
      bytes += (chunk as Buffer).byteLength;
      if (bytes > MAX_MANIFEST_BYTES) return null;
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks);
  } finally {
    signal.removeEventListener('abort', end);
    stream.destroy();
  }
}

function needIdentity({ id, version }: DesiredExpert, manifest: Manifest): void {
  if (manifest.id === id && manifest.version === version) return;
  throw new AgentError(
    'bad_expert',
    `the package of "${id}" ${version} is that of "${manifest.id}" ${manifest.version}`,
    { hint: 'Mend id, version or digest in the document, and publish it under a higher generation.' },
  );
}
