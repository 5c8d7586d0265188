import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DefaultStackSynthesizer, type IReusableStackSynthesizer, type IStackSynthesizer } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { STACK_NAME } from '../../fleets/names.ts';
import { stacksOf } from '../../infra/stacks.ts';
import { threeFleets } from '../support/fleets.ts';
import { appOf, emptyApp, leanApp } from './template.ts';

const textOf = (value: unknown) => JSON.stringify(value);

describe('the templates', () => {
  const { shared, fleets } = appOf(threeFleets()).stacks;
  const templates = [shared, ...fleets].map((stack) => Template.fromStack(stack).toJSON());

  // A template refers to the partition and to the region of its deployment, so one template serves all partitions:
  // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
  it('spell no ARN for one partition', () => {
    for (const template of templates) {
      // This topic is a setting of a fleet.
      const ours = textOf(template).replaceAll('arn:aws:sns:eu-west-1:111122223333:builds', '');
      expect(ours.match(/.{20}arn:aws[\w-]*:/g) ?? []).toEqual([]);
    }
  });

  it("link to each partition's console", () => {
    const [{ Mappings } = { Mappings: undefined }] = templates;
    expect(Object.values(Mappings ?? {})).toEqual([
      {
        aws: { host: 'console.aws.amazon.com' },
        'aws-cn': { host: 'console.amazonaws.cn' },
        'aws-us-gov': { host: 'console.amazonaws-us-gov.com' },
      },
    ]);
    for (const { Resources, Outputs } of templates) {
      expect(textOf([Resources, Outputs])).not.toMatch(/console\.[\w.-]*aws/);
    }
  });

  it('name no host of one partition', () => {
    const hosts = new Set(
      templates
        .flatMap((template) => Object.values(template.Resources))
        // The scripts of instances choose the domain by the region: test/userdata/aws.test.ts.
        .filter((resource) => !textOf(resource).includes('"UserData"'))
        .flatMap((resource) => textOf(resource).match(/[\w.-]*amazonaws\.com(\.cn)?/g) ?? []),
    );
    // The names of services in policies are the same in all partitions, but for EC2's.
    expect([...hosts].toSorted()).toEqual([
      'cloudwatch.amazonaws.com',
      'ec2.amazonaws.com',
      'ec2.amazonaws.com.cn',
      'lambda.amazonaws.com',
      'scheduler.amazonaws.com',
      'states.amazonaws.com',
    ]);
  });
});

describe("a deployer's own context", () => {
  const inContext = (context: Record<string, unknown>) => {
    const app = emptyApp();
    for (const [key, value] of Object.entries(context)) app.node.setContext(key, value);
    const { shared, fleets } = stacksOf(app, STACK_NAME, threeFleets());
    return { app, stacks: [shared, ...fleets] };
  };

  it('gives every role a permissions boundary', () => {
    const { stacks } = inContext({ '@aws-cdk/core:permissionsBoundary': { name: 'developers' } });
    const roles = stacks.flatMap((stack) =>
      Object.values(Template.fromStack(stack).findResources('AWS::IAM::Role')),
    );
    expect(roles.length).toBeGreaterThan(10);
    for (const { Properties } of roles) {
      expect(textOf(Properties.PermissionsBoundary)).toMatch(/:policy\/developers"/);
    }
  });

  it('takes the synthesizer of the app', () => {
    const app = leanApp({
      context: { 'aws:cdk:bundling-stacks': [] },
      // The CDK's own types disagree where optional properties are exact.
      defaultStackSynthesizer: new DefaultStackSynthesizer({
        qualifier: 'ours',
        bucketPrefix: 'ci/',
      }) as IStackSynthesizer as IReusableStackSynthesizer,
    });
    const { shared } = stacksOf(app, STACK_NAME, threeFleets());
    const { directory } = app.synth();
    const assets = readFileSync(join(directory, `${shared.stackName}.assets.json`), 'utf8');
    expect(assets).toContain('"bucketName": "cdk-ours-assets-');
    expect(assets).toContain('"objectKey": "ci/');
  });

  it('says by its qualifier which bootstrap stack a deployment uses', () => {
    const { app, stacks } = inContext({ '@aws-cdk/core:bootstrapQualifier': 'builds' });
    const { directory } = app.synth();
    const Assets = z.object({
      files: z.record(
        z.string(),
        z.object({ destinations: z.record(z.string(), z.object({ bucketName: z.string() })) }),
      ),
    });
    for (const { stackName } of stacks) {
      const { files } = Assets.parse(
        JSON.parse(readFileSync(join(directory, `${stackName}.assets.json`), 'utf8')),
      );
      const buckets = Object.values(files).flatMap(({ destinations }) =>
        Object.values(destinations).map(({ bucketName }) => bucketName),
      );
      expect(new Set(buckets)).toEqual(
        new Set([
          `cdk-builds-assets-${['$', '{AWS::AccountId}'].join('')}-${['$', '{AWS::Region}'].join('')}`,
        ]),
      );
    }
  });
});
