/** Visits of a page, and what must not happen on one. */
import axe from 'axe-core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { browser } from './chromium.ts';

/** What happened on a page that should not have. */
export interface Visit {
  readonly page: Page;
  readonly faults: string[];
}

export async function visit(url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser().newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (message) => {
    // A refused call is noted by the browser whatever the page does about it.
    if (message.type() === 'error' && !/status of (401|503)|ERR_/.test(message.text()))
      faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) faults.push(`request to ${request.url()}`);
    if (/token/i.test(request.url())) faults.push(`a token is in ${request.url()}`);
  });
  await page.goto(url);
  return { page, faults };
}

/** Ids of the accessibility rules that the page breaks, and where. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  return page.evaluate(async (runOnly) => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run({ runOnly });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(', ')}`);
  }, tags);
}

export const widthBeyond = (page: Page) =>
  page.evaluate(
    'Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - innerWidth',
  ) as Promise<number>;
