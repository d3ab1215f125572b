/** What DNS, TCP and TLS report, in words that name the fix. */
import { AgentError } from '../../errors.ts';
import { asError, LATER, OPERATOR, type Words } from './refusal.ts';

const SELF_SIGNED = 'Give the certificate of whoever signed the broker as fleet.tls.ca.';

/** By the codes of Node: system calls, DNS, OpenSSL's verification and its alerts. */
const BY_CODE: Readonly<Record<string, Words>> = {
  ENOTFOUND: { code: 'unknown_host', message: 'no such host', hint: 'Check the host in fleet.url, and DNS.' },
  EAI_AGAIN: { code: 'unknown_host', message: 'DNS does not answer', hint: 'Is this device on a network?' },
  ECONNREFUSED: {
    code: 'unreachable',
    message: 'nothing listens there',
    hint: 'Does the broker run, and on the port of fleet.url?',
  },
  ETIMEDOUT: { code: 'unreachable', message: 'the host does not answer', hint: 'Is a firewall in between?' },
  EHOSTUNREACH: {
    code: 'unreachable',
    message: 'no route to the host',
    hint: 'Is this device on a network?',
  },
  ENETUNREACH: { code: 'unreachable', message: 'no network', hint: 'Is this device on a network?' },
  ECONNRESET: { code: 'link_lost', message: 'the connection was reset', hint: LATER },
  EPIPE: { code: 'link_lost', message: 'the connection was closed', hint: LATER },
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    code: 'untrusted',
    message: 'the certificate of the broker is self-signed',
    hint: SELF_SIGNED,
  },
  SELF_SIGNED_CERT_IN_CHAIN: {
    code: 'untrusted',
    message: 'the certificate of the broker is signed by an authority that is not known here',
    hint: SELF_SIGNED,
  },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    code: 'untrusted',
    message: 'nobody known here signed the certificate of the broker',
    hint: SELF_SIGNED,
  },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    code: 'untrusted',
    message: 'nobody known here signed the certificate of the broker',
    hint: SELF_SIGNED,
  },
  UNABLE_TO_GET_ISSUER_CERT: {
    code: 'untrusted',
    message: 'the chain of the certificate of the broker has a gap',
    hint: 'Give the whole chain as fleet.tls.ca.',
  },
  CERT_SIGNATURE_FAILURE: {
    code: 'untrusted',
    message: 'the certificate of the broker is not signed by fleet.tls.ca',
    hint: SELF_SIGNED,
  },
  CERT_HAS_EXPIRED: {
    code: 'untrusted',
    message: 'the certificate of the broker has expired',
    hint: 'Renew it, or set the clock of this device.',
  },
  CERT_NOT_YET_VALID: {
    code: 'untrusted',
    message: 'the certificate of the broker is of the future',
    hint: 'The clock of this device is likely not set yet. It is tried again by itself.',
  },
  CERT_REVOKED: { code: 'untrusted', message: 'the certificate of the broker is revoked', hint: OPERATOR },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: 'untrusted',
    message: 'the certificate of the broker is for another name',
    hint: 'Use the name it is for in fleet.url, or set fleet.tls.serverName.',
  },
  ERR_SSL_WRONG_VERSION_NUMBER: {
    code: 'no_tls',
    message: 'the broker does not speak TLS on this port',
    hint: 'Use mqtt:// for plain connections; the port of TLS is mostly 8883.',
  },
  ERR_SSL_PACKET_LENGTH_TOO_LONG: {
    code: 'no_tls',
    message: 'the broker does not speak TLS on this port',
    hint: 'Use mqtt:// for plain connections; the port of TLS is mostly 8883.',
  },
  ERR_SSL_NO_APPLICATION_PROTOCOL: {
    code: 'tls_refused',
    message: 'the broker knows none of the ALPN protocols',
    hint: 'Check fleet.tls.alpn.',
  },
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: {
    code: 'tls_refused',
    message: 'the broker knows none of the ALPN protocols',
    hint: 'Check fleet.tls.alpn.',
  },
};

const OWN_CERTIFICATE: Words = {
  code: 'certificate_refused',
  message: 'the broker does not take the certificate of this device',
  hint: 'Check fleet.tls.cert and fleet.tls.key: the broker must know who signed them.',
};

/** For what a socket, TLS or mqtt.js reports. Its own message is not passed on: it may quote what was sent. */
export function refusedByNetwork(error: Error): AgentError {
  if (error instanceof AgentError) return error;
  const code = 'code' in error ? String(error.code) : '';
  const words = BY_CODE[code];
  if (words !== undefined) return asError(words, error);
  // Brokers answer a missing, unknown or expired certificate of the client with one of many alerts.
  if (/^ERR_SSL_.*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)/.test(code))
    return asError(OWN_CERTIFICATE, error);
  if (/^ERR_(SSL|TLS)_/.test(code))
    return asError({ code: 'tls_refused', message: `TLS failed with ${code}`, hint: OPERATOR }, error);
  return asError(
    { code: 'link_lost', message: `the connection failed with ${code || 'no reason given'}`, hint: LATER },
    error,
  );
}
