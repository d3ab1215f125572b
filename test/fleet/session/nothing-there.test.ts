/** A device that starts with nothing around it: no name of its broker, no broker, no clock. Each comes later. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { aedes } from '../brokers/aedes.ts';
import { missingProgram } from '../brokers/broker.ts';
import { mosquitto, openTlsMosquitto } from '../brokers/mosquitto.ts';
import { findProgram } from '../brokers/program.ts';
import { Live, scratch } from './live.ts';

const openssl = findProgram('openssl');

test('no DNS: the reason is named, once, and it goes on trying', async (context) => {
  // RFC 6761: nobody has this name.
  const device = new Live('mqtt://broker.invalid', 'no-dns', []);
  context.after(() => device.session.stop());
  device.session.start();
  // A resolver that is asked in vain may take its time.
  await device.until(() => device.waits.length >= 2, 'tried again', 40_000);
  assert.equal(device.session.health().reason?.code, 'unknown_host');
  assert.match(device.session.health().reason?.hint ?? '', /DNS|network/);
  assert.equal(device.log.warnings.length, 1);
});

test('no broker at the start: it is joined when it is there', async (context) => {
  const place = scratch();
  const broker = await aedes.open({ folder: place.folder });
  context.after(async () => {
    await broker.stop('killed');
    place.remove();
  });
  await broker.stop('killed');
  const device = new Live(broker.url, 'early', []);
  context.after(() => device.session.stop());
  device.session.start();
  await device.until(() => device.waits.length >= 2, 'refused');
  assert.equal(device.session.health().reason?.code, 'unreachable');
  await assert.rejects(device.publish('t', 'x'), { code: 'not_connected' });
  await broker.start();
  await device.until(() => device.session.isUp, 'up');
  await device.publish('t', 'x');
  assert.equal(device.session.health().reason, null);
});

test('no clock: for a device that is behind its certificate the broker is of the future, until the clock is set', {
  skip: mosquitto.missing ?? missingProgram({ openssl }) ?? false,
}, async (context) => {
  const place = scratch();
  const authority = new Authority(place.folder);
  const hour = 3_600_000;
  authority.sign('broker', Date.now() + hour);
  authority.sign('device', Date.now() - hour);
  const [ca, cert, key] = [authority.certificate, authority.at('broker.pem'), authority.at('broker.key')];
  const broker = await openTlsMosquitto(place.folder, { ca, cert, key });
  context.after(async () => {
    await broker.stop('killed');
    place.remove();
  });
  const tls = { ca, cert: authority.at('device.pem'), key: authority.at('device.key') };
  const files = { tls: { ...tls, serverName: 'broker.test', alpn: [] } };
  const device = new Live(broker.url.replace('mqtt:', 'mqtts:'), 'no-clock', [], { files });
  context.after(() => device.session.stop());
  device.session.start();
  await device.until(() => device.waits.length >= 2, 'refused');
  const { code, hint } = device.session.health().reason ?? {};
  assert.equal(code, 'untrusted');
  assert.match(hint ?? '', /clock/);
  // The test cannot set the clock of the process. What the device sees is the same: from now on it is valid.
  authority.sign('broker', Date.now() - hour);
  await broker.stop('killed');
  await broker.start();
  await device.until(() => device.session.isUp, 'up');
  assert.equal(device.session.health().protocol, '5');
});

/** Signs certificates that begin at any time, which `openssl x509` cannot. */
class Authority {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(this.at('issued'));
    writeFileSync(
      this.at('ca.cnf'),
      `[ca]
default_ca = own
[own]
database = ${this.at('index')}
new_certs_dir = ${this.at('issued')}
certificate = ${this.certificate}
private_key = ${this.at('ca.key')}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
[names]
subjectAltName = DNS:broker.test
`,
    );
    writeFileSync(this.at('index'), '');
    this.#openssl(...this.#request('authority', 'ca'), '-x509', '-days', '2', '-out', this.certificate);
  }

  get certificate(): string {
    return this.at('ca.pem');
  }

  at(name: string): string {
    return join(this.#folder, name);
  }

  /** `NAME.pem` and `NAME.key`, valid from then on, for two days. */
  sign(name: string, fromMs: number): void {
    const [request, certificate] = [this.at(`${name}.csr`), this.at(`${name}.pem`)];
    this.#openssl(...this.#request(name, name), '-out', request);
    const times = ['-startdate', stamp(fromMs), '-enddate', stamp(fromMs + 48 * 3_600_000)];
    const files = ['-config', this.at('ca.cnf'), '-in', request, '-out', certificate];
    this.#openssl('ca', '-batch', '-notext', '-extensions', 'names', ...files, ...times);
  }

  #request(subject: string, key: string): string[] {
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    return ['req', '-new', ...curve, '-subj', `/CN=${subject}`, '-keyout', this.at(`${key}.key`)];
  }

  #openssl(...args: readonly string[]): void {
    execFileSync(openssl ?? '', args, { cwd: this.#folder, stdio: 'pipe' });
  }
}

/** As `openssl ca` wants it: YYYYMMDDHHMMSSZ. */
function stamp(ms: number): string {
  return `${new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
}
