import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

/** A server that greets whoever asks. */
export const app = () =>
  createServer((request, response) => {
    const name = new URL(request.url, 'http://localhost').searchParams.get('name') ?? 'runner';
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ greeting: `Hello, ${name}` }));
  });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  app().listen(3000, '127.0.0.1', () => console.log('Listening on http://127.0.0.1:3000'));
}
