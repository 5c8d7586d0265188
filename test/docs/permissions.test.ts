import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { permissions } from '../../tools/permissions.ts';

const page = permissions();

describe('docs/permissions.md', () => {
  it('is current; `npm run generate -- permissions` writes it', () => {
    expect(readFileSync('docs/permissions.md', 'utf8')).toBe(page);
  });

  it('says of each role who assumes it, and what it may do on which resources', () => {
    const [, ...roles] = page.split(/^### /m);
    expect(roles.length).toBeGreaterThan(10);
    for (const role of roles) expect(role).toMatch(/Assumed by `[a-z0-9]+\.amazonaws\.com`/);
    const [updates = ''] = roles.filter((role) => role.startsWith('Update Group\n'));
    expect(updates).toMatch(/`autoscaling:SetDesiredCapacity`.*circleci-runners-\*/);
    expect(updates).not.toContain('secretsmanager:');
  });

  it('shows nothing of the account in which it is generated, and no text that CloudFormation must fill in', () => {
    expect(page).not.toMatch(/\d{12}|Fn::|\$\{/);
  });
});
