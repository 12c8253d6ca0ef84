// "Joining": when a repeated call is the same action and when it is a new one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DAY, HOUR, MINUTE, PROVIDER, addContact, authorization, expect, listContacts, sendEmail, startServer, transfer, unique, until } from './harness.mjs';

let s;
let other;
before(async () => {
  s = await startServer();
  other = (await s.addAgent('other')).client;
  await s.addConnection('crm-two', 'crm', `${s.sandbox.url}/crm`, { token: PROVIDER.secret });
});
after(() => s?.stop());

const pass = (ms) => s.clock(s.offset + ms);
const propose = async (body, agent = s.agent, headers = {}) => {
  const answer = await agent.propose(body, headers);
  assert.ok(answer.status === 200 || answer.status === 202, answer.text);
  return answer.body;
};
// A fresh session each time: the clock is moved about in this file.
const decide = async (a, decision = 'approve', who = 'alice') => expect(await (await s.login(who)).vote(a, decision), 200).body;

// Approves it and waits for its end by a person's eyes, so that its agent has not been told.
async function approveUntold(a) {
  await decide(a);
  const bob = await s.login('bob');
  await until(async () => (await bob.get(`/v1/actions/${a.id}`)).body.status === 'succeeded', 'the action to succeed');
}

// --- with a key -------------------------------------------------------------------------------------

test('same key, same payload: the existing action, and nothing new is stored', async () => {
  const body = { ...sendEmail(), idempotency_key: unique('k') };
  const first = await propose({ ...body, note: 'one', state: { n: 1 }, thread_id: 'one' });
  const rows = await s.rows();
  const second = await propose({ ...body, note: 'two', state: { n: 2 }, thread_id: 'two' });
  assert.equal(second.id, first.id);
  assert.deepEqual([second.state, second.thread_id], [{ n: 1 }, 'one'], "the joining call's state and thread are ignored");
  assert.deepEqual(await s.rows(), rows);
  const seen = (await (await s.login('alice')).get(`/v1/actions/${first.id}`)).body;
  assert.equal(seen.note, 'one');
});

test('payload is what counts: the order of keys does not, any value does', async () => {
  const idempotency_key = unique('k');
  const base = { connection: 'crm-main', method: 'POST', path: '/emails', idempotency_key };
  const first = await propose({ ...base, body: { to: 'a@example.com', subject: 'x', n: 1 } });
  assert.equal((await propose({ ...base, body: { n: 1, subject: 'x', to: 'a@example.com' } })).id, first.id);
  assert.equal((await propose('{"connection":"crm-main","method":"POST","path":"/emails","idempotency_key":"' + idempotency_key +
    '", "body": {"n":1.0, "subject":"\\u0078","to":"a@example.com"}}')).id, first.id, 'nor the spelling');
  for (const other of [{ body: { to: 'a@example.com', subject: 'x', n: 2 } }, { body: { to: 'a@example.com', subject: 'x' } },
    { body: { to: 'a@example.com', subject: 'x', n: 1 }, query: { a: 'b' } }, { body: { to: 'a@example.com', subject: 'x', n: '1' } },
    { path: '/contacts', body: { to: 'a@example.com', subject: 'x', n: 1 } }])
    expect(await s.agent.propose({ ...base, ...other }), 422, 'idempotency-mismatch');
});

test('a key belongs to one agent and one connection', async () => {
  const body = { ...sendEmail(), idempotency_key: unique('k') };
  const first = await propose(body);
  const theirs = await propose(body, other);
  assert.notEqual(theirs.id, first.id);
  const wide = (await s.addAgent('wide', { connections: ['crm-main', 'crm-two'] })).client;
  const here = await propose(body, wide);
  const there = await propose({ ...sendEmail(), connection: 'crm-two', idempotency_key: body.idempotency_key }, wide);
  assert.notEqual(here.id, there.id);
});

