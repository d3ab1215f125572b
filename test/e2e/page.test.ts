/** The page in a real Chromium, over a fake service, which can be in any state. */
import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { HttpServer } from '../../agent/http/server.ts';
import type { DecisionTold } from '../../agent/service.ts';
import { expertView, FakeService, refusal, said } from '../fakes/service.ts';
import { LOCAL } from '../http/harness.ts';
import { browser, closeChromium, openChromium } from './chromium.ts';
import { violations, visit, widthBeyond } from './visit.ts';

const MB = 1_048_576;
const EVIL = '<img src=x onerror=alert(1)><script>alert(2)</script>';
/** Any address that holds the word is a fault of the visit. */
const TOKEN = 'a-token-of-enough-characters';
const PHONE = { width: 360, height: 740 };

const why = await openChromium();
after(closeChromium);

const told = (id: number, change: Partial<DecisionTold> = {}): DecisionTold => ({
  id,
  atMs: Date.now(),
  event: 'loaded',
  reasons: [`reason of ${id}`],
  choice: null,
  steps: [],
  ...change,
});

let service: FakeService;
let server: HttpServer;
let url: string;

/** Every state that an expert can be in. */
function everyState(): void {
  const error = {
    code: 'quarantined',
    message: 'it crashed 3 times within 10 minutes',
    hint: 'Look at the log, then clear it.',
    retryable: false,
  };
  service.expertList = [
    expertView('accents-fr', 'text-generation', {
      state: 'fetching',
      progress: 0.43,
      cell: null,
      memory: null,
      summary: null,
    }),
    expertView('code-lang', 'text-classification', { state: 'quarantined', cell: null, error }),
    expertView('embedder', 'feature-extraction', { lane: 'fast', uses: 42, lastUsedMs: Date.now() }),
    expertView('lang-id', 'text-classification', { state: 'absent', cell: null }),
    expertView('medical', 'retrieval', { pinned: true, leases: 1, summary: `A glossary ${EVIL}` }),
    expertView('writer', 'text-generation', { state: 'loading', cell: 'heavy-2' }),
  ];
  const sizes = { measuredBytes: null, fileBytes: null, expectedBytes: 40 * MB };
  const cells = [
    {
      id: 'fast-1',
      lane: 'fast',
      pid: 4242,
      bytes: 74 * MB,
      ...sizes,
      experts: ['embedder', 'medical'],
      leases: 1,
    },
    { id: 'heavy-2', lane: 'heavy', pid: null, bytes: 44 * MB, ...sizes, experts: ['writer'], leases: 0 },
  ];
  const pressure = { level: 'high', why: 'memory is short' } as const;
  service.stateView = { ...service.stateView, cells, pressure, admission: 'closed' };
  service.healthView = { ...service.healthView, problems: [error] };
}

async function startServer(options: Partial<typeof LOCAL> = {}): Promise<void> {
  server = new HttpServer(service, { ...LOCAL, ...options }, { error() {} });
  url = await server.start();
}

