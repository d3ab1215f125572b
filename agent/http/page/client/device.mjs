/** The device and how the agent fares on it: pressure, heat, what waits, the log. What is not known is not shown. */
import { fill, find, make } from './dom.mjs';
import { bytes, percent } from './numbers.mjs';

/** @typedef {import('../../tellings.ts').ToldState} State */
/** @typedef {import('../../../device.ts').Device} Device */
/** @typedef {readonly [term: string, text: string, kind?: 'good' | 'bad']} Fact */

const list = find('device', HTMLElement);
let shown = '';

/** @param {State} state */
export function showDevice(state) {
  const facts = [...deviceFacts(state), ...agentFacts(state)];
  const now = JSON.stringify(facts);
  if (now === shown) return;
  shown = now;
  fill(
    list,
    ...facts.flatMap(([term, text, kind]) => [
      make('dt', {}, term),
      make('dd', kind === undefined ? {} : { 'data-kind': kind }, text),
    ]),
  );
}

/**
 * @param {State} state
 * @returns {Fact[]}
 */
function deviceFacts({ pressure, admission, availableBytes, device, loadCost }) {
  const high = pressure.level === 'high';
  /** @type {Fact[]} */
  const facts = [['Pressure', `${pressure.level}: ${pressure.why}`, high ? 'bad' : 'good']];
  if (admission === 'closed') facts.push(['Loads', 'none now: there is no room', 'bad']);
  if (availableBytes !== null) facts.push(['Available memory', bytes(availableBytes)]);
  if (device) facts.push(...heatFacts(device), ...powerFacts(device));
  if (loadCost && loadCost.why !== null && loadCost.factor > 1)
    facts.push(['Cost of a load', `${loadCost.factor.toFixed(1)} times as much: ${loadCost.why}`, 'bad']);
  return facts;
}

/**
 * @param {Device} device
 * @returns {Fact[]}
 */
function heatFacts({ thermal, throttle, frequency, cpuBusyShare }) {
  /** @type {Fact[]} */
  const facts = [];
  if (thermal !== null) {
    const { celsius, slowCelsius, zone } = thermal;
    const text = `${celsius.toFixed(1)} °C at ${zone}; slows down at ${slowCelsius} °C`;
    facts.push(['Temperature', text, celsius >= slowCelsius ? 'bad' : 'good']);
  }
  if (throttle !== null && throttle.seen.length > 0) {
    const now = throttle.now.length > 0;
    facts.push([
      'Held back',
      now ? throttle.now.join(', ') : `not now; seen: ${throttle.seen.join(', ')}`,
      now ? 'bad' : 'good',
    ]);
  }
  if (frequency !== null && frequency.allowedShare < 1)
    facts.push(['Frequency', `at most ${percent(frequency.allowedShare)} of what it could be`]);
  if (cpuBusyShare !== null) facts.push(['CPU busy', percent(cpuBusyShare)]);
  return facts;
}

/**
 * @param {Device} device
 * @returns {Fact[]}
 */
function powerFacts({ watts, battery, swap, zram, cgroup }) {
  /** @type {Fact[]} */
  const facts = [];
  if (watts !== null) facts.push(['Power', `${watts.toFixed(1)} W`]);
  if (battery !== null)
    facts.push([
      'Battery',
      `${percent(battery.share)}${battery.discharging === true ? ', discharging' : ''}`,
    ]);
  if (swap !== null && swap.totalBytes > 0)
    facts.push(['Swap', `${bytes(swap.totalBytes - swap.freeBytes)} of ${bytes(swap.totalBytes)} used`]);
  if (zram !== null && zram.storedBytes > 0)
    facts.push(['zram', `${bytes(zram.storedBytes)} stored in ${bytes(zram.usedBytes)}`]);
  if (cgroup !== null && cgroup.limitBytes !== null)
    facts.push(['Control group', `${bytes(cgroup.currentBytes)} of ${bytes(cgroup.limitBytes)}`]);
  return facts;
}

/**
 * @param {State} state
 * @returns {Fact[]}
 */
function agentFacts({ running, waiting, counts, policies, log }) {
  const degraded = log.state === 'degraded';
  const written = `${log.lastSequence} entries`;
  const lost = `degraded: ${log.reason ?? 'no reason given'}; ${log.dropped} entries lost`;
  return [
    ['Requests', `${running} running, ${waiting} waiting`],
    ...(counts === undefined
      ? []
      : [
          /** @type {const} */ ([
            'Since the start',
            `${counts.loads} loads, ${counts.evictions} evictions, ${counts.loadFailures} failed loads, ${counts.cellExits} cells ended`,
          ]),
        ]),
    ['Policies', `router ${policies.router.join(', ')}; residency ${policies.residency}`],
    ['Decision log', degraded ? lost : written, degraded ? 'bad' : 'good'],
  ];
}
