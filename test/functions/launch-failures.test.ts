import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classifyFailure, FAILURE_KINDS, type FailureKind } from '../../functions/lib/launch-failures.ts';
import { LAUNCH_MESSAGES, launchFailures } from '../../tools/launch-failures.ts';

describe('classifyFailure', () => {
  it.each(LAUNCH_MESSAGES)('takes for $kind: $text', ({ text, kind, spot, instance }) => {
    expect(classifyFailure(text, instance)).toEqual({ kind, spot });
  });

  it.each([
    { prefix: 'Could not launch Spot Instances. ', spot: true },
    { prefix: 'Could not launch On-Demand Instances. ', spot: false },
  ])('reads the code behind "$prefix", not the prefix', ({ prefix, spot }) => {
    for (const { text, kind } of LAUNCH_MESSAGES.filter(({ text }) => /^Could not launch/.test(text))) {
      const cause = text.replace(/^Could not launch (Spot|On-Demand) Instances\. /, '');
      expect(classifyFailure(`${prefix}${cause}`, false)).toEqual({ kind, spot });
    }
  });

  it.each([
    {
      case: 'a code before a text',
      text: 'Unsupported - We do not have sufficient capacity of this type. Launching EC2 instance failed.',
      kind: 'placement',
    },
    {
      case: 'a text where the code says too little',
      text: 'InvalidFleetConfiguration - Request limit is fine. Launching EC2 instance failed.',
      kind: 'refused',
    },
    {
      case: 'no quota where the code is that of throttling',
      text: 'RequestLimitExceeded - Slow down. Launching EC2 instance failed.',
      kind: 'throttled',
    },
    {
      case: 'no name that an adopter chose',
      text: 'Launch template limit-runners with no quota or capacity in mind does not exist. Launching EC2 instance failed.',
      kind: 'refused',
    },
    {
      case: 'a quota by any other name',
      text: 'Could not launch On-Demand Instances. NetworkInterfaceLimitExceeded - Too many. Launching EC2 instance failed.',
      kind: 'shortage',
    },
  ])('believes $case', ({ text, kind }) => {
    expect(classifyFailure(text, false).kind).toBe(kind);
  });
});

/** Texts that say nothing of the cause, so that the code decides. */
const refusal = (code: string) => `${code} - It did not work. Launching EC2 instance failed.`;
const termination = (code: string) =>
  `Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: ${code}: It ended`;

describe('the code of a failed launch', () => {
  it.each<{ code: string; kind: FailureKind; spot?: boolean }>([
    { code: 'InsufficientFreeAddressesInSubnet', kind: 'addresses' },
    { code: 'RequestLimitExceeded', kind: 'throttled' },
    { code: 'Throttling', kind: 'throttled' },
    { code: 'ThrottlingException', kind: 'throttled' },
    { code: 'RequestThrottled', kind: 'throttled' },
    { code: 'RequestThrottledException', kind: 'throttled' },
    { code: 'InsufficientInstanceCapacity', kind: 'shortage' },
    { code: 'InsufficientHostCapacity', kind: 'shortage' },
    { code: 'InsufficientCapacity', kind: 'shortage' },
    { code: 'UnfulfillableCapacity', kind: 'shortage' },
    { code: 'VcpuLimitExceeded', kind: 'shortage' },
    { code: 'InstanceLimitExceeded', kind: 'shortage' },
    { code: 'MaxSpotInstanceCountExceeded', kind: 'shortage', spot: true },
    { code: 'SpotMaxPriceTooLow', kind: 'shortage', spot: true },
    { code: 'ReservationCapacityExceeded', kind: 'shortage' },
    { code: 'Unsupported', kind: 'placement' },
    { code: 'AuthFailure.ServiceLinkedRoleCreationNotPermitted', kind: 'spot-role' },
    { code: 'AuthFailure', kind: 'refused' },
    { code: 'InvalidParameterValue', kind: 'refused' },
  ])('$code is $kind', ({ code, kind, spot = false }) => {
    expect(classifyFailure(refusal(code), false)).toEqual({ kind, spot });
  });

  it.each<{ code: string; kind: FailureKind; spot?: boolean }>([
    { code: 'Server.SpotInstanceTermination', kind: 'shortage', spot: true },
    { code: 'Server.SpotInstanceShutdown', kind: 'shortage', spot: true },
    { code: 'Server.InsufficientInstanceCapacity', kind: 'shortage' },
    { code: 'Server.InsufficientCapacity', kind: 'shortage' },
    { code: 'Server.InstanceLimitExceeded', kind: 'shortage' },
    { code: 'Client.VolumeLimitExceeded', kind: 'shortage' },
    { code: 'Client.InternalError', kind: 'volume-key' },
    { code: 'Client.InvalidKMSKey', kind: 'volume-key' },
    { code: 'Client.InvalidKMSKey.NotFound', kind: 'volume-key' },
    { code: 'Server.InternalError', kind: 'boot' },
    { code: 'Client.InstanceInitiatedShutdown', kind: 'boot' },
  ])('$code, of an instance that ended, is $kind', ({ code, kind, spot = false }) => {
    expect(classifyFailure(termination(code), true)).toEqual({ kind, spot });
  });

  // The breaker rests longer after a refusal, and somebody is notified. So no code may pass for another one.
  it.each([
    'InsufficientFreeAddressesInSubnetGroup',
    'NotInsufficientFreeAddressesInSubnet',
    'ThrottlingDisabled',
    'NotThrottling',
    'UnfulfillableCapacityType',
    'NotUnfulfillableCapacity',
    'VcpuLimitExceededTwice',
    'LimitExceeded',
    'Client.Other.VcpuLimitExceeded',
    'ReservationCapacityExceededTwice',
    'NotReservationCapacityExceeded',
    'UnsupportedOperation',
    'NotUnsupported',
    'AuthFailure.ServiceLinkedRoleCreationNotPermittedHere',
    'Some.AuthFailure.ServiceLinkedRoleCreationNotPermitted',
  ])('%s is another one than those that are known', (code) => {
    expect(classifyFailure(refusal(code), false).kind).toBe('refused');
  });

  it.each([
    'Server.SpotInstanceTerminationNotice',
    'Client.Server.SpotInstanceTermination',
    'Server.InsufficientInstanceCapacityHere',
    'Server.Other.InsufficientInstanceCapacity',
    'Client.InternalErrors',
    'Client.InvalidKMSKeyState',
    'Client.Other.InternalError',
    'Server.Client.InternalError',
  ])('%s, of an instance that ended, is another one than those that are known', (code) => {
    expect(classifyFailure(termination(code), true).kind).toBe('boot');
  });

  it('is the word in front of the text, not one within it', () => {
    const text = 'The value Unsupported - as given - is no tenancy. Launching EC2 instance failed.';
    expect(classifyFailure(text, false).kind).toBe('refused');
  });

  it.each(['', ' ', '  '])('is found behind a prefix and "%s"', (space) => {
    const text = `Could not launch Spot Instances.${space}${refusal('Unsupported')}`;
    expect(classifyFailure(text, false)).toEqual({ kind: 'placement', spot: true });
  });
});

