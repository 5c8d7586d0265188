import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { limits, SIZES } from '../../tools/limits.ts';

const page = limits();
const rows = page
  .split('\n')
  .flatMap((line) => (line.startsWith('| ') ? [line.slice(2, -2).split(' | ')] : []));

describe('docs/limits.md', () => {
  it('is current; `npm run generate -- limits` writes it', () => {
    expect(readFileSync('docs/limits.md', 'utf8')).toBe(page);
  });

  it('counts what each fleet has in its stack', () => {
    const used = (what: string) => rows.find(([quota = '']) => quota.startsWith(`[${what}`))?.slice(2, 6);
    expect(SIZES).toEqual([20, 100, 500, 1_000]);
    expect(used('Auto Scaling groups')).toEqual(['20', '100', '500', '**1,000**']);
    expect(used('stacks')).toEqual(['21', '101', '501', '1,001']);
  });

  it('names first the quota that fleets use most, and says how much', () => {
    const firsts = rows.filter(([fleets = '']) => /^[\d,]+$/.test(fleets));
    expect(firsts).toHaveLength(SIZES.length);
    for (const [index, [, what = '', share = '']] of firsts.entries()) {
      const shares = rows
        .filter(([quota = '']) => quota.startsWith('['))
        .map((cells) => {
          const [quota, used] = [cells[1], cells[2 + index]].map((cell) =>
            Number(cell?.replace(/[*,]/g, '')),
          );
          return { quota: cells[0], share: (100 * (used ?? 0)) / (quota ?? 1) };
        });
      const most = shares.toSorted((a, b) => b.share - a.share)[0];
      expect(most?.quota).toContain(`[${what}]`);
      expect(share).toBe(`${Math.round(most?.share ?? 0)} %`);
    }
  });
});
