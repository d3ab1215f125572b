/** Trees of files in place of /proc and /sys: those of whole devices from the fixtures, and small ones made by a test. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LinuxMonitor, type MonitorOptions } from '../../agent/monitor/monitor.ts';

export const DEVICES = ['raspberry-pi-5', 'jetson-orin', 'bare-vm', 'container-v2', 'container-v1'] as const;

export function fixture(device: (typeof DEVICES)[number]): string {
  return fileURLToPath(new URL(`../fixtures/device/${device}`, import.meta.url));
}

/** A tree of files, as `proc/meminfo` -> text; gone after the test. */
export function treeOf(context: TestContext, files: Readonly<Record<string, string | Uint8Array>>): string {
  const root = mkdtempSync(join(tmpdir(), 'expertd-monitor-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) put(root, path, text);
  return root;
}

/** A copy of a device's tree that a test may spoil. */
export function copyOf(context: TestContext, device: (typeof DEVICES)[number]): string {
  const root = treeOf(context, {});
  cpSync(fixture(device), root, { recursive: true });
  return root;
}

export function put(root: string, path: string, text: string | Uint8Array): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

export function monitorOf(root: string, options: Partial<MonitorOptions> = {}): LinuxMonitor {
  const roots = { procRoot: join(root, 'proc'), sysRoot: join(root, 'sys') };
  return new LinuxMonitor({ pids: () => new Map(), ...roots, ...options });
}

/** What `smaps_rollup` says of so many kB. */
export function rollup(kilobytes: number): string {
  return `5500-7ffd [rollup]\nRss:  ${kilobytes + 9} kB\nPss:  ${kilobytes} kB\nPss_Dirty: 1 kB\n`;
}
