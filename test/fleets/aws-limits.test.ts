import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkFleets } from '../../fleets/load.ts';
import { CHECKED, UNCHECKED, WITHOUT_LIMIT } from '../../tools/aws-limits.ts';

const SCHEMA = JSON.parse(readFileSync('fleets.schema.json', 'utf8'));

/** A fleet with these settings; `undefined` leaves one out. */
const load = (settings: object, top: object = {}) => {
  const fleet = { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], maxReplicas: 5, ...settings };
  return checkFleets(
    { ...top, linux: Object.fromEntries(Object.entries(fleet).filter(([, value]) => value !== undefined)) },
    'fleets.yaml',
  );
};

describe('a limit of AWS that a setting can meet', () => {
  it.each(CHECKED)('is checked: $limit', ({ settings, most, over, beside, atTop }) => {
    if (atTop) {
      expect(() => load({}, most)).not.toThrow();
      expect(() => load({}, over)).toThrow(new RegExp(`\\n +(${settings.join('|')})\\b`));
      return;
    }
    expect(() => load({ ...beside, ...most })).not.toThrow();
    // By the name of the setting, in the list of faults.
    const named = new RegExp(`\\n +linux\\.(${settings.join('|')})\\b`);
    expect(() => load({ ...beside, ...over })).toThrow(named);
  });

  it.each(UNCHECKED)('or a reason says why not: $limit', ({ why }) => {
    expect(why).toMatch(/\w{3}/);
  });

  it('is known of each setting, or the setting meets none', () => {
    const ofFleets = Object.keys(SCHEMA.additionalProperties?.properties ?? {});
    expect(ofFleets.length).toBeGreaterThan(40);
    const all = new Set([...ofFleets, ...Object.keys(SCHEMA.properties)]);
    const limited = [...CHECKED, ...UNCHECKED].flatMap(({ settings }) => settings);
    expect([...all].filter((name) => !limited.includes(name) && !WITHOUT_LIMIT.includes(name))).toEqual([]);
    expect([...limited, ...WITHOUT_LIMIT].filter((name) => !all.has(name))).toEqual([]);
    expect(WITHOUT_LIMIT.filter((name) => limited.includes(name))).toEqual([]);
  });
});
