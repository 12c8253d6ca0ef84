// The two side doors: the admin socket is administration for this user alone and never a vote; /metrics
// shows counts and nothing else.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { freePort, request, sendEmail, startServer } from '../e2e/harness.mjs';

let s;
let metrics;
before(async () => {
  const port = await freePort();
  metrics = `http://127.0.0.1:${port}`;
  s = await startServer({ config: { metrics_listen: `127.0.0.1:${port}` } });
});
after(() => s.stop());

const door = () => path.join(s.dir, 'data', 'admin.sock');

// One request, as text or as an object; {status, text, body}.
function ask(what) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path: door(), allowHalfOpen: true });
    const parts = [];
    socket.on('data', (d) => parts.push(d));
    socket.on('error', (e) => { if (e.code !== 'EPIPE' && e.code !== 'ECONNRESET') reject(e); });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      const all = Buffer.concat(parts).toString();
      const end = all.indexOf('\n');
      const text = all.slice(end + 1);
      let body;
      try { body = JSON.parse(text); } catch { body = undefined; }
      resolve({ status: Number(all.slice(0, end)), text, body });
    });
    socket.end(typeof what === 'string' ? what : JSON.stringify(what));
  });
}

function refused(answer, status, problem) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.body.type, `urn:countersign:${problem}`, answer.text);
}

test('the admin socket is for its owner', () => {
  assert.equal(fs.statSync(door()).mode & 0o777, 0o600);
});

test('another account is turned away even when the file lets it in', { skip: process.getuid() !== 0 && 'needs root' }, () => {
  const folders = [s.scratch, s.dir, path.dirname(door())].map((f) => [f, fs.statSync(f).mode & 0o777]);
  for (const [f] of folders) fs.chmodSync(f, 0o755);
  fs.chmodSync(door(), 0o666);
  try {
    const script = `const s = require('net').connect({ path: ${JSON.stringify(door())}, allowHalfOpen: true });
      let n = 0; s.on('connect', () => console.log('connected')); s.on('data', (d) => { n += d.length; });
      s.on('error', () => {}); s.on('end', () => s.destroy()); s.on('close', () => console.log('bytes', n));
      s.end(JSON.stringify({ method: 'GET', target: '/v1/people' }));`;
    const r = spawnSync(process.execPath, ['-e', script], { uid: 65534, gid: 65534, encoding: 'utf8', cwd: '/' });
    assert.match(r.stdout, /connected/, r.stderr);
    assert.match(r.stdout, /bytes 0/);
  } finally {
    fs.chmodSync(door(), 0o600);
    for (const [f, mode] of folders) fs.chmodSync(f, mode);
  }
});

test('it administers, through the same routes', async () => {
  const people = await ask({ method: 'GET', target: '/v1/people' });
  assert.equal(people.status, 200, people.text);
  assert.ok(people.text.includes('alice@example.com'));
  refused(await ask({ method: 'GET', target: '/v1/people?a=1&a=2' }), 400, 'malformed');
  refused(await ask({ method: 'GET', target: '/v1/people', workspace: 'nowhere' }), 404, 'not-found');
  refused(await ask({ method: 'PUT', target: '/v1/people' }), 405, 'method-not-allowed');
  refused(await ask({ method: 'GET', target: 'http://x/v1/people' }), 400, 'malformed');
  refused(await ask({ method: 'GET', target: '/v1/nothing' }), 404, 'not-found');
});

test('it never votes, freezes, proposes or calls a provider', async () => {
  const held = (await s.agent.propose(sendEmail())).body;
  const vote = { decision: 'approve', revision: held.revision, binding: held.binding };
  const tries = [['POST', `/v1/actions/${held.id}/votes`, vote], ['POST', `/v1/actions/${held.id}/reconcile`, { outcome: 'succeeded', evidence: 'x' }],
    ['POST', '/v1/freeze', { scope: { workspace: true }, reason: 'x' }], ['POST', '/v1/actions', sendEmail()],
    ['POST', `/v1/actions/${held.id}/cancel`, {}], ['GET', '/v1/me'], ['GET', '/v1/reviews'], ['GET', '/v1/events'],
    ['GET', `/v1/actions/${held.id}`], ['POST', '/proxy/crm-main/emails', {}]];
  for (const [method, target, body] of tries)
    refused(await ask({ method, target, ...(body ? { body } : {}) }), 403, 'wrong-principal');
  assert.equal((await s.agent.get(`/v1/actions/${held.id}`)).body.status, 'pending');
});

test('it reads as strictly as the network does', async () => {
  refused(await ask(''), 400, 'malformed');
  refused(await ask('{"method":"GET"'), 400, 'malformed');
  refused(await ask('{"method":"GET"}'), 400, 'malformed');
  refused(await ask('{"method":"GET","target":"/v1/people","method":"POST"}'), 400, 'duplicate-key');
  refused(await ask({ method: 'GET', target: '/v1/people', who: 'admin' }), 400, 'unknown-field');
  refused(await ask({ method: 'GET', target: '/v1/people\r\nx: y' }), 400, 'malformed');
  refused(await ask(JSON.stringify({ method: 'POST', target: '/v1/people', body: 'x'.repeat(1 << 20) })), 413, 'too-large');
  assert.equal((await ask({ method: 'GET', target: '/v1/people' })).status, 200);
});

test('many at once, and some that never speak, hold nobody up', async () => {
  const silent = Array.from({ length: 10 }, () => net.connect(door()));
  const answers = await Promise.all(Array.from({ length: 60 }, () => ask({ method: 'GET', target: '/v1/agents' })));
  for (const a of answers) assert.equal(a.status, 200, a.text);
  for (const socket of silent) socket.destroy();
});

test('/metrics: counts that move, in Prometheus\' format, and no other door', async () => {
  const read = async () => {
    const answer = await request(metrics, 'GET', '/metrics');
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    const values = {};
    for (const line of answer.text.trim().split('\n')) {
      const sample = /^([a-z_]+(?:\{[a-z]+="[^"]+"\})?) (\d+)$/.exec(line);
      assert.ok(sample || /^# (HELP|TYPE) /.test(line), line);
      if (sample) values[sample[1]] = Number(sample[2]);
    }
    return { values, text: answer.text };
  };
  const one = await read();
  await s.request('GET', '/nothing');
  await s.agent.propose(sendEmail());
  const two = await read();
  const moved = (name) => two.values[name] - one.values[name];
  assert.ok(moved('countersign_http_requests_total{class="4xx"}') >= 1);
  assert.ok(moved('countersign_http_requests_total{class="2xx"}') >= 1);
  assert.equal(moved('countersign_actions_proposed_total'), 1);
  assert.equal(moved('countersign_actions_held_total'), 1);
  assert.ok(moved('countersign_store_commits_total') >= 1);
  for (const name of ['http_queue', 'http_waiters', 'event_streams', 'http_connections', 'calls_in_flight'])
    assert.ok(`countersign_${name}` in two.values, name);
  assert.ok(!/act_|agt_|apr_|@/.test(two.text));
  assert.equal((await request(metrics, 'GET', '/v1/people')).status, 404);
  assert.equal((await request(metrics, 'POST', '/metrics')).status, 404);
  assert.equal((await s.request('GET', '/metrics')).status, 404);
});
