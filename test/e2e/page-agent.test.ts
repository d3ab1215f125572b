/** The page in a real Chromium, as a real agent serves it: out of the bundle. */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { closeChromium, openChromium } from './chromium.ts';
import { RunningAgent } from './running-agent.ts';
import { visit } from './visit.ts';

const EVIL = '<img src=x onerror=alert(1)><script>alert(2)</script>';

const why = await openChromium();
after(closeChromium);

/** Asks, and resolves with the answer and who gave it. */
async function ask(page: Page, question: string): Promise<string> {
  await page.getByLabel('Question').fill(question);
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.locator('#answer[aria-busy=false]').waitFor();
  return (await page.locator('#answer').textContent()) ?? '';
}

describe('the page of a real agent', { skip: why ?? false }, () => {
  let agent: RunningAgent;
  before(async () => {
    agent = await RunningAgent.start();
  });
  after(() => agent?.stop());

  test('answers a question, explains it, and shows the expert in memory', async (t: TestContext) => {
    const { page, faults } = await visit(agent.url);
    await page.getByText('Live').waitFor();
    // What came is in the message of a failure: a refusal says why.
    assert.match(await ask(page, 'what is tachycardia?'), /tachycardia.*WordNet.*medical, chosen with/is);
    await page.getByRole('button', { name: 'Unload medical' }).waitFor();
    await page.getByRole('link', { name: /^Why: decision/ }).click();
    await page.getByText('medical (chosen)').waitFor();
    await page.getByRole('heading', { name: 'What happened' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByLabel('Expert', { exact: true }).selectOption('lang-id');
    assert.match(await ask(page, `${EVIL} bonjour à tous`), /lang-id.*Why: decision/s);
    assert.equal(await page.locator('img').count(), 0);
    assert.deepEqual(faults, []);
    t.diagnostic((await page.locator('#memory-text').textContent()) ?? '');
  });
});
