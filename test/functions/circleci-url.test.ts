import { describe, expect, it } from 'vitest';
import { faultOfCircleCiUrl, samePlace } from '../../functions/lib/circleci-url.ts';

describe('a token may be sent to', () => {
  it.each([
    'https://runner.circleci.com',
    'https://runner.circleci.com/',
    'https://circleci.acme.example/base/path',
    'https://circleci.acme.example:443',
    'http://127.0.0.1:8080',
    'http://localhost:8080',
    'https://[::1]:8443',
  ])('%s', (url) => {
    expect(faultOfCircleCiUrl(url)).toBeUndefined();
  });
});

describe('a token must not be sent to', () => {
  it.each([
    ['runner.circleci.com', 'must be a URL'],
    ['', 'must be a URL'],
    ['http://runner.circleci.com', 'https://'],
    ['http://localhost.evil.example', 'https://'],
    ['http://127.0.0.1.evil.example', 'https://'],
    ['ftp://runner.circleci.com', 'https://'],
    ['file:///etc/passwd', 'https://'],
    ['javascript:alert(1)', 'https://'],
    ['https://evil.example/collect?', 'query'],
    ['https://evil.example/collect#', 'fragment'],
    ['https://runner.circleci.com@evil.example', 'user'],
    ['https://:secret@evil.example', 'user'],
    ['https://circleci.acme.example:8443', 'port'],
  ])('%s', (url, says) => {
    expect(faultOfCircleCiUrl(url)).toContain(says);
  });
});

describe('the place of a secret', () => {
  it.each([
    ['https://runner.circleci.com', 'https://runner.circleci.com/', true],
    ['https://RUNNER.circleci.com', 'https://runner.circleci.com', true],
    ['https://runner.circleci.com:443', 'https://runner.circleci.com', true],
    ['https://runner.circleci.com', 'https://runner.circleci.com.evil.example', false],
    ['https://circleci.acme.example/a', 'https://circleci.acme.example/b', false],
  ])('%s and %s: %s', (one, other, same) => {
    expect(samePlace(one, other)).toBe(same);
  });
});