describe('the text of a failed launch without a code', () => {
  it.each<{ text: string; kind: FailureKind; spot?: boolean }>([
    { text: 'There are not enough free addresses in the subnet.', kind: 'addresses' },
    { text: 'Rate exceeded', kind: 'throttled' },
    { text: 'The type is not supported in the requested Availability Zone.', kind: 'placement' },
    { text: 'The requested configuration is currently not supported.', kind: 'placement' },
    { text: 'The requested Availability Zone is currently constrained.', kind: 'placement' },
    { text: 'The requested Availability Zone is no longer supported.', kind: 'placement' },
    { text: 'We do not have sufficient m7g.large capacity.', kind: 'shortage' },
    { text: 'There is no capacity available.', kind: 'shortage' },
    { text: 'There is no Spot capacity available.', kind: 'shortage', spot: true },
    { text: 'No capacity is available.', kind: 'shortage' },
    { text: 'You are at your instance limit.', kind: 'shortage' },
    { text: 'You are at your instance count limit.', kind: 'shortage' },
    { text: 'You are at your vCPU limit.', kind: 'shortage' },
    { text: 'You are at your vCPU count limit.', kind: 'shortage' },
    { text: 'Max spot instance count exceeded.', kind: 'shortage', spot: true },
    { text: 'Your Spot request price is too low.', kind: 'shortage', spot: true },
    { text: 'Your quota allows for 0 more running instances.', kind: 'shortage' },
  ])('is $kind: $text', ({ text, kind, spot = false }) => {
    expect(classifyFailure(text, false)).toEqual({ kind, spot });
  });

  it('is no throttling if a name in it says so', () => {
    const text = "The tag 'Rate exceeded' is not allowed. Launching EC2 instance failed.";
    expect(classifyFailure(text, false).kind).toBe('refused');
  });

  it('is read from its beginning, if the prefix comes later', () => {
    const text = 'Request limit exceeded. Could not launch On-Demand Instances.';
    expect(classifyFailure(text, false)).toEqual({ kind: 'throttled', spot: false });
  });
});

describe('the table of messages', () => {
  it('has 30 texts at least, each once, and every kind', () => {
    const texts = LAUNCH_MESSAGES.map(({ text }) => text);
    expect(texts.length).toBeGreaterThanOrEqual(30);
    expect(new Set(texts).size).toBe(texts.length);
    expect(new Set(LAUNCH_MESSAGES.map(({ kind }) => kind))).toEqual(new Set(FAILURE_KINDS));
  });

  it('is in docs/launch-failures.md as it is; `npm run generate` writes it', () => {
    expect(readFileSync('docs/launch-failures.md', 'utf8')).toBe(launchFailures());
  });
});
