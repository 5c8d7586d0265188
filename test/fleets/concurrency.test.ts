import { describe, expect, it } from 'vitest';
import { complaintsAbout, fleetsOf, minimalNamed, minimalWith } from '../support/fleets.ts';

const fleets = ['linux', 'arm', 'macos']
  .map((name) => minimalNamed(name).replace('acme/linux', `acme/${name}`))
  .join('');
const sharedBy = (top: string) => fleetsOf(top + fleets).map(({ concurrency }) => concurrency);

describe('concurrency', () => {
  it('is not set', () => {
    expect(sharedBy('')).toEqual([undefined, undefined, undefined]);
  });

  it.each([
    {
      case: 'of all fleets',
      top: 'concurrency: {limit: 80}\n',
      plans: Array(3).fill({ limit: 80, fleets: ['linux', 'arm', 'macos'] }),
    },
    {
      case: 'of some, in the order of the file',
      top: 'concurrency: {limit: 80, fleets: [macos, linux]}\n',
      plans: [
        { limit: 80, fleets: ['linux', 'macos'] },
        undefined,
        { limit: 80, fleets: ['linux', 'macos'] },
      ],
    },
    {
      case: 'of several plans',
      top: 'concurrency: [{limit: 80, fleets: [macos, linux]}, {limit: 1, fleets: [arm]}]\n',
      plans: [
        { limit: 80, fleets: ['linux', 'macos'] },
        { limit: 1, fleets: ['arm'] },
        { limit: 80, fleets: ['linux', 'macos'] },
      ],
    },
  ])('is $case', ({ top, plans }) => {
    expect(sharedBy(top)).toEqual(plans);
  });

  it.each([
    {
      given: '{limit: 80, fleets: [linux, windows]}',
      says: 'concurrency.fleet 2: must be the name of a fleet (linux, arm, macos), got "windows"',
    },
    {
      given: '[{limit: 8, fleets: [linux]}, {limit: 9, fleets: [arm, linux]}]',
      says: 'concurrency 2.fleet 2: must have each fleet once: linux is there already',
    },
    {
      given: '[{limit: 8, fleets: [linux]}, {limit: 9}]',
      says: 'concurrency 2: must have each fleet once: linux is there already',
    },
  ])('is refused: $given', ({ given, says }) => {
    expect(complaintsAbout(`concurrency: ${given}\n${fleets}`)).toBe(`fleets.yaml has a fault:\n  ${says}`);
  });

  it.each([
    { given: '{limit: 0}', says: 'must be a whole number from 1 to 100000' },
    { given: '{limit: 5, fleets: []}', says: 'must have at least one fleet' },
    { given: '{limit: 5, fleet: [linux]}', says: 'fleet: is not a setting' },
    { given: '{fleets: [linux]}', says: 'must be a whole number from 1 to 100000' },
    { given: '80', says: 'must be a map with a limit and fleets' },
  ])('is refused: $given', ({ given, says }) => {
    expect(complaintsAbout(`concurrency: ${given}\n${fleets}`)).toContain(says);
  });

  it.each([
    { sharing: 100, fault: false },
    { sharing: 101, fault: true },
  ])('of $sharing fleets is refused: $fault', ({ sharing, fault }) => {
    const names = Array.from({ length: sharing }, (_, index) => `fleet${index}`);
    const file = `concurrency: {limit: 5}\n${names.map((name) => minimalNamed(name).replace(/resourceClass: .*/, `resourceClass: acme/${name}`)).join('')}`;
    if (fault)
      expect(complaintsAbout(file)).toContain('concurrency: must be of at most 100 fleets, got 101: name');
    else expect(fleetsOf(file)).toHaveLength(sharing);
  });

  it.each(['concurrency: {limit: 5}', 'encryptionKey: alias/runners'])(
    'in a fleet, it says where %s belongs',
    (line) => {
      expect(complaintsAbout(minimalWith(line))).toBe(
        `fleets.yaml has a fault:\n  linux.${line.split(':')[0]}: is a setting of all fleets: put it at the top of the file, beside linux`,
      );
    },
  );
});
