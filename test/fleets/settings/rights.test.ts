import { describe, expect, it } from 'vitest';
import { builtImagesOf } from '../../../fleets/built-images.ts';
import { checkFleets } from '../../../fleets/load.ts';
import { expectRefused, fleetsWith } from '../../support/fleets.ts';

/** A fleet with these settings, without guardrails, which would have to list them. */
const load = (settings: object) =>
  checkFleets(
    { linux: { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], maxReplicas: 5, ...settings } },
    'fleets.yaml',
  );

const POLICY = 'arn:aws:iam::111122223333:policy/artifacts';
const READ = { actions: ['s3:GetObject'], resources: ['arn:aws:s3:::acme-artifacts/*'] };
const WITH_DOCKER =
  'must be left out with docker, because each job is root there and could use them; or set allowInstanceMetadata: true, which gives them to jobs';

describe('what an install script may do', () => {
  it.each<{ settings: object }>([
    { settings: { roles: { instance: [POLICY, 'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess'] } } },
    { settings: { roles: { instance: ['arn:aws-cn:iam::aws:policy/service-role/Some'] } } },
    { settings: { installPermissions: [READ] } },
    { settings: { installPermissions: [{ actions: ['ecr:GetAuthorizationToken'], resources: ['*'] }] } },
    {
      settings: {
        installPermissions: [
          {
            actions: ['ssm:GetParameter*', 'codeartifact:*'],
            resources: [
              'arn:aws-us-gov:ssm:us-gov-west-1:111122223333:parameter/acme/*',
              'arn:aws-us-gov:codeartifact:*:*:repository/acme/*',
            ],
          },
        ],
      },
    },
  ])('is $settings', ({ settings }) => {
    expect(load(settings)).toEqual([expect.objectContaining(settings)]);
  });

  it.each([
    {
      given: 'roles: {instance: [AmazonS3ReadOnlyAccess]}',
      said: 'roles.instance 1: must be the ARN of a managed policy, such as arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess or arn:aws:iam::111122223333:policy/artifacts, got "AmazonS3ReadOnlyAccess"',
    },
    {
      given: 'roles: {instance: ["arn:aws:iam::111122223333:policy/*"]}',
      said: 'roles.instance 1: must be the ARN of a managed policy, such as arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess or arn:aws:iam::111122223333:policy/artifacts, got "arn:aws:iam::111122223333:policy/*"',
    },
    {
      given: `roles: {instance: [${POLICY}, ${POLICY}]}`,
      said: `roles.instance: must have each policy once, got ["${POLICY}", "arn:aws:iam::111122223333:policy/...]`,
    },
    {
      given: 'roles: {instance: []}',
      said: 'roles.instance: must have at least one policy, or leave out roles, got []',
    },
    {
      given: `roles: {instance: [${POLICY}], job: []}`,
      said: 'roles.job: is not a setting; docs/configuration.md lists all of them',
    },
    {
      given: 'installPermissions: {actions: [s3:GetObject]}',
      said: 'installPermissions: must be a list of maps of actions and resources, got a map',
    },
    {
      given: 'installPermissions: [{actions: [s3:GetObject]}]',
      said: 'installPermission 1.resources: must be a list of ARNs, got nothing',
    },
    {
      given: 'installPermissions: [{actions: [], resources: ["*"]}]',
      said: 'installPermission 1.actions: must have at least one action, got []',
    },
    {
      given: 'installPermissions: [{actions: ["*"], resources: ["*"]}]',
      said: 'installPermission 1.action 1: must be an action of AWS, such as s3:GetObject, got "*"',
    },
    {
      // Its one character could be what a ceiling does not cover.
      given: 'installPermissions: [{actions: [s3:GetObject], resources: ["arn:aws:s3:::acme-?/*"]}]',
      said: 'installPermission 1.resource 1: must be an ARN, in which * stands for any text, such as arn:aws:s3:::acme-artifacts/*, or "*" for actions without resources, got "arn:aws:s3:::acme-?/*"',
    },
    {
      given: 'installPermissions: [{actions: [s3:GetObject], resources: ["arn:*:s3:::acme/*"]}]',
      said: 'installPermission 1.resource 1: must be an ARN, in which * stands for any text, such as arn:aws:s3:::acme-artifacts/*, or "*" for actions without resources, got "arn:*:s3:::acme/*"',
    },
  ])('is refused: $given', expectRefused);

  it.each([
    { what: 'roles', settings: { roles: { instance: [POLICY] } } },
    { what: 'installPermissions', settings: { installPermissions: [READ] } },
  ])('is refused with jobs that are root, unless they may use it: $what', ({ what, settings }) => {
    const said = `linux.${what}: ${WITH_DOCKER}`;
    expect(() => load({ ...settings, docker: true })).toThrow(said);
    expect(() => load({ ...settings, image: { build: 'weekly', docker: true } })).toThrow(said);
    expect(() => load({ ...settings, docker: true, allowInstanceMetadata: true })).not.toThrow();
    expect(() => load({ ...settings, image: { build: 'weekly' } })).not.toThrow();
  });

  it('is a part of what an image is built with', () => {
    const [first, second] = fleetsWith({ a: { image: '{build: weekly}' }, b: { image: '{build: weekly}' } });
    if (first === undefined || second === undefined) throw new Error('There are two fleets.');
    expect(builtImagesOf([first, second])).toHaveLength(1);
    expect(builtImagesOf([first, { ...second, installPermissions: [READ] }])).toHaveLength(2);
    expect(builtImagesOf([first, { ...second, roles: { instance: [POLICY] } }])).toHaveLength(2);
  });
});
