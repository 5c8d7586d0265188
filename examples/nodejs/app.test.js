import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { app } from './app.js';

test('greets by name', async () => {
  const server = app().listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/?name=CircleCI`);
    assert.deepEqual(await answer.json(), { greeting: 'Hello, CircleCI' });
  } finally {
    server.close();
  }
});
