import { FAULTS } from '../../sandbox/faults/faults.ts';
import { checkFaults } from '../support/fault-matrix.ts';

checkFaults(FAULTS.filter((_, index) => index % 2 === 1));
