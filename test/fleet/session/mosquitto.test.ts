import { mosquitto } from '../brokers/mosquitto.ts';
import { sessionContract } from '../session-contract.ts';

sessionContract(mosquitto);
