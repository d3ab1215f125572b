/** How a device stands with its fleet, put together of what its parts tell of themselves. */
import type { HomeAssistant } from '../fleet/device/home-assistant.ts';
import type { Orders } from '../fleet/device/orders.ts';
import type { Twin } from '../fleet/device/twin.ts';
import type { Drain } from '../fleet/records/drain.ts';
import type { Session } from '../fleet/session/session.ts';
import type { FleetView } from '../service.ts';

export interface FleetParts {
  readonly device: string;
  readonly session: Pick<Session, 'health'>;
  readonly drain: Pick<Drain, 'health'>;
  readonly twin: Pick<Twin, 'standing' | 'refused'>;
  readonly orders: Pick<Orders, 'refused'>;
  readonly home: Pick<HomeAssistant, 'refused'>;
}

export function fleetView({ device, session, drain, twin, orders, home }: FleetParts): FleetView {
  const { state, broker, reason, skipped } = session.health();
  const { state: delivery, waiting, refused } = drain.health();
  const tooLarge: Readonly<Record<string, number>> = skipped === 0 ? {} : { too_large: skipped };
  return {
    device,
    broker,
    isUp: state === 'up',
    reason,
    delivery,
    recordsWaiting: waiting,
    ...twin.standing(),
    refused: summed([tooLarge, refused, twin.refused(), orders.refused(), home.refused()]),
  };
}

function summed(counts: readonly Readonly<Record<string, number>>[]): FleetView['refused'] {
  const sums = new Map<string, number>();
  for (const [reason, count] of counts.flatMap((one) => Object.entries(one)))
    sums.set(reason, (sums.get(reason) ?? 0) + count);
  return Object.fromEntries(sums);
}
