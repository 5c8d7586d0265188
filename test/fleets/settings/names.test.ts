import { describe, expect, it } from 'vitest';
import { complaintsAbout, expectAccepted, expectRefused, fleetsOf } from '../../support/fleets.ts';

describe('names of secrets, and the address of alarms', () => {
  it.each([
    { given: 'scalerSecretName: acme/scaler', becomes: { scalerSecretName: 'acme/scaler' } },
    { given: 'runnerSecretName: acme/runner@1', becomes: { runnerSecretName: 'acme/runner@1' } },
    { given: 'alarmEmail: ops@acme.example', becomes: { alarmEmail: 'ops@acme.example' } },
  ])('$given is accepted', expectAccepted);

  it.each([
    {
      given: 'scalerSecretName: arn:aws:secretsmanager:eu-west-1:111122223333:secret:scaler',
      said: 'scalerSecretName: must be the name of a secret, not its ARN, got "arn:aws:secretsmanager:eu-west-1:111122223333:secret:scaler"',
    },
    {
      given: 'runnerSecretName: a b',
      said: 'runnerSecretName: must be the name of a secret, not its ARN, got "a b"',
    },
    { given: 'alarmEmail: ops', said: 'alarmEmail: must be an e-mail address, got "ops"' },
  ])('$given is refused', expectRefused);
});

describe('secrets of several fleets', () => {
  const named = (name: string, settings: string) =>
    `${name}: {resourceClass: acme/${name}, instanceTypes: [m7i.large], maxReplicas: 1, ${settings}}\n`;

  it('may not name one runner secret for two fleets', () => {
    const runner = (secret: string) => `runnerSecretName: ${secret}`;
    expect(fleetsOf(named('a', runner('x')) + named('b', runner('y')))).toHaveLength(2);
    expect(complaintsAbout(named('a', runner('x')) + named('b', runner('x')))).toContain(
      'b.runnerSecretName: must differ from that of a: a token claims tasks of one resource class',
    );
  });

  it('may name one scaler secret for fleets of one CircleCI', () => {
    const scaler = 'scalerSecretName: x';
    const server = 'circleciUrl: https://circleci.acme.example';
    expect(fleetsOf(named('a', scaler) + named('b', scaler))).toHaveLength(2);
    expect(fleetsOf(named('a', `${scaler}, ${server}`) + named('b', `${scaler}, ${server}`))).toHaveLength(2);
    expect(complaintsAbout(named('a', scaler) + named('b', `${scaler}, ${server}`))).toContain(
      'b.scalerSecretName: must differ from that of a, whose circleciUrl is another: a secret names the one address to which its token may go',
    );
  });
});
