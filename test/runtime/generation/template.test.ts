/** Templates come with models from elsewhere: what they may do, and where they are stopped. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ChatMessage } from '../../../agent/ports.ts';
import { ChatTemplate } from '../../../agent/runtime/generation/template.ts';
import { tinyPackage } from './asking.ts';

const HELLO: readonly ChatMessage[] = [{ role: 'user', content: 'Hello' }];

function templateOf(t: TestContext, source: string, timeoutMs?: number): ChatTemplate {
  return new ChatTemplate(tinyPackage(t).manifest, source, { bos_token: '<s>' }, timeoutMs);
}

/** Does what it should not only where there are two messages, so that it passes the probe. */
function later(source: string): string {
  return `{% if messages|length > 1 %}${source}{% endif %}x`;
}

const EXCESSES: readonly (readonly [what: string, source: string, reason: RegExp])[] = [
  [
    'loops for ever',
    '{% for i in range(50000) %}{% for j in range(100) %}x{% endfor %}{% endfor %}',
    /does not end/,
  ],
  ['counts to a billion', '{% for i in range(10**9) %}x{% endfor %}', /counts without end/],
  ['counts with steps of zero', '{{ range(1, 2, 0) }}', /counts without end/],
  ['counts under another name', '{% set count = range %}{{ count(10**9)|length }}', /counts without end/],
  [
    'doubles a text',
    "{% set ns = namespace(s='0123456789') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    /text without end/,
  ],
  [
    'doubles a list',
    '{% set ns = namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}',
    /list without end/,
  ],
];

for (const [what, source, reason] of EXCESSES) {
  test(`a template that ${what} is stopped`, (t) => {
    assert.throws(() => templateOf(t, source), { code: 'bad_expert', message: reason });
    const template = templateOf(t, later(source));
    assert.throws(() => template.render([...HELLO, ...HELLO]), { code: 'bad_expert', message: reason });
    assert.equal(template.render(HELLO), 'x');
  });
}

test('a template that keeps one function of the library busy is stopped when its time is up', (t) => {
  // Each level holds the one before twice: 2^28 numbers to write out, in a handful of steps.
  const source = `{% set ns = namespace(a=[1]) %}{% for i in range(28) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a|tojson }}`;
  const template = templateOf(t, later(source), 50);
  assert.throws(() => template.render([...HELLO, ...HELLO]), {
    code: 'bad_expert',
    message: /longer than 50 ms/,
  });
  assert.equal(template.render(HELLO), 'x');
});

test('a template reaches nothing but its variables', (t) => {
  for (const name of [
    'messages.constructor',
    "messages['constructor']",
    'messages[0].constructor',
    'messages[0].__proto__',
    'messages[0].content.constructor',
    'range.constructor',
    "range['constructor']",
    'raise_exception.prototype',
    'process',
    'globalThis',
    'require',
    'self',
    'work',
    'namespace().constructor',
  ]) {
    assert.equal(templateOf(t, `{{ (${name}) is defined }}`).render(HELLO), 'false', name);
  }
});

test('a template cannot read files', (t) => {
  for (const source of [
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}",
    "{% extends 'base' %}",
    "{% from 'x' import y %}",
  ]) {
    assert.throws(() => templateOf(t, source), { code: 'bad_expert', message: /chat template/ }, source);
  }
});

test('a template that cannot write one question is refused at once', (t) => {
  for (const source of ['{% for message in %}', "{{ raise_exception('never') }}", '{{ messages.foo() }}']) {
    assert.throws(() => templateOf(t, source), { code: 'bad_expert' }, source);
  }
});

test('what templates of the hub count on is there', (t) => {
  const render = (source: string) => templateOf(t, source).render(HELLO);
  assert.equal(render("{{ bos_token }}{{ messages[0]['content'] }}"), '<s>Hello');
  assert.equal(render('{% if tools is not none %}tools{% else %}none{% endif %}'), 'none');
  assert.equal(render('{% if add_generation_prompt and True and not False %}yes{% endif %}'), 'yes');
  assert.equal(render('{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}{{ range(2)|length }}'), '3212');
  const today = render("{{ strftime_now('%d %b %Y|%B|%A %H:%M:%S %I %p %y %m %%') }}");
  assert.match(
    today,
    /^\d\d [A-Z][a-z]{2} \d{4}\|[A-Z][a-z]+\|[A-Z][a-z]+day \d\d:\d\d:\d\d \d\d [AP]M \d\d \d\d %$/,
  );
  const year = String(new Date().getFullYear());
  assert.ok(today.includes(year), today);
});

test('messages that a template refuses are the fault of whoever sent them', (t) => {
  const template = templateOf(t, later("{{ raise_exception('one only') }}"));
  assert.throws(() => template.render([...HELLO, ...HELLO]), { code: 'bad_input', message: /one only/ });
});
