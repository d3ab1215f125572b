import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { loadConfig } from '../../../agent/configuration.ts';
import { AgentError } from '../../../agent/errors.ts';
import { parseBroker } from '../../../agent/fleet/broker.ts';
import { readCredentials } from '../../../agent/fleet/session/credentials.ts';
import { deviceId } from '../../../agent/fleet/session/device-id.ts';
import { refusedByNetwork } from '../../../agent/fleet/session/network-refusal.ts';
import { scratch } from './live.ts';

let place: ReturnType<typeof scratch>;
beforeEach(() => {
  place = scratch();
});
afterEach(() => place.remove());

function refusal(act: () => unknown): AgentError {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    return error;
  }
  return assert.fail('it was accepted');
}

describe('fleet.url', () => {
  test('names host, port, TLS, user and password', () => {
    assert.deepEqual(parseBroker('mqtt://edge.local'), {
      host: 'edge.local',
      port: 1883,
      tls: false,
      user: null,
      password: null,
      shown: 'mqtt://edge.local:1883',
    });
    assert.deepEqual(parseBroker('mqtts://u%40v:p%3Aw@[::1]:443/'), {
      host: '::1',
      port: 443,
      tls: true,
      user: 'u@v',
      password: 'p:w',
      shown: 'mqtts://[::1]:443',
    });
    assert.equal(parseBroker('ssl://h').port, 8883);
    assert.equal(parseBroker('tcp://h').tls, false);
  });

  test('what is none is refused, and the words never hold the password', () => {
    for (const url of [
      'ws://h',
      'mqtt://',
      'mqtt://u:hunter2@',
      'mqtt://u:hunter2@h/topic',
      'mqtt://u:hunter2@h?x=1',
      'mqtt://u:hunter2%zz@h',
      'h:1883',
      'mqtt://u:hunter2@h:99999',
    ]) {
      const { code, message, hint } = refusal(() => parseBroker(url));
      assert.equal(code, 'bad_config');
      assert.doesNotMatch(`${message} ${hint}`, /hunter2/);
    }
  });
});

describe('the configuration', () => {
  const load = (fleet: unknown) => {
    const path = join(place.folder, 'edge.config.json');
    writeFileSync(path, JSON.stringify({ fleet }));
    return loadConfig({ path, overrides: {} }).fleet;
  };

  test('one line is enough; without it the device stands alone', () => {
    const fleet = load({ url: 'mqtt://edge.local' });
    assert.equal(fleet.root, 'expertd');
    assert.equal(fleet.protocol, 'auto');
    assert.equal(fleet.keepaliveSeconds, 60);
    assert.deepEqual(fleet.tls, { alpn: [] });
    assert.equal(load({}).url, null);
  });

  test('its files are relative to its folder', () => {
    const fleet = load({
      url: 'mqtts://h',
      user: 'u',
      passwordFile: 'secret',
      tls: { ca: 'ca.pem', cert: '/etc/c.pem', key: 'k.pem' },
    });
    assert.equal(fleet.passwordFile, join(place.folder, 'secret'));
    assert.deepEqual(fleet.tls, {
      ca: join(place.folder, 'ca.pem'),
      cert: '/etc/c.pem',
      key: join(place.folder, 'k.pem'),
      alpn: [],
    });
  });

  test('what cannot be meant is refused by its field', () => {
    assert.match(refusal(() => load({ url: 'ws://h' })).message, /"fleet\.url"/);
    assert.match(refusal(() => load({ device: 'a/b' })).message, /"fleet\.device"/);
    assert.match(refusal(() => load({ root: '+' })).message, /"fleet\.root"/);
    assert.match(refusal(() => load({ protocol: '3.1' })).message, /"fleet\.protocol" must be/);
    assert.match(refusal(() => load({ tls: { cert: 'c.pem' } })).message, /go together/);
    assert.match(refusal(() => load({ outboxBytes: '1KB' })).message, /"fleet\.outboxBytes"/);
    assert.match(refusal(() => load({ urll: 'x' })).hint ?? '', /"url"/);
  });
});

