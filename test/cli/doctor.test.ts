/** The doctor's judgement of devices, and the command with and without an agent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentFindings } from '../../agent/cli/doctor.ts';
import { deviceFindings, type Finding } from '../../agent/cli/findings.ts';
import type { Cgroup, Device, Survey } from '../../agent/device.ts';
import { expertView, FakeService } from '../fakes/service.ts';
import { coolDevice, healthySurvey } from '../fakes/survey.ts';

const MB = 1_048_576;

function findingOf(check: string, survey: Survey): Finding {
  const found = deviceFindings(survey).find((finding) => finding.check === check);
  assert.ok(found !== undefined, `there is no check "${check}"`);
  return found;
}

function device(change: Partial<Device>): Survey {
  return healthySurvey({ device: coolDevice(change) });
}

function group(change: Partial<Cgroup>): Survey {
  const { cgroup } = coolDevice();
  assert.ok(cgroup !== null);
  return device({ cgroup: { ...cgroup, ...change } });
}

const at = (celsius: number): Survey =>
  device({ thermal: { zone: 'cpu-thermal', celsius, slowCelsius: 80 } });
const speed = (mb: number): Survey => device({ storageBytesPerSecond: mb * MB });
const disk = (change: Partial<Survey['stateDisk']>): Survey =>
  healthySurvey({ stateDisk: { ...healthySurvey().stateDisk, ...change } });
const clock = (nowMs: number, synchronised: boolean | null): Survey =>
  healthySurvey({ clock: { nowMs, synchronised } });

test('a healthy device has a finding for each check, and all are ok', () => {
  const findings = deviceFindings(healthySurvey());
  assert.equal(findings.length, 16);
  for (const finding of findings)
    assert.deepEqual([finding.status, finding.fix], ['ok', null], finding.check);
});

/** A spoilt survey, the check that must notice, its verdict, and words of what it says or advises. */
const ILLS: readonly (readonly [Survey, string, Finding['status'], RegExp])[] = [
  [healthySurvey({ psiOn: false }), 'psi', 'warning', /psi=1/],
  [healthySurvey({ alarms: [] }), 'alarms', 'no data', /at its next sample/],
  [healthySurvey({ alarms: ['PSI', 'events'] }), 'alarms', 'ok', /at once by PSI, events$/],
  [
    healthySurvey({ memoryController: false }),
    'cgroup',
    'warning',
    /usual on a Raspberry Pi.*cgroup_enable=memory/,
  ],
  [healthySurvey({ memoryController: null }), 'cgroup', 'no data', /no control groups/],
  [
    device({ swap: { totalBytes: 0, freeBytes: 0 } }),
    'swap',
    'warning',
    /neither swap nor zram.*zram-generator/,
  ],
  [device({ swap: null }), 'swap', 'no data', /does not tell/],
  [speed(6), 'storage', 'problem', /16\.7 s to read.*NVMe/],
  [speed(20), 'storage', 'warning', /5\.0 s to read/],
  [device({ storageBytesPerSecond: null }), 'storage', 'no data', /not measured/],
  [at(71), 'heat', 'warning', /prefers what is loaded.*fan/],
  [at(81), 'heat', 'problem', /81\.0 C.*take longer.*fan/],
  [device({ thermal: null }), 'heat', 'no data', /no sensor/],
  [
    device({ throttle: { now: ['under-voltage'], seen: ['under-voltage'] } }),
    'throttling',
    'problem',
    /official power supply/,
  ],
  [
    device({ throttle: { now: ['throttled'], seen: ['throttled'] } }),
    'throttling',
    'problem',
    /Cool the device/,
  ],
  [
    device({ throttle: { now: [], seen: ['frequency-capped'] } }),
    'throttling',
    'warning',
    /was held back: frequency-capped/,
  ],
  [device({ throttle: null }), 'throttling', 'no data', /only that of a Raspberry Pi/],
  [
    device({ battery: { share: 0.1, discharging: true }, onMains: false }),
    'power',
    'warning',
    /10 %.*Charge/,
  ],
  [device({ battery: null, watts: null }), 'power', 'no data', /nothing meters/],
  [clock(0, true), 'clock', 'problem', /1970-01-01.*set-ntp/],
  [clock(Date.UTC(2026, 1, 1), false), 'clock', 'warning', /not synchronised/],
  [clock(Date.UTC(2026, 1, 1), null), 'clock', 'no data', /timesyncd does not run/],
  [disk({ writeError: 'EROFS' }), 'disk', 'problem', /read-only.*dmesg/],
  [disk({ writeError: 'EACCES' }), 'disk', 'problem', /EACCES.*--state-dir/],
  [disk({ freeBytes: 30 * MB }), 'disk', 'problem', /30\.0 MB of/],
  [disk({ freeBytes: 300 * MB }), 'disk', 'warning', /Free space/],
  [disk({ freeBytes: null }), 'disk', 'no data', /free space/],
  [
    healthySurvey({ budgetBytes: 4_000 * MB }),
    'memory',
    'warning',
    /before the budget is reached.*Lower memory\.budget/,
  ],
  [healthySurvey({ availableBytes: null }), 'memory', 'no data', /how much memory/],
  [
    healthySurvey({ configProblem: { message: '"prot" is unknown', hint: 'Say "port".' } }),
    'config',
    'problem',
    /prot.*port/,
  ],
  [group({ oomKills: 2 }), 'limits', 'warning', /2 processes of this control group were killed.*MemoryMax/],
  [group({ limitBytes: null }), 'limits', 'ok', /no memory limit/],
  [device({ cgroup: null }), 'limits', 'no data', /no control group/],
  [healthySurvey({ oomKills: 1 }), 'oom', 'warning', /1 process was killed.*availableLow/],
  [healthySurvey({ oomKills: null }), 'oom', 'no data', /does not count/],
  [healthySurvey({ glibcVersion: '2.31' }), 'libc', 'problem', /2\.31; 2\.34.*bookworm/],
  [healthySurvey({ glibcVersion: null }), 'libc', 'problem', /no glibc/],
  [healthySurvey({ glibcVersion: '3.0' }), 'libc', 'ok', /3\.0/],
  [healthySurvey({ loadAverage: 9, cpus: 4 }), 'cpu', 'warning', /load 9\.0 on 4 CPUs.*top/],
  [healthySurvey({ loadAverage: null }), 'cpu', 'no data', /not known/],
  [device({ pageBytes: 4_096 }), 'pages', 'ok', /4\.0 kB$/],
  [device({ pageBytes: null }), 'pages', 'no data', /not known/],
];

