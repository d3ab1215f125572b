/**
 * The name of this device in its fleet, where nobody gave it one: made of the machine's id once, then kept, so that it
 * stays when the id changes. The id itself stays here (machine-id(5) asks for a keyed hash).
 */
import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILE = 'device-id';
const VALID = /^[A-Za-z0-9_-]{1,64}$/;
const MACHINE_ID_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];

export interface DeviceIdOptions {
  readonly stateDir: string;
  /** The first that holds one counts; with none the name is drawn by lot. */
  readonly machineIdFiles?: readonly string[];
}

/** 21 characters: MQTT 3.1.1 promises that brokers take 23. Throws what the file system throws. */
export function deviceId({ stateDir, machineIdFiles = MACHINE_ID_FILES }: DeviceIdOptions): string {
  const path = join(stateDir, FILE);
  const kept = read(path);
  if (kept !== null && VALID.test(kept)) return kept;
  const machineId = machineIdFiles.map(read).find((id) => id !== null && /^[0-9a-f]{32}$/.test(id));
  const made = `edge-${machineId ? hashed(machineId) : randomBytes(8).toString('hex')}`;
  mkdirSync(stateDir, { recursive: true });
  // Whole or not at all: a power cut may not leave half a name.
  writeFileSync(`${path}.new`, `${made}\n`, { flush: true });
  renameSync(`${path}.new`, path);
  return made;
}

function hashed(machineId: string): string {
  return createHmac('sha256', machineId).update('expertd device id').digest('hex').slice(0, 16);
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
