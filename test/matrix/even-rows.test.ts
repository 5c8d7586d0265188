import { checkFaults, othersThanSample } from '../support/fault-matrix.ts';

checkFaults(othersThanSample(0));
