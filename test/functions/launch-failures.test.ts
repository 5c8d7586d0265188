import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classifyFailure, FAILURE_KINDS } from '../../functions/lib/launch-failures.ts';
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
