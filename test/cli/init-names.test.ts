import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fleetNameFrom } from '../../cli/init/options.ts';
import { fleetsText } from '../../cli/init/written.ts';
import { loadFleetsText } from '../../fleets/load.ts';

describe('the name of a fleet that init proposes', () => {
  it.each([
    { from: 'acme/linux', name: 'linux', because: 'it is the end of the resource class' },
    { from: 'acme/Linux_Large-2', name: 'Linux_Large-2', because: 'a name may have these characters' },
    { from: 'a/b/c', name: 'c', because: 'a name has no slash' },
    { from: 'web servers (old)', name: 'web-servers-old', because: 'other characters become a hyphen' },
    { from: '../../etc/passwd', name: 'passwd', because: 'a path names no file' },
    { from: '$(reboot)', name: 'reboot', because: 'a command is no name' },
    { from: '\u001b[2Jlinux', name: 'Jlinux', because: 'a terminal sees no control character' },
    { from: '2024-runners', name: 'runners', because: 'a name begins with a letter' },
    { from: '--help', name: 'help', because: 'an option is no name' },
    { from: 'линукс', name: 'runners', because: 'nothing of it may stay' },
    { from: 'acme/x-large', name: 'xlarge', because: 'a key that begins with x- is no fleet' },
    { from: '', name: 'runners', because: 'there is nothing' },
    { from: 'acme/encryptionKey', name: 'encryptionKey-runners', because: 'it is a setting of all fleets' },
    { from: `acme/${'x'.repeat(60)}`, name: 'x'.repeat(32), because: 'a name has at most 32 characters' },
  ])('from $from is $name, because $because', ({ from, name }) => {
    expect(fleetNameFrom(from)).toBe(name);
  });

  it('is the name of a fleet in the file that init writes, whatever it is made from', () => {
    const strange = fc.constantFrom(
      'true',
      'null',
      'yes',
      '1e3',
      '__proto__',
      'constructor',
      '~',
      '*x',
      '&x',
      '!x',
      'x-',
      'acme/x--x-large',
    );
    fc.assert(
      fc.property(fc.oneof(strange, fc.string({ unit: 'binary', maxLength: 80 })), (text) => {
        const fleet = { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], maxReplicas: 10 };
        const file = fleetsText(fleetNameFrom(text), fleet, 'fleets.schema.json');
        expect(loadFleetsText(file, 'fleets.yaml').map(({ name }) => name)).toEqual([fleetNameFrom(text)]);
      }),
    );
  });
});
