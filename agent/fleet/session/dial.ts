/** Opens the way to a broker: TCP, or TLS with SNI, ALPN and a certificate of this device. */
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Broker } from '../broker.ts';
import type { Credentials } from './credentials.ts';
import { GuardedStream } from './guarded-stream.ts';
import type { PacketGuard } from './packet-guard.ts';

/** Never throws and never waits: what goes wrong ends the stream with an error. */
export type Dial = (broker: Broker, credentials: Credentials, guard: PacketGuard) => GuardedStream;

export const dial: Dial = (broker, credentials, guard) =>
  broker.tls
    ? new GuardedStream(openTls(broker, credentials), guard, 'secureConnect')
    : new GuardedStream(openTcp(broker), guard, 'connect');

function openTcp({ host, port }: Broker): Socket {
  return connect({ host, port, noDelay: true });
}

function openTls({ host, port }: Broker, { tls }: Credentials): Socket {
  const serverName = tls.serverName ?? (isIP(host) === 0 ? host : null);
  const socket = connectTls({
    host,
    port,
    ...(serverName === null ? {} : { servername: serverName }),
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.cert === null ? {} : { cert: tls.cert }),
    ...(tls.key === null ? {} : { key: tls.key }),
    ...(tls.alpn.length === 0 ? {} : { ALPNProtocols: [...tls.alpn] }),
  });
  socket.setNoDelay(true);
  return socket;
}
