/**
 * What proves who this device is, and who the broker is. Files are read at every attempt to connect: a certificate
 * that was renewed, or a password that was mended, is used without a restart.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { AgentError } from '../../errors.ts';
import type { Broker } from '../broker.ts';

export interface Credentials {
  readonly user: string | null;
  readonly password: string | null;
  readonly tls: TlsCredentials;
}

interface TlsCredentials {
  /** PEM; null is the authorities that Node knows. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly serverName: string | null;
  readonly alpn: readonly string[];
}

/** Where they are kept: absolute paths. `undefined` as the configuration leaves fields out. */
export interface CredentialFiles {
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly tls: {
    readonly ca?: string | undefined;
    readonly cert?: string | undefined;
    readonly key?: string | undefined;
    readonly serverName?: string | undefined;
    readonly alpn: readonly string[];
  };
}

/** Throws AgentError `credentials_unreadable` that names field and file. */
export function readCredentials(broker: Broker, { user, passwordFile, tls }: CredentialFiles): Credentials {
  const password = passwordFile === undefined ? broker.password : read('passwordFile', passwordFile);
  const credentials: Credentials = {
    user: user ?? broker.user,
    // An editor's line end is no part of a password.
    password: password?.replace(/\r?\n$/, '') ?? null,
    tls: {
      ca: readMaybe('tls.ca', tls.ca),
      cert: readMaybe('tls.cert', tls.cert),
      key: readMaybe('tls.key', tls.key),
      serverName: tls.serverName ?? null,
      alpn: tls.alpn,
    },
  };
  if (broker.tls) checkPem(credentials.tls);
  return credentials;
}

function readMaybe(field: string, path: string | undefined): string | null {
  return path === undefined ? null : read(field, path);
}

function read(field: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new AgentError('credentials_unreadable', `fleet.${field} ${path} cannot be read: ${why}`, {
      hint: 'Let it name a file that the user of expertd may read.',
      retryable: true,
      cause,
    });
  }
}

/** OpenSSL's own words for a wrong PEM file name no file, and of an authority that is none Node says nothing. */
function checkPem({ ca, cert, key }: TlsCredentials): void {
  if (ca !== null) check('tls.ca is no certificate', () => new X509Certificate(ca));
  if (cert !== null) check('tls.cert is no certificate', () => new X509Certificate(cert));
  if (key !== null) check('tls.key is no private key without a passphrase', () => createPrivateKey(key));
  if (cert === null || key === null) return;
  check('tls.key is not the key of tls.cert', () => createSecureContext({ cert, key }));
}

function check(what: string, parse: () => unknown): void {
  try {
    parse();
  } catch (cause) {
    throw new AgentError('credentials_unreadable', `fleet.${what}`, {
      hint: 'Each is a PEM file; the private key belongs to the certificate of this device.',
      retryable: true,
      cause,
    });
  }
}
