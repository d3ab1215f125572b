import { aedes } from '../brokers/aedes.ts';
import { sessionContract } from '../session-contract.ts';

sessionContract(aedes);