describe('the page', { skip: why ?? false }, () => {
  beforeEach(async () => {
    service = new FakeService();
    await startServer();
  });
  afterEach(async () => {
    await Promise.all(
      browser()
        .contexts()
        .map((context) => context.close()),
    );
    await server.stop(500);
  });

  test('shows memory, device, experts and decisions, and asks nobody else', async () => {
    everyState();
    const { page, faults } = await visit(url);
    await page
      .getByText('180.0 MB of 300.0 MB charged (60 %). Measured: 171.0 MB. Free: 120.0 MB.')
      .waitFor();
    const bar = await page.getByRole('img').getAttribute('aria-label');
    assert.match(
      bar ?? '',
      /agent: 62\.0 MB.*fast-1: 74\.0 MB, embedder 20\.0 MB, medical 20\.0 MB, process 34\.0 MB/,
    );
    assert.match(bar ?? '', /loading: 24\.0 MB, writer in heavy-2/);
    await page.getByText('high: memory is short').waitFor();
    const row = (name: RegExp) => page.getByRole('row', { name });
    assert.match((await row(/^accents-fr/).textContent()) ?? '', /fetching, 43 %/);
    assert.match(
      (await row(/^code-lang/).textContent()) ?? '',
      /crashed 3 times.*then clear it\..*quarantined.*Clear/,
    );
    await page.getByRole('link', { name: 'Decision 43' }).waitFor();
    await page.getByText('no expert was confident').waitFor();
    assert.deepEqual(faults, []);
  });

  test('follows what happens, says so politely, and stands still while it is paused', async () => {
    const { page, faults } = await visit(url);
    await page.getByText('Live').waitFor();
    await page.getByRole('link', { name: 'Decision 44' }).waitFor();
    const choice = {
      request: 'r',
      expert: 'medical',
      confidence: 0.9,
      candidates: [],
      router: 'rules',
      language: null,
      predictedLoadMs: 0,
      residency: 'resident' as const,
    };
    service.tell(told(45, { choice }));
    service.tell(told(46, { choice }));
    await page.getByText('reason of 46').waitFor();
    const announcer = page.locator('#announcer');
    assert.equal(await announcer.textContent(), '', 'not at once');
    await page.getByText('2 new decisions. The last: medical, 90 %.').waitFor();
    await page.getByRole('button', { name: 'Pause updates' }).click();
    service.stateView = { ...service.stateView, committedBytes: 200 * MB };
    service.tell(told(47));
    await page.waitForTimeout(300);
    assert.equal(await page.getByText('reason of 47').count(), 0);
    assert.equal(await page.getByText('200.0 MB of 300.0 MB').count(), 0);
    await page.getByRole('button', { name: 'Pause updates', pressed: true }).click();
    await page.getByText('reason of 47').waitFor();
    await page.getByText('200.0 MB of 300.0 MB').waitFor();
    assert.deepEqual(faults, []);
  });

  test('shows whatever it is sent as text', async () => {
    everyState();
    service.answerOf = () => said(`answer ${EVIL}`);
    service.healthView = {
      ...service.healthView,
      problems: [{ code: 'x', message: `problem ${EVIL}`, hint: EVIL, retryable: false }],
    };
    const { page, faults } = await visit(url);
    service.tell(told(45, { reasons: [`reason ${EVIL}`] }));
    await page.getByText(`reason ${EVIL}`).waitFor();
    await page.getByText(`problem ${EVIL}`).first().waitFor();
    await page.getByText(`A glossary ${EVIL}`).waitFor();
    await page.getByLabel('Question').fill(`${EVIL} fever`);
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.getByText(`answer ${EVIL}`).waitFor();
    assert.equal(await page.locator('img, main script').count(), 0);
    assert.deepEqual(faults, []);
  });

  test('asks: streamed or whole, of whom one likes, and says who answered', async () => {
    const { page, faults } = await visit(url);
    await page.getByLabel('Question').fill('write');
    await page.getByLabel('Question').press('Control+Enter');
    await page.getByText('writer, chosen with 87 %, was absent in 2.0 ms.').waitFor();
    assert.equal(await page.locator('#answer-text').textContent(), 'Hello you');
    await page.getByLabel('as it is written').uncheck();
    await page.getByLabel('Expert', { exact: true }).selectOption('medical');
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.getByText('A heart rate above 100 beats per minute.').waitFor();
    assert.equal(service.asked.at(-1)?.model, 'medical');
    assert.equal(await page.locator('#answer-sources').isVisible(), false);
    service.notes = {
      degraded: 'base-loading',
      sources: [{ title: 'fever', text: 'Above 38 °C.', source: EVIL, score: 0.9 }],
    };
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.getByText('Its language model is still being loaded').waitFor();
    const sources = page.getByRole('list', { name: 'Sources' });
    assert.equal(await sources.getByRole('listitem').textContent(), `fever (${EVIL})`);
    await page.getByLabel('Expert', { exact: true }).selectOption('auto');
    service.failures.push(refusal('pressure'));
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.getByText('Refused with pressure. Do something else.').waitFor();
    await page
      .getByRole('link', { name: /Why: decision|Decision 42/ })
      .first()
      .click();
    await page.getByRole('heading', { name: 'Considered' }).waitFor();
    assert.deepEqual(faults, []);
  });

  test('an answer that is being written can be stopped', async () => {
    const { page } = await visit(url);
    const stopped = Promise.withResolvers<void>();
    service.betweenPieces = (_index, signal) => {
      signal.addEventListener('abort', () => stopped.resolve());
      return stopped.promise;
    };
    await page.getByLabel('Question').fill('write');
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.getByText('Hel', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    // The page knows first; the agent hears of it when the connection is closed.
    await stopped.promise;
  });

  test('works with the keyboard alone', async () => {
    const { page, faults } = await visit(url);
    await page.getByText('Live').waitFor();
    const link = page.getByRole('link', { name: 'Decision 43' });
    await link.waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate('document.activeElement.id'), 'main');
    await link.focus();
    assert.notEqual(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'none');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Decision 43' }).waitFor();
    await page.getByRole('heading', { name: 'Outcome' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Decision 43');
    // The dialog is gone before its address is.
    await page.waitForFunction('location.hash === ""');
    assert.deepEqual(faults, []);
  });

  test('its buttons command the agent, and keep the focus through what follows', async () => {
    const { page, faults } = await visit(url);
    const button = page.getByRole('button', { name: 'Unload medical' });
    await button.focus();
    await page.keyboard.press('Enter');
    await page.getByText('unload medical: done').waitFor();
    service.expertList = service.expertList.map((one) =>
      one.id === 'medical' ? { ...one, state: 'absent', cell: null } : one,
    );
    service.tell(told(45));
    await page.getByRole('button', { name: 'Load medical', exact: true }).waitFor();
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Load medical');
    await page.getByRole('button', { name: 'Unpin medical' }).click();
    await page.getByText('unpin medical: done').waitFor();
    assert.deepEqual(service.commands, ['unload medical', 'unpin medical']);
    assert.deepEqual(faults, []);
  });

  test('asks for the token, keeps it out of addresses, and takes no for an answer', async () => {
    await server.stop(500);
    await startServer({ token: TOKEN });
    const { page, faults } = await visit(url);
    await page.getByText('A bearer token is needed.').waitFor();
    await page.getByLabel('Token', { exact: true }).fill('wrong-token-of-some-length');
    await page.keyboard.press('Enter');
    await page.getByText('The bearer token is wrong.').waitFor();
    await page.getByLabel('Token', { exact: true }).fill(TOKEN);
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.getByText('Live').waitFor();
    await page.getByRole('link', { name: 'Decision 44' }).waitFor();
    await page.reload();
    await page.getByText('Live').waitFor();
    assert.equal(await page.getByLabel('Token', { exact: true }).isVisible(), false);
    assert.deepEqual(faults, []);
  });

  test('comes back when the agent does', async () => {
    const { page } = await visit(url);
    await page.getByText('Live').waitFor();
    const port = Number(new URL(url).port);
    await server.stop(500);
    await page.getByText('Trying again.').waitFor();
    service.healthView = { ...service.healthView, version: '0.0.2' };
    await startServer({ port });
    await page.getByText('Live').waitFor();
    await page.getByText(/^0\.0\.2, ready/).waitFor();
  });

  test('lets go of the agent while nobody looks, and of a connection that fell silent', async () => {
    const context = await browser().newContext();
    const page = await context.newPage();
    await page.clock.install();
    await page.goto(url);
    await page.getByText('Live').waitFor();
    const look = (hidden: boolean) =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));`);
    await look(true);
    await page.clock.runFor(20_000);
    assert.equal(service.subscribers, 1, 'a short look elsewhere costs nothing');
    await page.clock.runFor(11_000);
    await page.getByText('Nobody looks.').waitFor();
    for (const endMs = Date.now() + 5_000; service.subscribers > 0; await page.waitForTimeout(10))
      assert.ok(Date.now() < endMs, 'the agent is still listened to');
    await look(false);
    await page.getByText('Live').waitFor();
    assert.equal(service.subscribers, 1);
    const again = page.waitForRequest(/\/events$/);
    let connections = 0;
    page.on('request', () => connections++);
    await page.clock.runFor(38_000);
    assert.equal(connections, 0);
    await page.clock.runFor(5_000);
    await again;
    await page.getByText('Live').waitFor();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const viewport of [{ width: 1280, height: 900 }, PHONE]) {
      test(`breaks no accessibility rule and fits, ${colorScheme}, ${viewport.width} wide`, async () => {
        everyState();
        // What the checker injects would be refused otherwise.
        const { page } = await visit(url, { colorScheme, viewport, bypassCSP: true });
        await page.getByRole('link', { name: 'Decision 42' }).waitFor();
        await page.getByLabel('Question').fill('what is tachycardia?');
        await page.getByRole('button', { name: 'Ask' }).click();
        await page.getByRole('link', { name: /^Why: decision/ }).waitFor();
        assert.deepEqual(await violations(page), []);
        assert.equal(await widthBeyond(page), 0);
        await page.getByRole('link', { name: 'Decision 42' }).last().click();
        await page.getByRole('heading', { name: 'Outcome' }).waitFor();
        assert.deepEqual(await violations(page), []);
        assert.equal(await widthBeyond(page), 0);
      });
    }
  }

  test('moves nothing for those who want no motion', async () => {
    const { page } = await visit(url, { reducedMotion: 'reduce' });
    await page.locator('.part').first().waitFor();
    const duration = await page.evaluate(
      "getComputedStyle(document.querySelector('.part')).transitionDuration",
    );
    assert.equal(duration, '0s');
  });
});
