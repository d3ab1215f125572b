/** The dashboard asks for nothing that `/metrics` does not give. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { harness, user } from './harness.ts';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}
interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const path = new URL('../../agent/http/grafana.json', import.meta.url);
const { panels, templating } = JSON.parse(readFileSync(path, 'utf8')) as Dashboard;
const queries = panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));
const root = mkdtempSync(join(tmpdir(), 'expertd-grafana-'));
after(() => rmSync(root, { recursive: true }));

/** Names and types of all metrics, and the labels that were seen; Prometheus adds `instance` and `job` itself. */
async function metrics() {
  const { get, post } = harness();
  for (const content of ['what is tachycardia?', 'write a poem']) {
    await post('/v1/chat/completions', { model: 'auto', messages: user(content) });
  }
  await get('/metrics');
  const { body } = await get('/metrics');
  const types = new Map(
    [...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]),
  );
  const labels = new Set([
    'instance',
    'job',
    ...[...body.matchAll(/[{,](\w+)="/g)].map(([, label = '']) => label),
  ]);
  return { types, labels };
}

test('every query names metrics that exist, with labels that exist', async () => {
  const { types, labels } = await metrics();
  assert.ok(types.size > 30 && queries.length > 30);
  const asked = [
    ...queries,
    ...templating.list.map(({ name, definition = '' }) => ({ title: name, expr: definition })),
  ];
  for (const { title, expr } of asked) {
    const names = [...expr.matchAll(/\b(?:expertd|gen_ai_server|process)_\w+/g)].map(([name]) => name);
    assert.ok(names.length > 0 || title === 'datasource', `${title}: ${expr}`);
    for (const name of names) {
      const base = name.replace(/_(bucket|count|sum)$/, '');
      const type = types.get(name) ?? (types.get(base) === 'histogram' ? 'histogram' : undefined);
      assert.ok(type !== undefined, `${title}: ${name} is no metric`);
      const counts = /_(total|bucket|count)$/.test(name);
      const rated = new RegExp(`(rate|increase)\\(${name}\\b`).test(expr);
      assert.equal(
        rated,
        counts && type !== 'gauge',
        `${title}: a counter is rated, a gauge is not: ${expr}`,
      );
    }
    const used = [
      ...[...expr.matchAll(/[{,](\w+)=/g)].map(([, label = '']) => label),
      ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, ?/)),
    ];
    for (const label of used) assert.ok(labels.has(label), `${title}: no metric has the label ${label}`);
  }
});

test('legends show labels that are left after the sums', () => {
  for (const { title, expr, legendFormat } of queries) {
    const [, kept] = /sum by \(([^)]*)\)/.exec(expr) ?? [];
    if (kept === undefined) continue;
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      assert.ok(kept.split(/, ?/).includes(label), `${title}: ${label}`);
    }
  }
});

test('panels have ids of their own and do not overlap', () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Set<string>();
  for (const { title, gridPos } of panels) {
    const { x, y, w, h } = gridPos;
    assert.ok(x + w <= 24, title);
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        assert.ok(!taken.has(`${column} ${line}`), `${title} lies over another panel`);
        taken.add(`${column} ${line}`);
      }
    }
  }
});

test('promtool can parse every query', (context) => {
  if (spawnSync('promtool', ['--version']).error !== undefined) {
    context.skip('promtool is not installed (Debian package prometheus)');
    return;
  }
  const rules = queries.map(({ expr }, at) => {
    const filled = expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*');
    return `      - record: query:${at}\n        expr: ${JSON.stringify(filled)}\n`;
  });
  const file = join(root, 'rules.yml');
  writeFileSync(file, `groups:\n  - name: dashboard\n    rules:\n${rules.join('')}`);
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
});
