/** TLS with certificates made for the test: who is trusted, who is not, and what people are told. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer } from 'node:tls';
import type { CredentialFiles } from '../../../agent/fleet/session/credentials.ts';
import { missingProgram, type TestBroker } from '../brokers/broker.ts';
import { mosquitto, openTlsMosquitto } from '../brokers/mosquitto.ts';
import { findProgram } from '../brokers/program.ts';
import { Live, scratch } from './live.ts';

const openssl = findProgram('openssl');

describe('TLS', { skip: mosquitto.missing ?? missingProgram({ openssl }) ?? false }, () => {
  let place: ReturnType<typeof scratch>;
  let broker: TestBroker;
  const open: Live[] = [];
  const at = (name: string): string => join(place.folder, name);

  before(async () => {
    place = scratch();
    for (const authority of ['ca', 'other']) makeAuthority(place.folder, authority);
    sign(place.folder, 'server', 'ca', 'subjectAltName=DNS:broker.test');
    sign(place.folder, 'device', 'ca', 'keyUsage=digitalSignature');
    sign(place.folder, 'stranger', 'other', 'keyUsage=digitalSignature');
    broker = await openTlsMosquitto(place.folder, {
      ca: at('ca.pem'),
      cert: at('server.pem'),
      key: at('server.key'),
    });
  });
  after(async () => {
    await Promise.all(open.map(({ session }) => session.stop()));
    await broker.stop('killed');
    place.remove();
  });

  const live = (tls: Partial<CredentialFiles['tls']>, url = broker.url.replace('mqtt:', 'mqtts:')): Live => {
    const files = { tls: { alpn: [], ...tls } };
    const one = new Live(url, `tls-${open.length}`, [], { files });
    open.push(one);
    return one;
  };
  const good = () => ({
    ca: at('ca.pem'),
    cert: at('device.pem'),
    key: at('device.key'),
    serverName: 'broker.test',
  });
  const refused = async (device: Live): Promise<string | undefined> => {
    device.session.start();
    await device.until(() => device.waits.length >= 1, 'refused');
    return device.session.health().reason?.code;
  };

  test('with its certificate, its authority and the name of the broker a device is in', async () => {
    const device = await live(good()).start();
    await device.publish('t/v1/x', 'x');
  });

  test('a certificate is mended without a restart', async () => {
    writeFileSync(at('renewed.pem'), readFileSync(at('stranger.pem')));
    writeFileSync(at('renewed.key'), readFileSync(at('stranger.key')));
    const device = live({ ...good(), cert: at('renewed.pem'), key: at('renewed.key') });
    assert.equal(await refused(device), 'certificate_refused');
    writeFileSync(at('renewed.pem'), readFileSync(at('device.pem')));
    writeFileSync(at('renewed.key'), readFileSync(at('device.key')));
    await device.until(() => device.session.isUp, 'up');
  });

  test('who signed the broker is not known: named, with what to set', async () => {
    for (const ca of [at('other.pem'), undefined]) {
      const device = live({ ...good(), ca });
      assert.equal(await refused(device), 'untrusted');
      assert.match(device.session.health().reason?.hint ?? '', /fleet\.tls\.ca/);
    }
  });

  test('the broker has another name: named', async () => {
    const device = live({ ...good(), serverName: 'elsewhere.test' });
    assert.equal(await refused(device), 'untrusted');
    assert.match(device.session.health().reason?.hint ?? '', /fleet\.tls\.serverName/);
  });

  test('no certificate where the broker wants one, and files that are none', async () => {
    assert.equal(await refused(live({ ...good(), cert: undefined, key: undefined })), 'certificate_refused');
    assert.equal(await refused(live({ ...good(), ca: at('nowhere.pem') })), 'credentials_unreadable');
    assert.equal(await refused(live({ ...good(), ca: at('ca.key') })), 'credentials_unreadable');
    assert.equal(await refused(live({ ...good(), key: at('stranger.key') })), 'credentials_unreadable');
  });

  test('TLS to a port of plain MQTT, and plain MQTT to one of TLS', async () => {
    for (const [answer, expected] of [
      ['\x20\x02\x00\x05', 'tls_refused'],
      ['HTTP/1.1 400 Bad Request\r\n', 'no_tls'],
    ] as const) {
      const plain = createTcpServer((socket) => socket.end(answer)).listen(0, '127.0.0.1');
      await once(plain, 'listening');
      const reason = await refused(live(good(), `mqtts://127.0.0.1:${portOf(plain)}`));
      plain.close();
      assert.equal(reason, expected);
    }
    const device = live({}, broker.url);
    assert.equal(await refused(device), 'closed_unheard');
    assert.match(device.session.health().reason?.hint ?? '', /mqtts/);
  });

  test('SNI and ALPN are sent as they are set', async () => {
    const seen: unknown[] = [];
    const options = {
      key: readFileSync(at('server.key')),
      cert: readFileSync(at('server.pem')),
      ALPNProtocols: ['x-amzn-mqtt-ca'],
    };
    const server = createServer(options, (socket) => {
      seen.push(['servername' in socket && socket.servername, socket.alpnProtocol]);
      socket.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const device = live({ ...good(), alpn: ['x-amzn-mqtt-ca'] }, `mqtts://127.0.0.1:${portOf(server)}`);
    const reasons = [await refused(device)];
    const other = live({ ...good(), alpn: ['unknown'] }, `mqtts://127.0.0.1:${portOf(server)}`);
    reasons.push(await refused(other));
    server.close();
    assert.deepEqual(seen[0], ['broker.test', 'x-amzn-mqtt-ca']);
    assert.deepEqual(reasons, ['closed_unheard', 'tls_refused']);
    assert.match(other.session.health().reason?.hint ?? '', /fleet\.tls\.alpn/);
  });
});

function portOf(server: Server): number {
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

function run(folder: string, ...args: string[]): void {
  execFileSync(openssl ?? '', args, { cwd: folder, stdio: 'pipe' });
}

function makeAuthority(folder: string, name: string): void {
  const subject = `/CN=${name} of the test`;
  run(
    folder,
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    subject,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
  );
}

function sign(folder: string, name: string, authority: string, extension: string): void {
  writeFileSync(join(folder, `${name}.ext`), extension);
  run(
    folder,
    'req',
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
  );
  run(
    folder,
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${authority}.pem`,
    '-CAkey',
    `${authority}.key`,
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.pem`,
  );
}
