// Requests that are too large, too slow, too many, or broken off: each gets a clear answer or an end,
// and everybody else goes on being served. No assertion looks at a clock.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer, until } from '../e2e/harness.mjs';
import { answers, exchange, statuses } from './http-wire.mjs';

const LIMITS = { request_time: '2s', headers: '8KiB', body: '64KiB', connections: 2000 };
let s;
before(async () => { s = await startServer({ config: { limits: LIMITS } }); });
after(() => s.stop());

const HOST = 'Host: x\r\n';
const healthy = async () => assert.equal((await s.request('GET', '/healthz')).status, 200);
const key = () => `Authorization: Bearer ${s.agentKey}\r\n`;

function refusal(got, status, code) {
  const [answer] = answers(got);
  assert.equal(answer?.status, status, got);
  assert.equal(JSON.parse(answer.body).type, `urn:countersign:${code}`, got);
  assert.equal(answer.headers['x-content-type-options'], 'nosniff', got);
  return answer;
}

// --- too large ------------------------------------------------------------------------------------

test('headers over the limit: 431 that says so', async () => {
  for (const lines of [`X-A: ${'a'.repeat(8200)}\r\n`, `X-B: ${'b'.repeat(400)}\r\n`.repeat(22)])
    refusal(await exchange(s.port, `GET /healthz HTTP/1.1\r\n${HOST}${lines}\r\n`), 431, 'headers-too-large');
  refusal(await exchange(s.port, `GET /${'c'.repeat(9000)} HTTP/1.1\r\n${HOST}\r\n`), 431, 'headers-too-large');
});

test('headers far over the limit: an end, with the library\'s own 431 or 414', async () => {
  for (const head of [`GET /healthz HTTP/1.1\r\n${HOST}X-A: ${'a'.repeat(1 << 20)}\r\n\r\n`,
    `GET /${'a'.repeat(1 << 20)} HTTP/1.1\r\n${HOST}\r\n`,
    `GET /healthz HTTP/1.1\r\n${HOST}${'A:\r\n'.repeat(100_000)}\r\n`]) {
    const got = statuses(await exchange(s.port, head));
    assert.ok(got.length === 0 || got[0] === 431 || got[0] === 414, String(got));
  }
  await healthy();
});

test('a body over the limit, announced or not: 413 that says so, and the connection ends', async () => {
  const body = 'x'.repeat(70_000);
  const post = `POST /v1/actions HTTP/1.1\r\n${HOST}${key()}Content-Type: application/json\r\n`;
  const next = `GET /healthz HTTP/1.1\r\n${HOST}\r\n`;
  for (const bytes of [`${post}Content-Length: ${body.length}\r\n\r\n${body}`,
    `${post}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`]) {
    const got = await exchange(s.port, bytes + next);
    assert.equal(refusal(got, 413, 'too-large').headers.connection, 'close');
    assert.equal(statuses(got).length, 1, got);
  }
});

test('a body of a terabyte is not waited for', async () => {
  const got = await exchange(s.port, `POST /v1/login HTTP/1.1\r\n${HOST}Content-Length: 1099511627776\r\n\r\n`);
  refusal(got, 413, 'too-large');
});

test('a client that asks first is refused before it sends its body', async () => {
  const got = await exchange(s.port, `POST /v1/login HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n`);
  refusal(got, 413, 'too-large');
});

