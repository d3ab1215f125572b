/** The private keys that a command line names, put to what is to be signed. */
import type { ParseArgsOptionsConfig } from 'node:util';
import type { Envelope } from '../fleet/trust/dsse.ts';
import { orRefused, readPrivateKey, readText } from './fleet-files.ts';
import type { Io } from './io.ts';

export const SIGNING_FLAGS = {
  key: { type: 'string', multiple: true },
  keys: { type: 'string', multiple: true },
} as const satisfies ParseArgsOptionsConfig;

export interface Signing {
  /** Files of private keys. */
  readonly key?: readonly string[] | undefined;
  /** Files of envelopes of key sets, oldest first. */
  readonly keys?: readonly string[] | undefined;
}

/** The envelope with one more signature by each key. Throws a CliError that names the file which is wrong. */
export async function signedByFiles(envelope: Envelope, { key = [] }: Signing, io: Io): Promise<Envelope> {
  const { signedBy } = await import('../fleet/trust/issue.ts');
  return key.reduce((at, path) => {
    const privateKey = readPrivateKey(path, io);
    return orRefused(path, () => signedBy(at, privateKey));
  }, envelope);
}

/** The text to publish: the envelope, and the key sets that go along. `name`: what the envelope is made of. */
export async function withKeySets(name: string, envelope: Envelope, { keys = [] }: Signing): Promise<string> {
  const [{ needType, readEnvelope, writeEnvelope }, { withKeys }] = await Promise.all([
    import('../fleet/trust/dsse.ts'),
    import('../fleet/trust/issue.ts'),
  ]);
  const sets = keys.map((path) =>
    orRefused(path, () => {
      const set = readEnvelope(Buffer.from(readText(path)));
      needType(set, 'keys');
      return set;
    }),
  );
  return writeEnvelope(sets.length === 0 ? envelope : orRefused(name, () => withKeys(envelope, sets)));
}