test('tiers 0 and 1 join with a key, never without', async () => {
  const contact = addContact();
  const [a, b] = [await propose(contact), await propose(contact)];
  assert.notEqual(a.id, b.id);
  assert.equal(await s.sandbox.effect(`contact:${contact.body.email}`), 2);
  assert.notEqual((await propose(listContacts())).id, (await propose(listContacts())).id);
  const keyed = { ...addContact(), idempotency_key: unique('k') };
  const first = await propose(keyed);
  assert.equal((await propose(keyed)).id, first.id);
  assert.equal(await s.sandbox.effect(`contact:${keyed.body.email}`), 1);
});

test('twenty times the same call at once is one action', async () => {
  for (const body of [{ ...sendEmail(), idempotency_key: unique('k') }, sendEmail()]) {
    const all = await Promise.all(Array.from({ length: 20 }, () => propose(body)));
    assert.equal(new Set(all.map((a) => a.id)).size, 1);
  }
  const keyed = { ...addContact(), idempotency_key: unique('k') };
  const all = await Promise.all(Array.from({ length: 20 }, () => propose(keyed)));
  assert.equal(new Set(all.map((a) => a.id)).size, 1);
  assert.equal(await s.sandbox.effect(`contact:${keyed.body.email}`), 1);
});

// --- without a key ----------------------------------------------------------------------------------

test('an identical payload joins while it is pending; another payload or agent does not', async () => {
  const body = sendEmail();
  const first = await propose(body);
  assert.equal((await propose({ ...body, note: 'again', thread_id: 'other' })).id, first.id);
  assert.notEqual((await propose(sendEmail())).id, first.id);
  assert.notEqual((await propose(body, other)).id, first.id);
});

test('a key of its own is another action than one without', async () => {
  const body = sendEmail();
  const first = await propose(body);
  const keyed = await propose({ ...body, idempotency_key: unique('k') });
  assert.notEqual(keyed.id, first.id, 'two alike on purpose have two keys');
});

test('it joins while it is approved and frozen', async () => {
  const alice = await s.login('alice');
  const { id } = expect(await alice.post('/v1/freeze', { scope: { connection: 'crm-main' }, reason: 'test' }), 200).body;
  const body = sendEmail();
  const first = await propose(body);
  assert.equal((await decide(first)).status, 'approved');
  assert.equal((await propose(body)).id, first.id);
  assert.ok((await alice.delete(`/v1/freeze/${id}`)).status < 300);
  await s.settled(first.id, 'succeeded');
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
});

test('it joins while its outcome is unknown', async () => {
  const body = sendEmail();
  const first = await propose(body);
  await s.sandbox.rule({ path: '/crm/emails', mode: 'drop_after' });
  await decide(first);
  await s.settled(first.id, 'unknown');
  const again = await propose(body);
  assert.deepEqual([again.id, again.status, again.outcome], [first.id, 'unknown', 'in_doubt']);
  pass(12 * HOUR);
  assert.equal((await propose(body)).id, first.id, 'for as long as nobody knows');
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
});

test('succeeded: joins for 10 minutes after its agent was told, then is a new attempt', async () => {
  const body = sendEmail();
  const first = await propose(body);
  await approveUntold(first);
  assert.equal((await s.agent.get(`/v1/actions/${first.id}`)).body.status, 'succeeded'); // told
  pass(9 * MINUTE + 50_000);
  const again = await propose(body);
  assert.deepEqual([again.id, again.status, again.result.status], [first.id, 'succeeded', 202]);
  pass(20_000);
  const next = await propose(body);
  assert.notEqual(next.id, first.id, 'being told again does not prolong it');
  assert.deepEqual([next.status, next.attempt_of], ['pending', first.id]);
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
});

test('succeeded and not told: joins for as long as it takes; list and people do not count as telling', async () => {
  const body = sendEmail();
  const first = await propose(body);
  await approveUntold(first);
  assert.equal((await s.agent.get('/v1/actions?limit=1')).body.items[0].status, 'succeeded');
  pass(3 * HOUR);
  const told = await propose(body);
  assert.deepEqual([told.id, told.status], [first.id, 'succeeded']);
  pass(9 * MINUTE);
  assert.equal((await propose(body)).id, first.id);
  pass(2 * MINUTE);
  assert.equal((await propose(body)).attempt_of, first.id);
});

