import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { KeptAnswers } from '../../simulator/kept-answers.ts';
import { failure } from '../support/said.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kept-answers-test-'));
  file = join(folder, 'trace.jsonl.partial');
});

afterEach(() => rmSync(folder, { recursive: true }));

const SOURCE = { url: 'https://circleci.com/api/v2', project: 'gh/acme/app', days: 30 };
const open = (time = '2026-11-25T12:00:00.000Z') => new KeptAnswers(file, SOURCE, new Date(time));

/** Says what the answer is, and whether it was asked for. */
async function answer(
  kept: KeptAnswers,
  path: string,
  fresh = path,
): Promise<{ is: string; asked: boolean }> {
  let asked = false;
  const is = await kept.answer(path, z.string(), async () => {
    asked = true;
    return fresh;
  });
  return { is, asked };
}

describe('kept answers', () => {
  it('are requested once, also by a later download, which keeps the period of the first', async () => {
    const first = open();
    expect(existsSync(file)).toBe(false);
    expect(await answer(first, '/job/1', 'one')).toEqual({ is: 'one', asked: true });
    const later = open('2026-11-26T09:00:00.000Z');
    expect(later).toMatchObject({
      size: 1,
      since: '2026-10-26T12:00:00.000Z',
      until: '2026-11-25T12:00:00.000Z',
    });
    expect(await answer(later, '/job/1')).toEqual({ is: 'one', asked: false });
    expect(await answer(later, '/job/2')).toEqual({ is: '/job/2', asked: true });
  });

  it('may end in an incomplete line, which is dropped', async () => {
    await answer(open(), '/job/1');
    appendFileSync(file, '{"path":"/job/2","answer":"\u00FCb');
    expect(await answer(open(), '/job/2')).toEqual({ is: '/job/2', asked: true });
    const whole = open();
    expect(whole.size).toBe(2);
    expect(await answer(whole, '/job/2')).toEqual({ is: '/job/2', asked: false });
  });

  it('may be empty, with an incomplete or a complete first line', async () => {
    await answer(open(), '/job/1');
    const [head = ''] = readFileSync(file, 'utf8').split('\n');
    for (const text of [head.slice(0, 20), `${head}\n`]) {
      writeFileSync(file, text);
      await answer(open(), '/job/1');
      expect(open().size).toBe(1);
    }
  });

  it('are refused if they belong to another download', async () => {
    await answer(open(), '/job/1');
    const error = await failure(open().answer('/job/1', z.number(), async () => 1));
    expect(error.message).toBe(`${file}: the answer of /job/1 is damaged. Delete the file.`);
  });
});
