/** Where a broker is: the URL of the configuration, taken apart. */
import { AgentError } from '../errors.ts';

export interface Broker {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** From the URL; null where it holds none. */
  readonly user: string | null;
  readonly password: string | null;
  /** For logs and people: without user and password. */
  readonly shown: string;
}

/** Ports by IANA. */
const SCHEMES: Readonly<Record<string, { readonly tls: boolean; readonly port: number }>> = {
  'mqtt:': { tls: false, port: 1883 },
  'tcp:': { tls: false, port: 1883 },
  'mqtts:': { tls: true, port: 8883 },
  'ssl:': { tls: true, port: 8883 },
};

/** Throws AgentError `bad_config`, whose message never holds the URL's password. */
export function parseBroker(text: string): Broker {
  const url = URL.canParse(text) ? new URL(text) : null;
  const scheme = url === null ? undefined : SCHEMES[url.protocol];
  if (url === null || scheme === undefined || url.hostname === '')
    throw refusal(`does not name a broker as mqtt://HOST or mqtts://HOST`);
  if (/^\/?$/.test(url.pathname) === false || url.search !== '' || url.hash !== '')
    throw refusal('holds more than a host and a port');
  const port = url.port === '' ? scheme.port : Number(url.port);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const shown = `${scheme.tls ? 'mqtts' : 'mqtt'}://${url.hostname}:${port}`;
  const [user, password] = [decoded(url.username), decoded(url.password)];
  return { host, port, tls: scheme.tls, user, password, shown };
}

function decoded(part: string): string | null {
  if (part === '') return null;
  try {
    return decodeURIComponent(part);
  } catch {
    throw refusal('holds a user or password with a "%" that is not followed by two hexadecimal digits');
  }
}

function refusal(why: string): AgentError {
  return new AgentError('bad_config', `"fleet.url" ${why}`, {
    hint: 'Write mqtt://HOST, or mqtts://HOST for TLS, with :PORT if it is not 1883 or 8883. Web sockets are not spoken.',
  });
}