describe('credentials', () => {
  const broker = parseBroker('mqtt://u:fromUrl@h');

  test('come from the URL, or from the file that the configuration names, without its line end', () => {
    assert.equal(readCredentials(broker, { tls: { alpn: [] } }).password, 'fromUrl');
    const passwordFile = join(place.folder, 'secret');
    writeFileSync(passwordFile, ' pass word \r\n');
    const read = readCredentials(broker, { user: 'v', passwordFile, tls: { alpn: [] } });
    assert.deepEqual([read.user, read.password], ['v', ' pass word ']);
  });

  test('a file that cannot be read is named with its field, and may be mended', () => {
    const passwordFile = join(place.folder, 'none');
    const { code, message, retryable } = refusal(() =>
      readCredentials(broker, { passwordFile, tls: { alpn: [] } }),
    );
    assert.deepEqual([code, retryable], ['credentials_unreadable', true]);
    assert.match(message, /fleet\.passwordFile .*none cannot be read: ENOENT/);
  });
});

describe('the device id', () => {
  const machineId = (): string => {
    const path = join(place.folder, 'machine-id');
    writeFileSync(path, `${'0123456789abcdef'.repeat(2)}\n`);
    return path;
  };
  const stateDir = () => join(place.folder, 'state');

  test('is made of the id of the machine, which it does not tell, and is the same each time', () => {
    const options = { stateDir: stateDir(), machineIdFiles: [join(place.folder, 'none'), machineId()] };
    const id = deviceId(options);
    assert.match(id, /^edge-[0-9a-f]{16}$/);
    assert.ok(id.length <= 23, 'MQTT 3.1.1 promises no more');
    assert.doesNotMatch(id, /01234567/);
    assert.equal(deviceId(options), id);
    rmSync(stateDir(), { recursive: true });
    assert.equal(deviceId(options), id, 'and again after the state was lost');
    assert.deepEqual(readdirSync(stateDir()), ['device-id']);
  });

  test('stays when the id of the machine changes, and can be given by hand', () => {
    const file = machineId();
    const options = { stateDir: stateDir(), machineIdFiles: [file] };
    const id = deviceId(options);
    writeFileSync(file, 'f'.repeat(32));
    assert.equal(deviceId(options), id);
    writeFileSync(join(stateDir(), 'device-id'), 'hall-3\n');
    assert.equal(deviceId(options), 'hall-3');
  });

  test('is drawn by lot and kept where the machine has none; what is damaged is made anew', () => {
    const options = { stateDir: stateDir(), machineIdFiles: [] };
    const id = deviceId(options);
    assert.equal(deviceId(options), id);
    const other = join(place.folder, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'device-id'), 'a/b');
    assert.match(deviceId({ stateDir: other, machineIdFiles: [] }), /^edge-[0-9a-f]{16}$/);
    assert.notEqual(deviceId({ stateDir: other, machineIdFiles: [] }), id);
  });
});

test('every failure of network and TLS has words and a fix, and none quotes what was sent', () => {
  const known = ['ENOTFOUND', 'ECONNREFUSED', 'CERT_NOT_YET_VALID', 'ERR_TLS_CERT_ALTNAME_INVALID'];
  const unknown = ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', 'ERR_SSL_BAD_DECRYPT', 'EMFILE'];
  for (const code of [...known, ...unknown]) {
    const refused = refusedByNetwork(Object.assign(new Error('password hunter2'), { code }));
    assert.ok(refused.retryable && refused.hint !== null);
    assert.doesNotMatch(JSON.stringify(refused.toFailure()), /hunter2/);
  }
  assert.match(
    refusedByNetwork(Object.assign(new Error(''), { code: 'CERT_NOT_YET_VALID' })).hint ?? '',
    /clock/,
  );
});
