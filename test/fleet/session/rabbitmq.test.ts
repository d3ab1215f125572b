import { rabbitmq } from '../brokers/rabbitmq.ts';
import { sessionContract } from '../session-contract.ts';

sessionContract(rabbitmq);
