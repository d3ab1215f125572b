/** Why there is no link, and why a message was not taken, in words that name the fix. */
import { AgentError } from '../../errors.ts';
import { saysVersion, type Version } from './negotiation.ts';

export interface Words {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export const OPERATOR = 'Ask whoever runs the broker.';
const RENAME =
  'Give one of them another fleet.device; if its card was copied, remove the file device-id there.';
export const LATER = 'It is tried again by itself.';

/** Reason codes of CONNACK and DISCONNECT (MQTT 5, 2.4), and the return codes of CONNACK in 3.1.1 (3.2.2.3). */
function wordsOf(code: number, clientId: string): Words {
  switch (code) {
    case 2:
    case 133:
      return {
        code: 'client_refused',
        message: `the broker does not take the client id "${clientId}"`,
        hint: 'Set fleet.device to a name it takes: letters, digits, "-" and "_", 23 at most.',
      };
    case 4:
    case 134:
      return {
        code: 'wrong_password',
        message: 'the broker does not take this user name and password',
        hint: 'Check fleet.user and fleet.passwordFile, or the user and password in fleet.url.',
      };
    case 5:
    case 135:
      return {
        code: 'not_authorized',
        message: 'the broker lets this client not in',
        hint: 'Check fleet.user and fleet.passwordFile, and what the broker allows this client id or certificate.',
      };
    case 138:
      return { code: 'banned', message: 'the broker has banned this client', hint: OPERATOR };
    case 142:
      return {
        code: 'taken_over',
        message: `another client has connected as "${clientId}"`,
        hint: `Two devices have one name. ${RENAME}`,
      };
    case 149:
      return { code: 'packet_too_large', message: 'the broker takes no packet of that size', hint: OPERATOR };
    case 141:
      return { code: 'link_lost', message: 'the broker heard nothing from this device', hint: LATER };
    case 156:
    case 157:
      return { code: 'moved', message: 'the broker has moved', hint: 'Set fleet.url to where it is now.' };
    case 3:
    case 136:
    case 137:
    case 139:
    case 151:
    case 159:
      return { code: 'broker_busy', message: 'the broker has no room now', hint: LATER };
    default:
      return { code: 'broker_refused', message: `the broker refused, with code ${code}`, hint: OPERATOR };
  }
}

export function refusedByBroker(code: number, version: Version, clientId: string): AgentError {
  if (saysVersion(code)) {
    const spoken = version === 5 ? '5' : '3.1.1';
    return asError({
      code: 'wrong_version',
      message: `the broker does not speak MQTT ${spoken}`,
      hint: 'Set fleet.protocol to auto.',
    });
  }
  return asError(wordsOf(code, clientId));
}

/** The broker closed a connection that stood, before it said anything. */
export function closedUnheard(tls: boolean): AgentError {
  return asError({
    code: 'closed_unheard',
    message: 'the broker closes the connection without a word',
    hint: tls
      ? 'Brokers do so to a client whose certificate, name or version of MQTT they do not take.'
      : 'Brokers do so to a client whose name or version of MQTT they do not take; or it is the port of TLS: use mqtts://.',
  });
}

/** `count` links in a row were lost soon after they were up: most likely in favour of another client of the name. */
export function thrownOut(clientId: string, count: number): AgentError {
  return asError({
    code: 'thrown_out',
    message: `${count} connections in a row were lost soon after they were up`,
    hint: `Is another device called "${clientId}" too? ${RENAME}`,
  });
}

/** It closed the connection before TLS stood. */
export function closedInHandshake(): AgentError {
  return asError({
    code: 'tls_refused',
    message: 'the broker closes the connection while TLS begins',
    hint: 'Is it the port of TLS, mostly 8883? Some brokers do so to a name (fleet.tls.serverName) they do not know.',
  });
}

export function silent(waitedMs: number): AgentError {
  return asError({
    code: 'no_answer',
    message: `the broker gave no answer for ${waitedMs / 1000} s`,
    hint: 'Is it an MQTT broker, and is a firewall in between?',
  });
}

export function keepaliveLost(): AgentError {
  return asError({ code: 'link_lost', message: 'the broker no longer answers', hint: LATER });
}

export function linkLost(): AgentError {
  return asError({ code: 'link_lost', message: 'the connection to the broker was lost', hint: LATER });
}

export function notConnected(): AgentError {
  return asError({ code: 'not_connected', message: 'there is no connection to a broker', hint: LATER });
}

/** MQTT 5 brokers name why they do not take a message. */
export function publishRefused(topic: string, code: number): AgentError {
  return asError({
    code: 'publish_refused',
    message: `the broker did not take a message for ${topic}, with code ${code}`,
    hint: 'Check what the broker lets this client publish, and its quota.',
  });
}

export function tooLarge(topic: string, mostBytes: number): AgentError {
  return new AgentError(
    'too_large',
    `the broker takes packets of ${mostBytes} bytes, and one for ${topic} is larger`,
    {
      hint: 'Raise its limit, or send less at once.',
    },
  );
}

export function tooLargeHere(topic: string, bytes: number): AgentError {
  return new AgentError('too_large', `a message of ${bytes} bytes for ${topic} was passed over`, {
    hint: 'No device takes messages of that size. If it is retained, clear it in the broker.',
  });
}

export function subscriptionRefused(topics: readonly string[]): AgentError {
  return asError({
    code: 'subscription_refused',
    message: `the broker does not let this client hear ${topics.join(', ')}`,
    hint: 'Allow these topics to this client in the broker.',
  });
}

export function asError({ code, message, hint }: Words, cause?: Error): AgentError {
  return new AgentError(code, message, { hint, retryable: true, ...(cause === undefined ? {} : { cause }) });
}
