// What people do besides voting: signing in and out, the lists of what waits, notices, freezes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DAY, HOUR, MINUTE, addContact, expect, listContacts, request, sendEmail, startServer, transfer, unique } from './harness.mjs';

let s;
let alice;
let bob;
before(async () => {
  s = await startServer();
  alice = await s.login('alice');
  bob = await s.login('bob');
});
after(() => s?.stop());

const propose = async (body = sendEmail()) => expect(await s.agent.propose(body), 202).body;
const signIn = (body, headers) => request(s.url, 'POST', '/v1/login', { body, headers });
const good = (name) => ({ email: s.people[name].email, password: s.people[name].password });

// --- signing in -------------------------------------------------------------------------------------

test('login: csrf, person, and a cookie that scripts and other sites cannot use', async () => {
  const answer = expect(await signIn(good('carol')), 200);
  assert.ok(answer.body.csrf.length >= 16);
  assert.match(answer.body.person.id, /^apr_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
  assert.deepEqual([answer.body.person.email, answer.body.person.role], ['carol@example.com', 'approver']);
  assert.equal(answer.headers['set-cookie'].length, 1);
  const [pair, ...attributes] = answer.headers['set-cookie'][0].split(';').map((x) => x.trim());
  assert.match(pair, /^countersign=[^;\s]{20,}$/);
  const names = attributes.map((a) => a.toLowerCase());
  for (const wanted of ['httponly', 'samesite=strict', 'path=/']) assert.ok(names.includes(wanted), wanted);
  assert.ok(!names.includes('secure') && !names.some((n) => n.startsWith('domain')), 'plain http here');
  assert.match(answer.headers['cache-control'] ?? '', /no-store/);
});

test('behind https: __Host- and Secure', async () => {
  const secure = await startServer({ config: { public_url: 'https://countersign.example' } });
  try {
    const answer = expect(await request(secure.url, 'POST', '/v1/login', { body: { email: 'alice@example.com', password: secure.people.alice.password } }), 200);
    const [cookie] = answer.headers['set-cookie'];
    assert.match(cookie, /^__Host-countersign=/);
    assert.match(cookie, /;\s*Secure/i);
    assert.match(cookie, /;\s*Path=\//i);
    expect(await request(secure.url, 'GET', '/v1/me', { headers: { Cookie: cookie.split(';')[0] } }), 200);
    expect(await request(secure.url, 'GET', '/v1/me', { headers: { Cookie: cookie.split(';')[0].replace('__Host-', '') } }), 401);
  } finally {
    await secure.stop();
  }
});

test('a wrong password, a stranger, a malformed body: no session, and no telling which', async () => {
  const wrong = expect(await signIn({ ...good('carol'), password: 'not this one, no' }), 401);
  const stranger = expect(await signIn({ email: 'nobody@example.com', password: 'not this one, no' }), 401);
  assert.deepEqual([wrong.body.type, wrong.body.detail], [stranger.body.type, stranger.body.detail]);
  for (const answer of [wrong, stranger]) assert.equal(answer.headers['set-cookie'], undefined);
  for (const body of ['', '{}', { email: 'carol@example.com' }, { ...good('carol'), admin: true }, { email: 5, password: 'x' }])
    expect(await signIn(body), 400);
});

test('me and logout', async () => {
  const carol = await s.login('carol');
  const me = expect(await carol.get('/v1/me'), 200).body;
  assert.deepEqual([me.person.email, me.csrf], ['carol@example.com', carol.csrf]);
  expect(await carol.post('/v1/logout', {}, { 'X-CSRF-Token': 'wrong' }), 403, 'csrf');
  expect(await carol.get('/v1/me'), 200);
  assert.ok((await carol.post('/v1/logout', {})).status < 300);
  expect(await carol.get('/v1/me'), 401);
  expect(await carol.get('/v1/reviews'), 401);
});

test("a vote of a session that was signed out afterwards still counts", async () => {
  const a = await propose(transfer(unique('auth')));
  const again = await s.login('alice');
  expect(await again.vote(a, 'approve'), 200);
  assert.ok((await again.post('/v1/logout', {})).status < 300);
  assert.equal((await s.agent.get(`/v1/actions/${a.id}`)).body.approvals.given, 1);
});

test('every change needs the token', async () => {
  const a = await propose();
  const cookie = { Cookie: alice.cookie };
  for (const [method, path] of [['POST', `/v1/actions/${a.id}/votes`], ['POST', '/v1/freeze'], ['POST', '/v1/logout'], ['DELETE', '/v1/freeze/frz_00000000000000000000000000'],
    ['POST', `/v1/actions/${a.id}/reconcile`]])
    expect(await request(s.url, method, path, { headers: cookie, body: {} }), 403, 'csrf');
});

// --- lists ------------------------------------------------------------------------------------------

test('reviews: what waits for me, most urgent first', async () => {
  const [late, soon] = [await propose(sendEmail()), await propose(transfer(unique('auth')))];
  const ids = async (person, query = '') => expect(await person.get(`/v1/reviews?limit=200${query}`), 200).body.items;
  const mine = await ids(alice);
  const places = [soon, late].map((a) => mine.findIndex((x) => x.id === a.id));
  assert.ok(places[0] >= 0 && places[0] < places[1], 'the one with less time comes first');
  const deadlines = mine.map((a) => a.decide_by);
  assert.deepEqual(deadlines, [...deadlines].sort());
  assert.deepEqual((await ids(alice, '&scope=mine')).map((a) => a.id), mine.map((a) => a.id));
  const owner = await s.login('admin');
  assert.ok(!(await ids(owner)).some((a) => a.id === late.id), 'not for the owner of the agent');
  assert.ok((await ids(owner, '&scope=all')).some((a) => a.id === late.id));
  assert.deepEqual((await ids(await s.login('auditor'))).length, 0);
  expect(await alice.vote(soon, 'approve'), 200);
  assert.ok(!(await ids(alice)).some((a) => a.id === soon.id), 'I have voted');
  assert.ok((await ids(bob)).some((a) => a.id === soon.id), 'bob has not');
  expect(await bob.vote(soon, 'reject'), 200);
  assert.ok(!(await ids(bob, '&scope=all')).some((a) => a.id === soon.id));
  assert.equal((await ids(bob, '&scope=decided'))[0].id, soon.id);
  expect(await alice.get('/v1/reviews?scope=nonsense'), 400);
});

test('reviews: page by page, each once', async () => {
  const made = [];
  for (let i = 0; i < 7; i++) made.push((await propose()).id);
  const seen = [];
  for (let cursor = '', n = 0; n < 50; n++) {
    const page = expect(await alice.get(`/v1/reviews?limit=3${cursor}`), 200).body;
    assert.ok(page.items.length <= 3);
    seen.push(...page.items.map((a) => a.id));
    if (page.next === null) break;
    cursor = `&cursor=${encodeURIComponent(page.next)}`;
  }
  assert.equal(new Set(seen).size, seen.length);
  assert.deepEqual(made.filter((id) => !seen.includes(id)), []);
});

test('notices: what ran at tier 1, until somebody has seen it', async () => {
  const a = expect(await s.agent.propose(addContact()), 200).body;
  await s.agent.propose(listContacts());
  const notices = async () => expect(await alice.get('/v1/notices?limit=200'), 200).body.items;
  const mine = (await notices()).find((n) => n.action === a.id);
  assert.equal(mine.seen, false);
  assert.ok((await notices()).every((n) => n.operation !== 'contacts.list'), 'tier 0 is not worth one');
  expect(await bob.post(`/v1/notices/${a.id}/seen`, {}), 200);
  assert.equal((await notices()).find((n) => n.action === a.id).seen, true);
  expect(await bob.post('/v1/notices/act_00000000000000000000000000/seen', {}), 404);
});

// --- freeze -----------------------------------------------------------------------------------------

const freeze = async (scope, person = alice) => expect(await person.post('/v1/freeze', { scope, reason: 'testing' }), 200).body.id;
const release = async (id, person = alice) => { const r = await person.delete(`/v1/freeze/${id}`); assert.ok(r.status < 300, r.text); };

const SCOPES = {
  workspace: [() => ({ workspace: true }), 503, 503],
  agent: [() => ({ agent: 'bot' }), 503, 503],
  connection: [() => ({ connection: 'crm-main' }), 503, 200],
  operation: [() => ({ operation: 'crm/contacts.list' }), 503, 200],
};
for (const [name, [scope, here, elsewhere]] of Object.entries(SCOPES)) {
  test(`freeze of ${name}: tiers 0 and 1 get 503 frozen and nothing happens`, async () => {
    const plaid = { connection: 'plaid-main', method: 'POST', path: '/item/get', body: {} };
    const other = (await s.addAgent(unique('other'))).client;
    const id = await freeze(scope());
    assert.match(id, /^frz_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
    const listed = expect(await bob.get('/v1/freeze'), 200).body;
    assert.ok(listed.items.some((f) => f.id === id && f.reason === 'testing'));
    const sent = (await s.sandbox.requests()).length;
    const rows = await s.rows();
    expect(await s.agent.propose(listContacts()), here, 'frozen');
    if (name !== 'operation') expect(await s.agent.propose(addContact()), 503, 'frozen');
    assert.deepEqual(await s.rows(), rows);
    assert.equal((await s.sandbox.requests()).length, sent);
    expect(await s.agent.propose(plaid), elsewhere);
    expect(await other.propose(listContacts()), name === 'agent' ? 200 : 503);
    await release(id);
    expect(await s.agent.propose(listContacts()), 200);
    assert.ok(!expect(await bob.get('/v1/freeze'), 200).body.items.some((f) => f.id === id));
  });
}

test('frozen: what was approved waits; release sends it, once', async () => {
  const body = sendEmail();
  const id = await freeze({ connection: 'crm-main' });
  const second = await freeze({ operation: 'crm/emails.send' }, bob);
  const a = await propose(body);
  assert.equal(expect(await alice.vote(a, 'approve'), 200).body.status, 'approved');
  assert.equal((await s.agent.get(`/v1/actions/${a.id}?wait=1`)).body.status, 'approved');
  await release(id);
  assert.equal((await s.agent.get(`/v1/actions/${a.id}?wait=1`)).body.status, 'approved', 'the other one still holds it');
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 0);
  await release(second, bob);
  await s.settled(a.id, 'succeeded');
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
});

test('a freeze outlives a restart', async () => {
  const body = sendEmail();
  const id = await freeze({ workspace: true });
  const a = await propose(body);
  expect(await alice.vote(a, 'approve'), 200);
  await s.restart();
  expect(await s.agent.propose(listContacts()), 503, 'frozen');
  assert.equal((await s.agent.get(`/v1/actions/${a.id}`)).body.status, 'approved');
  expect(await alice.get('/v1/me'), 200);
  await release(id);
  await s.settled(a.id, 'succeeded');
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
});

test('malformed freezes, and who may', async () => {
  for (const body of [{}, { scope: {}, reason: 'x' }, { scope: { workspace: true, agent: 'bot' }, reason: 'x' }, { scope: { workspace: true } },
    { scope: { workspace: true }, reason: ' ' }, { scope: { workspace: false }, reason: 'x' }, { scope: { wrokspace: true }, reason: 'x' }])
    expect(await alice.post('/v1/freeze', body), 400);
  for (const scope of [{ agent: 'nobody' }, { connection: 'nowhere' }, { operation: 'crm/nothing' }])
    expect(await alice.post('/v1/freeze', { scope, reason: 'x' }), 404);
  expect(await (await s.login('auditor')).post('/v1/freeze', { scope: { workspace: true }, reason: 'x' }), 403);
  expect(await alice.delete('/v1/freeze/frz_00000000000000000000000000'), 404);
  assert.equal(expect(await alice.get('/v1/freeze'), 200).body.items.length, 0);
});

// --- health -----------------------------------------------------------------------------------------

test('health and the description of the API', async () => {
  expect(await s.request('GET', '/healthz'), 200);
  expect(await s.request('GET', '/readyz'), 200);
  const openapi = expect(await s.request('GET', '/openapi.yaml'), 200);
  assert.match(openapi.text, /^openapi: ['"]?3\.1/m);
});

// --- time, last: it does not go back ----------------------------------------------------------------

test('a session that is not used for an hour ends; one that is used lasts 8 hours', async () => {
  const [idle, busy] = [await s.login('carol'), await s.login('carol')];
  for (let i = 0; i < 9; i++) {
    s.clock(s.offset + 50 * MINUTE);
    expect(await busy.get('/v1/me'), 200);
    if (i === 1) expect(await idle.get('/v1/me'), 401);
  }
  s.clock(s.offset + 31 * MINUTE); // 8 hours and a minute
  expect(await busy.get('/v1/me'), 401);
});

test('a vote is worth no longer than the sign-in behind it', async () => {
  const a = await propose(transfer(unique('auth')));
  const b = await propose({ connection: 'crm-main', method: 'POST', path: '/not/listed', body: { n: unique('n') } });
  alice = await s.login('alice');
  expect(await alice.vote(a, 'approve'), 200);
  expect(await alice.vote(b, 'approve'), 200);
  s.clock(s.offset + 8 * HOUR + MINUTE);
  assert.equal((await s.agent.get(`/v1/actions/${b.id}`)).body.approvals.given, 0);
  bob = await s.login('bob');
  const after = expect(await bob.vote(b, 'approve'), 200).body;
  assert.deepEqual([after.status, after.approvals.given], ['pending', 1]);
  expect(await (await s.login('alice')).vote(b, 'approve'), 200);
  assert.equal((await s.settled(b.id, (x) => x.ended_at !== null)).status, 'failed'); // 404 at the sandbox: it was sent
});

test('too many wrong passwords: 429 login-throttled with Retry-After, for the right one too, for a while', async () => {
  s.clock(s.offset + DAY);
  let answer;
  for (let i = 0; i < 30; i++) {
    answer = await signIn({ ...good('carol'), password: `guess number ${i}` });
    if (answer.status !== 401) break;
  }
  expect(answer, 429, 'login-throttled');
  assert.match(answer.headers['retry-after'], /^\d+$/);
  expect(await signIn(good('carol')), 429, 'login-throttled');
  s.clock(s.offset + 16 * MINUTE);
  expect(await signIn(good('carol')), 200);
});
