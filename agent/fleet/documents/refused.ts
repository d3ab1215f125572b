/** Why a document from the network is not taken: a code for programs and counters, a sentence for people. */
import { AgentError } from '../../errors.ts';

export type Reason =
  // What was sent cannot be read.
  | 'oversize'
  | 'bad_text'
  | 'bad_json'
  | 'too_deep'
  | 'duplicate_key'
  | 'forbidden_key'
  | 'bad_number'
  | 'bad_envelope'
  | 'wrong_type'
  // Nobody whom this device knows has signed it.
  | 'no_keys'
  | 'unsigned'
  | 'unknown_key'
  | 'revoked_key'
  | 'bad_signature'
  | 'wrong_role'
  | 'too_few_signatures'
  // It is signed, and is no document that this version understands.
  | 'unknown_version'
  | 'bad_shape'
  // It is a document, and not for this device, or not for now.
  | 'wrong_audience'
  | 'expired'
  | 'not_yet_valid'
  | 'retained'
  // It comes out of order.
  | 'old_generation'
  | 'same_generation'
  | 'forked'
  | 'rollback'
  | 'low_counter'
  | 'forgotten'
  // Keys.
  | 'old_keys'
  | 'missing_keys'
  | 'bad_keys'
  | 'no_token';

export class Refused extends AgentError {
  readonly reason: Reason;

  constructor(reason: Reason, message: string, hint?: string | null) {
    super(reason, message, hint == null ? {} : { hint });
    this.reason = reason;
  }
}
