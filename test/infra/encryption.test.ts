import { describe, expect, it } from 'vitest';
import { complaintsAbout, fleetsOf } from '../support/fleets.ts';
import { allows, type PolicyStatement, type Request } from '../support/policies.ts';
import { SynthesisedTemplate, statementsOf } from './template.ts';

const KEY = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';

const FLEETS = `
linux:
  resourceClass: acme/linux
  instanceTypes: [m7i.large]
  maxReplicas: 20
  logs: true
existing:
  resourceClass: acme/existing
  instanceTypes: [m7i.large]
  maxReplicas: 20
  scalerSecretName: acme/scaler
`;

const plain = SynthesisedTemplate.of(fleetsOf(FLEETS));
const encrypted = SynthesisedTemplate.of(fleetsOf(`encryptionKey: ${KEY}\n${FLEETS}`));

/** Where each type of resource that keeps something has its key. */
const KEYS: Record<string, (properties: Record<string, unknown>) => unknown> = {
  'AWS::SecretsManager::Secret': ({ KmsKeyId }) => KmsKeyId,
  'AWS::Logs::LogGroup': ({ KmsKeyId }) => KmsKeyId,
  'AWS::SNS::Topic': ({ KmsMasterKeyId }) => KmsMasterKeyId,
  'AWS::SQS::Queue': ({ KmsMasterKeyId }) => KmsMasterKeyId,
  'AWS::EC2::LaunchTemplate': ({ LaunchTemplateData }) =>
    Object(LaunchTemplateData).BlockDeviceMappings.map(
      ({ Ebs }: { Ebs: { KmsKeyId?: string } }) => Ebs.KmsKeyId,
    )[0],
};

describe('encryptionKey', () => {
  it.each(Object.keys(KEYS))('encrypts each %s', (type) => {
    const keyOf = KEYS[type] ?? (() => undefined);
    const found = encrypted.all(type);
    expect(found.length).toBeGreaterThan(0);
    for (const { id, properties } of found) expect([id, keyOf(properties)]).toEqual([id, KEY]);
    for (const { id, properties } of plain.all(type))
      expect([id, keyOf(properties)]).toEqual([id, undefined]);
  });

  it.each([
    'alias/acme',
    'arn:aws:kms:eu-west-1:111122223333:alias/acme',
    'arn:aws:kms:eu-west-1:111122223333:key/acme',
    '1234abcd-12ab-34cd-56ef-1234567890ab',
  ])('must be the ARN of a key, not %s', (key) => {
    expect(complaintsAbout(`encryptionKey: ${key}\n${FLEETS}`)).toContain(
      `encryptionKey: must be the ARN of a KMS key, such as ${KEY}, got "${key}"`,
    );
  });

  it('takes the place of the key of SQS', () => {
    const [queue] = encrypted.all('AWS::SQS::Queue');
    expect(queue?.properties).not.toHaveProperty('SqsManagedSseEnabled');
    expect(plain.all('AWS::SQS::Queue')[0]?.properties).toHaveProperty('SqsManagedSseEnabled', true);
  });

  it('gives no role a key if there is none', () => {
    const actions = plain.statements().flatMap((statement) => statement.actions);
    expect(actions.filter((action) => action.startsWith('kms:'))).toEqual([]);
  });

  const use = (action: string, service: string): Request => ({
    action: `kms:${action}`,
    resource: KEY,
    context: { 'kms:ViaService': `${service}.eu-west-1.amazonaws.com` },
  });
  it.each<[string, 'may' | 'may not', Request]>([
    ['WorkflowReadSettings', 'may', use('Decrypt', 'secretsmanager')],
    ['WorkflowCountUnclaimed', 'may', use('Decrypt', 'secretsmanager')],
    ['WorkflowCountRunning', 'may', use('Decrypt', 'secretsmanager')],
    ['WorkflowCountRunning', 'may not', use('GenerateDataKey', 'secretsmanager')],
    ['WorkflowCountRunning', 'may not', use('Decrypt', 's3')],
    ['WorkflowUpdateGroup', 'may not', use('Decrypt', 'secretsmanager')],
    ['LinuxFleetInstanceRole', 'may', use('Decrypt', 'secretsmanager')],
    ['LinuxFleetInstanceRole', 'may not', use('Decrypt', 'sns')],
    ['LinuxFleetInstanceRole', 'may not', use('CreateGrant', 'ec2')],
    ['WorkflowStateMachineRole', 'may', use('GenerateDataKey', 'sns')],
    ['WorkflowStateMachineRole', 'may', use('Decrypt', 'sns')],
    ['WorkflowStateMachineRole', 'may not', use('Decrypt', 'secretsmanager')],
    ['WorkflowSchedulerRole', 'may', use('GenerateDataKey', 'sqs')],
    ['WorkflowSchedulerRole', 'may not', use('Decrypt', 'secretsmanager')],
  ])('%s %s %o', (role, verdict, request) => {
    const statements: PolicyStatement[] = statementsOf(encrypted, `Role(${role}`);
    expect(statements).not.toEqual([]);
    expect(allows(statements, request)).toBe(verdict === 'may');
  });
});
