import { OF_GROUP, OF_SECRETS } from '../../sandbox/faults/aws.ts';
import { OF_CIRCLECI } from '../../sandbox/faults/circleci.ts';
import { checkFaults } from '../support/fault-matrix.ts';

checkFaults([...OF_CIRCLECI, ...OF_SECRETS, ...OF_GROUP]);
