import { defineConfig } from 'vitest/config';
import base from '../../../vitest.config.ts';

/** The tests that send requests to AWS, with a recorder. test/local/requests.test.ts runs them. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: [
      'test/cli/{doctor,doctor-wire,explain,image,init,init-from-group,init-lookups,pause,reconcile,recycle,secrets,status,zones}.test.ts',
      'test/functions/{describe-activities,find-leftovers,learned,repair,secrets,settings,spot,update-group,warm-pool}.test.ts',
      'test/infra/{deployed-fleets,group-settings-handler,images-handler}.test.ts',
      'test/hours/fallback.test.ts',
      'test/sandbox/{breaker-alarm,failing-executions}.test.ts',
      'test/userdata/{aws,boot,leave-group}.test.ts',
    ],
    exclude: [],
    setupFiles: ['test/local/models/recorder.ts'],
    reporters: ['dot'],
  },
});