test('a body without end is cut off', async () => {
  const piece = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  const got = await new Promise((resolve) => {
    const socket = net.connect(s.port, '127.0.0.1');
    let text = '';
    let sent = 0;
    const more = () => { while (sent < 1 << 30 && socket.write(piece)) sent += piece.length; };
    socket.on('data', (d) => { text += d; });
    socket.on('drain', more);
    socket.on('error', () => {}); // that is the point
    socket.on('close', () => resolve({ text, sent }));
    socket.write(`POST /v1/login HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
    more();
  });
  assert.ok(got.sent < 1 << 30, 'all of it was taken');
  for (const status of statuses(got.text)) assert.equal(status, 413);
  await healthy();
});

// --- too slow -------------------------------------------------------------------------------------

// Writes `head`, then a byte now and then until the other side ends it.
function drip(head, every = 200) {
  return new Promise((resolve) => {
    const socket = net.connect(s.port, '127.0.0.1');
    let got = '';
    socket.on('data', (d) => { got += d; });
    socket.on('error', () => {});
    socket.write(head);
    const timer = every ? setInterval(() => socket.write('x'), every) : null;
    socket.on('close', () => { clearInterval(timer); resolve(got); });
  });
}

test('a request that does not arrive in time is ended with 408', async () => {
  const [body, header, silent] = await Promise.all([
    drip(`POST /v1/login HTTP/1.1\r\n${HOST}Content-Length: 4000\r\n\r\n`),
    drip(`GET /healthz HTTP/1.1\r\n${HOST}X-A: `),
    drip(`POST /v1/login HTTP/1.1\r\n${HOST}Content-Length: 4000\r\n\r\n`, 0),
  ]);
  for (const got of [body, header, silent]) refusal(got, 408, 'request-timeout');
});

test('a request line that never ends, and a connection that says nothing, are ended', async () => {
  assert.equal(await drip('GET /heal'), '');
  assert.equal(await drip('', 0), '');
});

test('a few hundred slow connections: others are served, and all of the slow are ended', async () => {
  const slow = Array.from({ length: 400 }, (_, i) =>
    drip(i % 2 ? `GET /healthz HTTP/1.1\r\n${HOST}X-A: ` : `POST /v1/login HTTP/1.1\r\n${HOST}Content-Length: 4000\r\n\r\n`, 500));
  let open = slow.length;
  for (const p of slow) p.then(() => { open -= 1; });
  while (open > 0) {
    await healthy();
    await sleep(50);
  }
});

test('one that reads nothing of its answers holds nobody else', async () => {
  const socket = net.connect(s.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  socket.write(`GET /openapi.yaml HTTP/1.1\r\n${HOST}\r\n`.repeat(500));
  await healthy();
  socket.destroy();
});

// --- broken off and piled up ----------------------------------------------------------------------

test('connections that end at any point leave nothing behind', async () => {
  const whole = `POST /v1/actions HTTP/1.1\r\n${HOST}${key()}Content-Type: application/json\r\nContent-Length: 30\r\n\r\n{"connection":"nowhere","x":1}`;
  for (let cut = 0; cut <= whole.length; cut += 3)
    await new Promise((resolve) => {
      const socket = net.connect(s.port, '127.0.0.1', () => {
        socket.write(whole.slice(0, cut), () => { socket.resetAndDestroy(); resolve(); });
      });
      socket.on('error', resolve);
    });
  await healthy();
});

test('a client that leaves while it waits leaves nothing behind', async () => {
  const held = await s.agent.propose({ connection: 'crm-main', method: 'POST', path: '/emails', body: { to: 'a@example.com', subject: 's', text: 't' } });
  assert.equal(held.status, 202, held.text);
  for (let i = 0; i < 50; i++)
    await new Promise((resolve) => {
      const socket = net.connect(s.port, '127.0.0.1', () => socket.write(
        `GET /v1/actions/${held.body.id}?wait=1 HTTP/1.1\r\n${HOST}${key()}\r\n`, () => { socket.resetAndDestroy(); resolve(); }));
      socket.on('error', resolve);
    });
  await healthy();
});

test('two hundred requests in one write are answered in order', async () => {
  const paths = Array.from({ length: 200 }, (_, i) => (i % 2 ? '/healthz' : '/nothing'));
  const bytes = paths.map((p, i) => `GET ${p} HTTP/1.1\r\n${HOST}${i === 199 ? 'Connection: close\r\n' : ''}\r\n`).join('');
  assert.deepEqual(statuses(await exchange(s.port, bytes)), paths.map((p) => (p === '/healthz' ? 200 : 404)));
});

test('a thousand who wait do not keep one from being served, and all are answered', async () => {
  const held = await s.agent.propose({ connection: 'crm-main', method: 'POST', path: '/emails', body: { to: 'b@example.com', subject: 's', text: 't' } });
  const waiting = Array.from({ length: 1000 }, () =>
    exchange(s.port, `GET /v1/actions/${held.body.id}?wait=50 HTTP/1.1\r\n${HOST}${key()}Connection: close\r\n\r\n`));
  let over = 0;
  for (const w of waiting) w.then(() => { over += 1; });
  const alice = await s.login('alice');
  assert.equal((await alice.get('/v1/reviews')).status, 200);
  assert.equal(over, 0, 'some did not wait');
  const cancelled = await s.agent.post(`/v1/actions/${held.body.id}/cancel`, {});
  assert.equal(cancelled.status, 200, cancelled.text);
  for (const got of await Promise.all(waiting)) {
    const [answer] = answers(got);
    assert.equal(answer.status, 200, got);
    assert.equal(JSON.parse(answer.body).status, 'cancelled');
  }
});

// --- the end --------------------------------------------------------------------------------------

test('shutting down: what waits is told to come back, streams end, nobody new is let in', async () => {
  const held = await s.agent.propose({ connection: 'crm-main', method: 'POST', path: '/emails', body: { to: 'c@example.com', subject: 's', text: 't' } });
  const waiting = exchange(s.port, `GET /v1/actions/${held.body.id}?wait=50 HTTP/1.1\r\n${HOST}${key()}\r\n`);
  let stream = '';
  const ended = new Promise((resolve) => {
    const socket = net.connect(s.port, '127.0.0.1', () => socket.write(`GET /v1/events HTTP/1.1\r\n${HOST}${key()}\r\n`));
    socket.setEncoding('latin1').on('data', (d) => { stream += d; });
    socket.on('close', resolve);
  });
  await until(() => stream.includes('retry:'), 'the stream');
  await s.restart();
  const [answer] = answers(await waiting);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.connection, 'close');
  assert.equal(JSON.parse(answer.body).status, 'pending');
  await ended;
  assert.ok(stream.endsWith('0\r\n\r\n'), 'the stream ended as it should');
  await healthy();
});