for (const [survey, check, status, words] of ILLS) {
  test(`${check}: ${status} where it says ${words.source}`, () => {
    const finding = findingOf(check, survey);
    assert.equal(finding.status, status);
    assert.match(`${finding.said} ${finding.fix ?? ''}`.trim(), words);
    assert.equal(
      finding.fix !== null,
      status === 'warning' || status === 'problem',
      'what is wrong has a fix',
    );
  });
}

test('advice for a Raspberry Pi is not given to another board', () => {
  const { said } = findingOf('cgroup', healthySurvey({ memoryController: false, board: null }));
  assert.doesNotMatch(said, /Raspberry/);
});

test('an agent tells of its experts, its log and its memory', () => {
  const service = new FakeService();
  const state = { ...service.state(), health: service.health() };
  const error = {
    code: 'quarantined',
    message: 'it crashed three times',
    hint: 'Clear it.',
    retryable: false,
  };
  const broken = expertView('bad', 'retrieval', { state: 'quarantined', error });
  const statuses = (report: Parameters<typeof agentFindings>[0]) =>
    agentFindings(report).map(({ check, status }) => `${check}: ${status}`);
  assert.deepEqual(statuses({ state, experts: service.experts() }), ['agent: ok', 'log: ok']);
  const log = { ...state.log, state: 'degraded', reason: 'disk full', dropped: 7 } as const;
  const pressure = { level: 'high', why: '20 MB available' } as const;
  const ill = agentFindings({ state: { ...state, log, pressure }, experts: [broken] });
  assert.deepEqual(
    ill.map(({ check, status }) => `${check}: ${status}`),
    ['agent: warning', 'expert bad: problem', 'log: problem'],
  );
  assert.match(ill[1]?.said ?? '', /quarantined: it crashed three times/);
  assert.equal(ill[1]?.fix, 'Clear it.');
  assert.match(ill[2]?.said ?? '', /disk full; 7 entries are lost/);
  assert.deepEqual(
    statuses({ state: { ...state, health: { ...state.health, ready: false } }, experts: [] }),
    ['agent: warning', 'log: ok'],
  );
});
