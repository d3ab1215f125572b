/** Short forms for scenario tests: a world that starts with its experts, and decisions as short sentences. */
import type { Device } from '../../agent/device.ts';
import type { Event } from '../../agent/events.ts';
import type { PolicyNames, Settings } from '../../agent/tuning.ts';
import type { Decision, Expert, Sample, Step } from '../../agent/types.ts';
import { MB, settings } from './made.ts';
import type { TrueSize } from './true-memory.ts';
import { World } from './world.ts';

export interface Setting {
  readonly experts: readonly Expert[];
  readonly settings?: Partial<Settings>;
  readonly policies?: PolicyNames;
  /** Experts that really take other bytes than they claim. */
  readonly trueMb?: Readonly<Record<string, number>>;
}

/** A world in which the agent takes 60 MB and a bare cell 38 MB, and every expert what it claims unless said. */
export function worldOf({ experts, settings: change = {}, policies, trueMb = {} }: Setting): World {
  const sizes = new Map<string, TrueSize>();
  for (const { id, memory } of experts) {
    sizes.set(id, memory);
  }
  for (const [id, mb] of Object.entries(trueMb))
    sizes.set(id, { residentBytes: mb * MB, loadBytes: mb * MB });
  const world = new World(settings({ cellBaseBytes: 38 * MB, ...change }), sizes, policies);
  for (const expert of experts) world.happen({ type: 'installed', expert });
  return world;
}

/** Asks for an expert, lets it load and answer: it is resident and unleased afterwards. */
export function use(world: World, expert: string): void {
  const request = `use-${expert}-${world.log.length}`;
  world.ask(request, { model: expert });
  if (world.underWay.includes(`load ${expert}`)) world.finish(`load ${expert}`);
  world.finish(`grant ${request}`);
}

/** A look at the device: its heat and power, and how much memory is available. */
export function lookAt(world: World, device: Device, availableBytes = 800 * MB): Decision {
  world.device = device;
  return world.sample(availableBytes, 0);
}

/** The steps of a decision, in short sentences. */
export function said({ steps }: Decision): string[] {
  return steps.map(sayStep);
}

export function sayStep(step: Step): string {
  switch (step.type) {
    case 'load':
      return `load ${step.expert} in ${step.fresh ? 'the new ' : ''}${step.cell}`;
    case 'unload':
      return `unload ${step.expert} from ${step.cell}`;
    case 'grant':
      return `${step.purpose === 'retrieve' ? 'find sources for' : 'grant'} ${step.request}: ${step.expert} in ${step.cell}`;
    case 'test':
      return `test ${step.expert} in ${step.cell}`;
    case 'rollout':
      return `${step.phase} ${step.candidate}`;
    case 'ready':
      return `ready ${step.request}: ${step.expert}`;
    case 'fallback':
      return `fall back ${step.request}: ${step.degraded}`;
    case 'park':
      return `park ${step.expert} in ${step.cell}`;
    case 'chill':
      return `chill ${step.expert} in ${step.cell}`;
    case 'warm':
      return `warm ${step.expert} in ${step.cell}`;
    case 'trim':
      return `trim ${step.expert} in ${step.cell}`;
    case 'embed':
      return `embed ${step.request} with ${step.expert} in ${step.cell}`;
    case 'learn':
      return `learn ${step.subject} with ${step.expert} in ${step.cell}`;
    case 'reject':
      return `refuse ${step.request}: ${step.failure.code}`;
    case 'abstain':
      return `abstain ${step.request}`;
    case 'route':
      return `route ${step.request}`;
    case 'cancel':
      return `cancel lease ${step.lease} in ${step.cell}`;
    case 'stop':
      return `${step.kill ? 'kill' : 'stop'} ${step.cell}`;
  }
}

function sayLook({ availableBytes, device }: Sample): string {
  const free = availableBytes === null ? 'no data' : `${Math.round(availableBytes / MB)} MB available`;
  const heat = device?.thermal == null ? '' : `, ${device.thermal.celsius} C`;
  const held = device?.throttle?.now.length ? `, ${device.throttle.now.join(', ')}` : '';
  return `sample: ${free}${heat}${held}`;
}

/** What happened, in a few words. */
export function sayEvent(event: Event): string {
  switch (event.type) {
    case 'request':
      return `request ${event.request} for ${event.model ?? 'auto'}`;
    case 'features':
      return `features of ${event.request}: ${event.embedding === null ? 'words alone' : 'an embedding'}`;
    case 'released':
      return `lease ${event.lease} ended ${event.outcome.ok ? 'well' : 'badly'}`;
    case 'hungUp':
      return `the client of ${event.request} hung up`;
    case 'loaded':
      return `${event.expert} was loaded in ${event.cell}`;
    case 'loadFailed':
      return `the load of ${event.expert} in ${event.cell} failed: ${event.error.message}`;
    case 'unloaded':
      return `${event.expert} was unloaded from ${event.cell}`;
    case 'cellExited':
      return `${event.cell} ended: ${event.cause}`;
    case 'installed':
      return `${event.expert.id} ${event.expert.version} installed`;
    case 'removed':
      return `${event.expert} removed`;
    case 'staged':
      return `${event.expert.id} staged`;
    case 'tested':
      return `${event.expert} tested: ${event.error === null ? 'well' : event.error.message}`;
    case 'learned':
      return `examples of ${event.expert} learned`;
    case 'command':
      return `${event.command} ${event.expert} by hand`;
    case 'sample':
      return sayLook(event.sample);
    default:
      return event.type;
  }
}
