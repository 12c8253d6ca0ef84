// Resume: the agent is woken by a webhook that it can verify, at addresses that an admin allowed and no
// others, and by the stream of events.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { HOUR, MINUTE, authorization, expect, listContacts, request, sendEmail, sleep, startReceiver, startServer, unique, until } from './harness.mjs';

let s;
let receiver;
let alice;
before(async () => {
  receiver = await startReceiver();
  s = await startServer({ resumeUrls: [`${receiver.url}/hook`] });
  alice = await s.login('alice');
});
after(async () => {
  await s?.stop();
  await receiver?.stop();
});
beforeEach(() => s.sandbox.clearRules());

const target = (more = {}) => [{ type: 'webhook', url: `${receiver.url}/hook/${unique('t')}`, ...more }];
const at = (resume) => receiver.got.filter((g) => resume.some((t) => t.url.endsWith(g.path)));
const propose = async (body) => expect(await s.agent.propose(body), 202).body;
const arrived = (resume, n) => until(() => at(resume).length >= n, () => `webhook ${n}; there are ${at(resume).map((g) => g.text)}`);
const decide = async (a, decision = 'approve') => expect(await alice.vote(a, decision), 200).body;

// Verifies as the Standard Webhooks libraries do.
function verify({ headers, text }, secret = s.webhookSecret) {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`;
  const expected = `v1,${crypto.createHmac('sha256', key).update(signed).digest('base64')}`;
  return headers['webhook-signature'].split(' ').includes(expected);
}

test('the ended action arrives, signed, with the secret that agent add printed', async () => {
  assert.match(s.webhookSecret ?? '', /^whsec_[A-Za-z0-9+/]{24,}={0,2}$/);
  const resume = target();
  const a = await propose({ ...sendEmail(), state: { step: 3 }, thread_id: 't-9', resume });
  assert.equal(at(resume).length, 0);
  await decide(a);
  await arrived(resume, 1);
  const [hook] = at(resume);
  assert.equal(hook.method, 'POST');
  assert.match(hook.headers['content-type'], /^application\/json/);
  assert.equal(hook.headers['webhook-id'], `${a.id}.1.succeeded`);
  assert.ok(Math.abs(Number(hook.headers['webhook-timestamp']) * 1000 - s.now()) < 5 * MINUTE, hook.headers['webhook-timestamp']);
  assert.ok(verify(hook), 'the signature');
  assert.ok(!verify({ ...hook, text: `${hook.text} ` }) && !verify({ ...hook, headers: { ...hook.headers, 'webhook-id': 'x' } }));
  assert.deepEqual(Object.keys(hook.body).sort(), ['data', 'timestamp', 'type']);
  assert.equal(hook.body.type, 'action.ended');
  assert.match(hook.body.timestamp, /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/);
  const { deliveries: _, ...sent } = hook.body.data;
  const { deliveries, ...seen } = await s.settled(a.id, (x) => x.deliveries?.[0]?.state === 'delivered');
  assert.deepEqual(sent, seen);
  assert.deepEqual([deliveries.length, deliveries[0].url, deliveries[0].event], [1, resume[0].url, 'ended'], 'its state can be seen');
  assert.deepEqual([hook.body.data.state, hook.body.data.thread_id, hook.body.data.result.status], [{ step: 3 }, 't-9', 202]);
});

for (const decision of ['reject', 'cancel']) {
  test(`${decision}: told too`, async () => {
    const resume = target();
    const a = await propose({ ...sendEmail(), resume });
    if (decision === 'reject') await decide(a, 'reject');
    else expect(await s.agent.post(`/v1/actions/${a.id}/cancel`), 200);
    await arrived(resume, 1);
    const [hook] = at(resume);
    assert.equal(hook.headers['webhook-id'], `${a.id}.1.${hook.body.data.status}`);
    assert.equal(hook.body.data.status, decision === 'reject' ? 'rejected' : 'cancelled');
    assert.ok(verify(hook));
  });
}

test('pending, blocked and ended, when asked for', async () => {
  const resume = target({ events: ['pending', 'blocked', 'ended'] });
  const a = await propose({ ...authorization('77.01'), resume });
  await arrived(resume, 1);
  await s.sandbox.rule({ path: '/transfer/authorization/create', mode: 'item_login_required', times: 1 });
  await decide(a);
  await arrived(resume, 2);
  expect(await s.agent.post(`/v1/actions/${a.id}/cancel`), 200);
  await arrived(resume, 3);
  assert.deepEqual(at(resume).map((g) => [g.body.type, g.body.data.status, g.headers['webhook-id']]), [
    ['action.pending', 'pending', `${a.id}.1.pending`], ['action.blocked', 'blocked', `${a.id}.1.blocked`],
    ['action.ended', 'cancelled', `${a.id}.1.cancelled`]]);
  assert.ok(at(resume).every((g) => verify(g)));
});

test('a call that ends at once is told as well', async () => {
  const resume = target();
  const a = expect(await s.agent.propose({ ...listContacts(), resume }), 200).body;
  await arrived(resume, 1);
  assert.equal(at(resume)[0].headers['webhook-id'], `${a.id}.1.succeeded`);
});

test('a joining call adds its target', async () => {
  const [first, second] = [target(), target()];
  const body = sendEmail();
  const a = await propose({ ...body, resume: first });
  assert.equal((await propose({ ...body, resume: second })).id, a.id);
  assert.equal((await propose({ ...body, resume: second })).id, a.id);
  await decide(a);
  await arrived(first, 1);
  await arrived(second, 1);
  await sleep(300);
  assert.deepEqual([at(first).length, at(second).length], [1, 1], 'each once');
});

test('refused with 500, tried again, the same webhook-id', async () => {
  receiver.answer(500, 503, 204);
  const resume = target();
  const a = await propose({ ...sendEmail(), resume });
  await decide(a);
  await arrived(resume, 1);
  await until(async () => { s.clock(s.offset + 5000); return at(resume).length >= 3; }, 'the third try');
  const tries = at(resume);
  assert.deepEqual(tries.map((g) => g.status), [500, 503, 204]);
  assert.equal(new Set(tries.map((g) => g.headers['webhook-id'])).size, 1);
  assert.ok(tries.every((g) => verify(g)), 'each signed with its own timestamp');
  await until(async () => (await s.audit(`&action=${a.id}&type=action.delivered`)).length > 0, 'action.delivered in the audit log');
});

test('after 24 hours in vain it stops; a person sends it again', async () => {
  receiver.answer(500);
  const resume = target();
  const a = await propose({ ...sendEmail(), resume });
  await decide(a, 'reject');
  await arrived(resume, 1);
  s.clock(s.offset + 25 * HOUR);
  await s.settled(a.id, (x) => x.deliveries[0].state === 'failed');
  receiver.answer(204);
  alice = await s.login('alice'); // the clock has been moved
  expect(await alice.post(`/v1/actions/${a.id}/redeliver`, {}), 200);
  await until(() => at(resume).some((g) => g.status === 204), 'the delivery');
  expect(await (await s.login('auditor')).post(`/v1/actions/${a.id}/redeliver`, {}), 403, 'wrong-principal');
});

test('a redirect is not followed', async () => {
  const other = await startReceiver(204);
  let asked = 0;
  const redirecting = http.createServer((req, res) => {
    asked += 1;
    res.writeHead(302, { Location: `${other.url}/stolen` }).end();
  });
  await new Promise((resolve) => redirecting.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${redirecting.address().port}/`;
    const { client } = await s.addAgent('redirected', { resumeUrls: [url] });
    expect(await client.propose({ ...listContacts(), resume: [{ type: 'webhook', url: `${url}x` }] }), 200);
    await until(() => asked > 0, 'the webhook');
    await sleep(300);
    assert.equal(other.got.length, 0);
  } finally {
    redirecting.close();
    redirecting.closeAllConnections();
    await other.stop();
  }
});