test('failed: the same 10 minutes', async () => {
  const body = { connection: 'crm-main', method: 'DELETE', path: `/contacts/ct_9${String(Date.now()).slice(-5)}` };
  const first = await propose(body);
  await decide(first);
  await s.settled(first.id, 'failed');
  pass(9 * MINUTE);
  const again = await propose(body);
  assert.deepEqual([again.id, again.status], [first.id, 'failed']);
  pass(2 * MINUTE);
  assert.equal((await propose(body)).attempt_of, first.id);
});

const ENDINGS = {
  rejected: (a) => decide(a, 'reject'),
  cancelled: async (a) => expect(await s.agent.post(`/v1/actions/${a.id}/cancel`), 200),
  expired: async (a) => { pass(7 * DAY + 1000); await s.settled(a.id, 'expired'); },
};
for (const [status, end] of Object.entries(ENDINGS)) {
  test(`${status}: the same answer for 1 hour after its end, then a new attempt`, async () => {
    const body = sendEmail();
    const first = await propose(body);
    await end(first);
    const { ended_at } = await s.settled(first.id, status);
    pass(Date.parse(ended_at) + 59 * MINUTE - s.now());
    const again = await propose(body);
    assert.deepEqual([again.id, again.status], [first.id, status]);
    pass(2 * MINUTE);
    const next = await propose(body);
    assert.deepEqual([next.status, next.attempt_of], ['pending', first.id]);
  });
}

test('with a key there is no such end: the same action for 30 days, then not', async () => {
  const [soon, late] = [{ ...sendEmail(), idempotency_key: unique('k') }, { ...sendEmail(), idempotency_key: unique('k') }];
  const first = [await propose(soon), await propose(late)];
  for (const a of first) await decide(a, 'reject');
  pass(29 * DAY);
  assert.equal((await propose(soon)).id, first[0].id);
  pass(DAY + HOUR);
  const next = await propose(late);
  assert.notEqual(next.id, first[1].id);
  assert.equal(next.status, 'pending');
});

// --- through the proxy ------------------------------------------------------------------------------

const viaProxy = (body, headers) => s.proxy(`plaid-main${body.path}`, body.body, headers);

test('proxy: two made-up Idempotency-Keys and one payload are one action', async () => {
  const body = transfer(unique('auth'));
  const first = expect(await viaProxy(body, { 'Idempotency-Key': unique('made-up') }), 428);
  const second = expect(await viaProxy(body, { 'Idempotency-Key': unique('made-up') }), 428);
  const third = expect(await viaProxy(body), 428);
  assert.equal(second.headers['countersign-action'], first.headers['countersign-action']);
  assert.equal(third.headers['countersign-action'], first.headers['countersign-action']);
});

test("proxy: nor does Plaid's own idempotency_key in the body", async () => {
  const { body } = authorization(`${100 + Math.floor(Math.random() * 1000)}.17`);
  const call = (idempotency_key) => s.proxy('plaid-main/transfer/authorization/create', { ...body, idempotency_key });
  const [first, second] = [expect(await call('made-up-1'), 428), expect(await call('made-up-2'), 428)];
  assert.equal(second.headers['countersign-action'], first.headers['countersign-action']);
});

test('proxy: being answered there counts as told', async () => {
  const body = sendEmail();
  const call = () => s.proxy(`crm-main${body.path}`, body.body);
  const id = expect(await call(), 428).headers['countersign-action'];
  const held = (await s.agent.get(`/v1/actions/${id}`)).body;
  await approveUntold(held);
  pass(2 * HOUR);
  const told = expect(await call(), 202);
  assert.equal(told.headers['countersign-action'], id);
  pass(11 * MINUTE);
  const next = expect(await call(), 428);
  assert.notEqual(next.headers['countersign-action'], id);
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
});

test('the proxy and the API are the same agent: they join each other', async () => {
  const body = sendEmail();
  const id = (await propose(body)).id;
  assert.equal(expect(await s.proxy(`crm-main${body.path}`, body.body), 428).headers['countersign-action'], id);
});
