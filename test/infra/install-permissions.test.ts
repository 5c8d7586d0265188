import { describe, expect, it } from 'vitest';
import { logicalId } from '../../fleets/names.ts';
import { fleetsWith } from '../support/fleets.ts';
import { allows } from '../support/policies.ts';
import { violationsOf } from './nag.ts';
import { SynthesisedTemplate, statementsOf } from './template.ts';

const POLICY = 'arn:aws:iam::111122223333:policy/artifacts';
const OF_AWS = 'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess';
const PERMISSIONS = [
  { actions: ['s3:GetObject', 's3:List*'], resources: ['arn:aws:s3:::acme-artifacts/*'] },
  { actions: ['secretsmanager:GetSecretValue'], resources: ['*'] },
];

const FLEETS = fleetsWith({
  plain: {},
  built: { image: '{build: weekly}' },
  own: { scalerSecretName: 'circleci-runners/of-ours' },
});
const permitted = FLEETS.map((fleet) =>
  fleet.name === 'plain' ? fleet : { ...fleet, installPermissions: PERMISSIONS },
);
const template = SynthesisedTemplate.of(permitted);

const ROLES = [
  { role: 'the instances of a fleet', id: 'OwnFleetInstanceRole' },
  { role: 'the instances of a fleet with a built image', id: 'BuiltFleetInstanceRole' },
  { role: 'the machines that build the image', id: 'BuiltFleetImagePipelineBuilderRole' },
];

const secret = (name: string) =>
  `arn:aws:secretsmanager:eu-west-1:111122223333:secret:circleci-runners/${name}-AbCdEf`;

describe('what an install script may do', () => {
  it.each(ROLES)('is what $role may do, and no other fleet', ({ id }) => {
    const statements = statementsOf(template, `Role(${id})`);
    const may = (action: string, resource: string) => allows(statements, { action, resource });
    expect(may('s3:GetObject', 'arn:aws:s3:::acme-artifacts/tool.tar.gz')).toBe(true);
    expect(may('s3:ListMultipartUploadParts', 'arn:aws:s3:::acme-artifacts/x')).toBe(true);
    expect(may('s3:PutObject', 'arn:aws:s3:::acme-artifacts/tool.tar.gz')).toBe(false);
    expect(may('s3:GetObject', 'arn:aws:s3:::other/tool.tar.gz')).toBe(false);
    expect(may('secretsmanager:GetSecretValue', secret('anything'))).toBe(true);
    const others = statementsOf(template, 'Role(PlainFleetInstanceRole)');
    const request = { action: 's3:GetObject', resource: 'arn:aws:s3:::acme-artifacts/tool.tar.gz' };
    expect(allows(others, request)).toBe(false);
  });

  it.each(ROLES)('never lets $role read a personal API token', ({ id }) => {
    const statements = statementsOf(template, `Role(${id})`);
    for (const name of ['own/scaler', 'plain/scaler', 'gone/scaler'])
      expect(allows(statements, { action: 'secretsmanager:GetSecretValue', resource: secret(name) })).toBe(
        false,
      );
  });

  it.each(ROLES)('never lets $role read the token in a secret that a fleet names', ({ id }) => {
    const resource = secret('of-ours');
    const statements = statementsOf(template, `Role(${id})`);
    expect(allows(statements, { action: 'secretsmanager:GetSecretValue', resource })).toBe(false);
  });

  it('is also what managed policies say, on the same roles', () => {
    const managed = SynthesisedTemplate.of(
      FLEETS.map((fleet) =>
        fleet.name === 'plain' ? fleet : { ...fleet, roles: { instance: [POLICY, OF_AWS] } },
      ),
    );
    const attached = managed
      .all('AWS::IAM::Role')
      .filter(({ properties }) => 'ManagedPolicyArns' in properties)
      .map(({ id, properties }) => [id.replace(/[0-9A-F]{8}$/, ''), properties.ManagedPolicyArns]);
    expect(Object.fromEntries(attached)).toEqual(
      Object.fromEntries(ROLES.map(({ id }) => [id, [POLICY, OF_AWS]])),
    );
  });

  it('changes nothing in the template of a fleet that has neither', () => {
    const ofPlain = (of: SynthesisedTemplate) =>
      of.all('AWS::IAM::Policy').filter(({ id }) => id.startsWith(`${logicalId('plain')}Fleet`));
    expect(ofPlain(template)).toEqual(ofPlain(SynthesisedTemplate.of(FLEETS)));
    expect(JSON.stringify(ofPlain(template))).not.toContain('Deny');
  });

  it('fits into the policy of the role at its largest', () => {
    const resources = Array.from(
      { length: 70 },
      (_, index) => `arn:aws:s3:::acme-artifacts/some/path/${index}/*`,
    );
    const large = SynthesisedTemplate.of(
      permitted.map((fleet) => ({
        ...fleet,
        logs: true,
        sessionManager: true,
        installPermissions: [{ actions: ['s3:GetObject'], resources }],
      })),
    );
    expect(large.all('AWS::IAM::ManagedPolicy')).toEqual([]);
  });

  it('passes the rules of cdk-nag, because guardrails list it', () => {
    const more = { installPermissions: PERMISSIONS, roles: { instance: [POLICY, OF_AWS] } };
    const added = violationsOf(FLEETS.map((fleet) => ({ ...fleet, ...more })));
    expect(added).toEqual(violationsOf(FLEETS));
  });
});