// --- where to ---------------------------------------------------------------------------------------

test('resume-not-allowed: whatever is not under a prefix that the agent was given', async () => {
  const { host, port } = new URL(receiver.url);
  const rows = await s.rows();
  for (const url of [`${receiver.url}/other`, `${receiver.url}/`, `http://${host}@evil.example/hook`, `http://127.0.0.1:${port}0/hook`,
    `http://127.0.0.2:${port}/hook`, `https://${host}/hook`, 'http://169.254.169.254/hook', `http://user:pw@${host}/hook`])
    expect(await s.agent.propose({ ...sendEmail(), resume: [{ type: 'webhook', url }] }), 403, 'resume-not-allowed');
  for (const url of [`${receiver.url}/hook/../other`, `${receiver.url}/hook/%2e%2e/other`, `${receiver.url}/hook\\..\\other`, 'file:///etc/passwd', ''])
    assert.ok([400, 403].includes((await s.agent.propose({ ...sendEmail(), resume: [{ type: 'webhook', url }] })).status), url);
  assert.deepEqual(await s.rows(), rows, 'nothing is stored');
  const { client } = await s.addAgent('no-urls');
  expect(await client.propose({ ...sendEmail(), resume: target() }), 403, 'resume-not-allowed');
});

test('malformed targets', async () => {
  for (const resume of [[{ type: 'pigeon', url: `${receiver.url}/hook` }], [{ type: 'webhook' }], [{ url: `${receiver.url}/hook` }], ['x'],
    [{ type: 'webhook', url: `${receiver.url}/hook`, events: ['never'] }], [{ type: 'webhook', url: `${receiver.url}/hook`, events: 'ended' }]])
    expect(await s.agent.propose({ ...sendEmail(), resume }), 400);
});

