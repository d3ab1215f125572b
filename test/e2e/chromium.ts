/** A real Chromium for tests of the page, driven by playwright-core, one in each process. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Browser } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

let opened: Browser | null = null;

/** Opens one; resolves with null, or with a sentence for `skip` that says why there is none. */
export async function openChromium(): Promise<string | null> {
  const executablePath = findProgram(NAMES);
  if (executablePath === null) return 'chromium is not installed (Debian package chromium)';
  const { chromium } = await import('playwright-core');
  // Chromium's own sandbox refuses to run as root, as CI does.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  opened = await chromium.launch({ executablePath, args: [...args, '--disable-dev-shm-usage'] });
  return null;
}

export function browser(): Browser {
  if (opened === null) throw new Error('no browser was opened');
  return opened;
}

export async function closeChromium(): Promise<void> {
  await opened?.close();
}

function findProgram(names: readonly string[]): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  for (const path of names.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return null;
}
