import { readFileSync, writeFileSync } from 'node:fs';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { fleetsWith } from '../support/fleets.ts';
import { REPLACING } from '../support/replacing.ts';
import { appOf, SynthesisedTemplate } from './template.ts';

/**
 * An upgrade replaces nothing that holds state, or with which instances run jobs. `released.json` has such resources of the
 * last release. `npm run record-release` writes it: whoever releases does so, and whoever changes it earlier
 * says in CHANGELOG.md what that does to an account.
 */
const RECORD = 'test/infra/released.json';

/** The whole templates of an app with one fleet, from which test/local/upgrade.test.ts upgrades a local AWS. */
const TEMPLATES = 'test/local/released.json';

const Resource = z.object({ type: z.string(), replacing: z.record(z.string(), z.unknown()) });
const Release = z.object({
  version: z.string(),
  /** By stack and logical id. */
  stacks: z.record(z.string(), z.record(z.string(), Resource)),
});

/** A fleet with next to nothing, and one with whatever adds resources. */
const FLEETS = () =>
  fleetsWith({
    plain: {},
    full: {
      warmPool: '{size: auto}',
      logs: 'true',
      network: 'new-vpc',
      image: '{build: weekly, docker: true}',
      spareRunners: 'auto',
      sessionManager: 'true',
      reconcile: 'repair',
    },
  });

function resources(): z.infer<typeof Release>['stacks'] {
  const template = SynthesisedTemplate.of(FLEETS());
  return Object.fromEntries(
    template.templates.map(({ stack, json }) => [
      stack,
      Object.fromEntries(
        Object.entries(json.Resources).flatMap(([id, { Type: type, Properties }]) => {
          const replacing = REPLACING[type];
          return replacing === undefined
            ? []
            : [
                [
                  id,
                  { type, replacing: Object.fromEntries(replacing.map((name) => [name, Properties[name]])) },
                ],
              ];
        }),
      ),
    ]),
  );
}

const read = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));

if (process.env.RECORD_RELEASE !== undefined) {
  const { version } = z.object({ version: z.string() }).parse(read('package.json'));
  writeFileSync(RECORD, `${JSON.stringify({ version, stacks: resources() }, null, 2)}\n`);
  const { shared, fleets } = appOf(
    fleetsWith({ linux: { instanceTypes: '[m7g.large]', logs: 'true' } }),
  ).stacks;
  const templates = [shared, ...fleets].map((stack) => [stack.stackName, Template.fromStack(stack).toJSON()]);
  const stacks = Object.fromEntries(templates);
  writeFileSync(TEMPLATES, `${JSON.stringify({ version, stacks }, null, 2)}\n`);
}

const released = Release.parse(read(RECORD));

describe(`an upgrade from ${released.version}`, () => {
  const now = JSON.parse(JSON.stringify(resources()));

  it.each(Object.entries(released.stacks))(
    'replaces nothing that has state or runs jobs in %s',
    (stack, before) => {
      expect(now[stack]).toMatchObject(before);
      // A property that is new and replaces is not in the record.
      for (const [id, { replacing }] of Object.entries(before))
        expect(Object.keys(now[stack][id].replacing), id).toEqual(Object.keys(replacing));
    },
  );

  it('is described in CHANGELOG.md', () => {
    expect(readFileSync('CHANGELOG.md', 'utf8')).toContain(`## ${released.version}`);
  });
});