test("another agent's secret does not verify", async () => {
  const { client, webhookSecret } = await s.addAgent('second', { resumeUrls: [`${receiver.url}/hook`] });
  const resume = target();
  expect(await client.propose({ ...listContacts(), resume }), 200);
  await arrived(resume, 1);
  assert.notEqual(webhookSecret, s.webhookSecret);
  assert.ok(verify(at(resume)[0], webhookSecret) && !verify(at(resume)[0]));
});

// --- the stream of events ---------------------------------------------------------------------------

// Opens the stream; `events` grows. {events, close, headers}
function stream(key, headers = {}) {
  const events = [];
  let rest = '';
  const { hostname, port } = new URL(s.url);
  return new Promise((resolve, reject) => {
    const req = http.get({ hostname, port, path: '/v1/events', agent: false, headers: { Authorization: `Bearer ${key}`, ...headers } }, (res) => {
      res.setEncoding('utf8').on('data', (d) => {
        const blocks = (rest + d).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) {
          const field = (name) => block.split('\n').filter((l) => l.startsWith(`${name}:`)).map((l) => l.slice(name.length + 1).trimStart()).join('\n');
          if (field('data')) events.push({ event: field('event'), id: field('id'), data: JSON.parse(field('data')) });
        }
      });
      res.on('error', () => {});
      resolve({ events, status: res.statusCode, headers: res.headers, close: () => req.destroy() });
    });
    req.on('error', reject);
  });
}

test("the stream carries the agent's own actions; Last-Event-ID takes it up again", async () => {
  const { key, client } = await s.addAgent('streamer');
  const live = await stream(key);
  assert.equal(live.status, 200);
  assert.match(live.headers['content-type'], /^text\/event-stream/);
  const a = expect(await client.propose(sendEmail()), 202).body;
  await propose(sendEmail()); // another agent's
  await until(() => live.events.some((e) => e.data.id === a.id && e.data.status === 'pending'), 'the pending event');
  await decide(a, 'reject');
  await until(() => live.events.some((e) => e.data.id === a.id && e.data.status === 'rejected'), 'the rejected event');
  assert.ok(live.events.every((e) => e.event === 'action' && e.id !== '' && e.data.id === a.id), JSON.stringify(live.events));
  const last = live.events.at(-1);
  assert.deepEqual(last.data, expect(await client.get(`/v1/actions/${a.id}`), 200).body);
  live.close();

  const b = expect(await client.propose(sendEmail()), 202).body;
  const resumed = await stream(key, { 'Last-Event-ID': last.id });
  await until(() => resumed.events.some((e) => e.data.id === b.id), 'what was missed');
  assert.ok(!resumed.events.some((e) => e.data.id === a.id), 'and not what was seen');
  resumed.close();
  const nonsense = await request(s.url, 'GET', '/v1/events', { headers: { Authorization: `Bearer ${key}`, 'Last-Event-ID': 'nonsense' } });
  expect(nonsense, 400);
});

test('a comment line keeps the stream open', async () => {
  const { hostname, port } = new URL(s.url);
  const text = await s.raw(`GET /v1/events HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${s.agentKey}\r\n\r\n`,
    (got) => /\n:[^\n]*\n/.test(got.slice(got.indexOf('\r\n\r\n'))));
  assert.match(text, /^HTTP\/1\.1 200 /);
});
