import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json as bodyOf } from 'node:stream/consumers';
import { SSMClient } from '@aws-sdk/client-ssm';
import { expect, it, onTestFinished } from 'vitest';
import { bootstrapVersion, keepPlace, otherLastPlace, type Place } from '../../cli/aws/place.ts';
import { withEndpoint } from '../../cli/aws/session.ts';
import { bootstrapQualifierOf } from '../../fleets/deployment.ts';
import { address } from '../support/serve.ts';

it('keeps where a stack was found, for its owner alone, and says if that was elsewhere', () => {
  const folder = mkdtempSync(join(tmpdir(), 'place-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, '.local', 'places.json');
  const there: Place = { account: '111122223333', region: 'eu-west-1' };
  const here: Place = { ...there, region: 'us-east-1' };
  expect(otherLastPlace('runners', here, file)).toBeUndefined();
  keepPlace('runners', there, file);
  expect([join(file, '..'), file].map((path) => (statSync(path).mode & 0o777).toString(8))).toEqual([
    '700',
    '600',
  ]);
  expect(otherLastPlace('runners', there, file)).toBeUndefined();
  expect(otherLastPlace('runners', here, file)).toEqual(there);
});

it.each([
  { endpoint: undefined, columns: 80, lines: ['Account 1, stack runners'] },
  { endpoint: 'http://a:1', columns: 80, lines: ['Account 1, stack runners, endpoint http://a:1'] },
  { endpoint: 'http://a:1', columns: 30, lines: ['Account 1, stack runners,', '  endpoint http://a:1'] },
  {
    endpoint: 'https://vpce-1.amazonaws.com',
    columns: 30,
    lines: ['Account 1, stack runners,', '  endpoint https://vpce-1.a...'],
  },
])(
  'shows the endpoint $endpoint in $columns columns, and breaks no address',
  ({ endpoint, columns, lines }) => {
    expect(withEndpoint('Account 1, stack runners', endpoint, columns)).toEqual(lines);
  },
);

it('reads the version of the bootstrap whose qualifier cdk.json names', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'place-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'cdk.json');
  expect(bootstrapQualifierOf(file)).toBe('hnb659fds');
  writeFileSync(file, '{"context": {"@aws-cdk/core:bootstrapQualifier": "builds"}}');
  expect(bootstrapQualifierOf(file)).toBe('builds');

  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const { Name } = Object(await bodyOf(request));
    asked.push(Name);
    response.end(JSON.stringify({ Parameter: { Value: '28' } }));
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const client = new SSMClient({
    endpoint: address(server),
    region: 'eu-west-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  });
  onTestFinished(() => client.destroy());
  expect(await bootstrapVersion(client, bootstrapQualifierOf(file))).toBe(28);
  await bootstrapVersion(client);
  expect(asked).toEqual(['/cdk-bootstrap/builds/version', '/cdk-bootstrap/hnb659fds/version']);
});
