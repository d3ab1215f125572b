import { nats } from '../brokers/nats.ts';
import { sessionContract } from '../session-contract.ts';

sessionContract(nats);
