// The vendor's own client pointed at Countersign: the official `plaid` package through
// /proxy/plaid-main against the sandbox, and what the proxy does to any request.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Configuration, PlaidApi } from 'plaid';
import { DAY, PROVIDER, addContact, authorization, expect, freePort, request, sendEmail, startServer, transfer, unique, until } from './harness.mjs';

let s;
let plaid;
let alice;
let bob;
before(async () => {
  s = await startServer();
  plaid = clientFor(s.agentKey);
  alice = await s.login('alice');
  bob = await s.login('bob');
});
after(() => s?.stop());
beforeEach(() => s.sandbox.clearRules());

function clientFor(key, headers = {}) {
  return new PlaidApi(new Configuration({ basePath: `${s.url}/proxy/plaid-main`,
    baseOptions: { headers: { 'PLAID-CLIENT-ID': 'agent-made-client-id', 'PLAID-SECRET': key, ...headers } } }));
}

// What the client raises, as {status, data, headers}.
async function raised(call) {
  const error = await call.then(() => assert.fail('the client should have raised'), (e) => e);
  assert.ok(error.response, error.stack);
  return error.response;
}

// Raised with that status and code, in Plaid's shape, in header and body.
async function heldUp(call, status, code) {
  const { data, headers, status: got } = await raised(call);
  assert.deepEqual([got, data.error_code, headers['countersign-error']], [status, code, code], JSON.stringify(data));
  assert.deepEqual(data, { error_type: 'APPROVAL_REQUIRED', error_code: code, error_message: data.error_message, display_message: null,
    request_id: headers['countersign-action'] });
  assert.ok(data.error_message.length > 10);
  assert.match(headers['countersign-action'], /^act_/);
  return { id: headers['countersign-action'], headers };
}
const action = async (id) => expect(await s.agent.get(`/v1/actions/${id}`), 200).body;
const seenBy = async (person, id) => expect(await person.get(`/v1/actions/${id}`), 200).body;
async function approve(id, ...people) {
  for (const person of people) expect(await person.vote(await seenBy(person, id), 'approve'), 200);
}
const authorize = (amount, legal_name) => plaid.transferAuthorizationCreate(authorization(amount, legal_name).body);
const pay = (authorization_id) => plaid.transferCreate(transfer(authorization_id).body);
const cents = () => `${1 + Math.floor(Math.random() * 9000)}.${String(Math.floor(Math.random() * 100)).padStart(2, '0')}`;

// --- the life of a payment --------------------------------------------------------------------------

test('a balance comes back at once', async () => {
  const { data, headers, status } = await plaid.accountsBalanceGet({});
  assert.equal(status, 200);
  assert.equal(data.accounts[0].balances.iso_currency_code, 'USD');
  const a = await action(headers['countersign-action']);
  assert.deepEqual([a.status, a.tier, a.operation], ['succeeded', 0, 'accounts.balance.get']);
});

test('an identity comes back at once, and people are told', async () => {
  const { data, headers } = await plaid.identityGet({});
  assert.ok(data.accounts[0].owners[0].names.length > 0);
  const id = headers['countersign-action'];
  assert.equal((await action(id)).tier, 1);
  const notices = expect(await alice.get('/v1/notices'), 200).body.items;
  assert.ok(notices.some((n) => n.action === id && n.seen === false), JSON.stringify(notices));
});

test('authorization, then transfer: held, decided, and the identical call returns what Plaid says', async () => {
  const amount = cents();
  const held = await heldUp(authorize(amount), 428, 'APPROVAL_PENDING');
  assert.match(held.headers['retry-after'], /^\d+$/);
  assert.equal((await heldUp(authorize(amount), 428, 'APPROVAL_PENDING')).id, held.id, 'it joins');
  await approve(held.id, alice);
  await s.settled(held.id, 'succeeded');
  const answer = await authorize(amount);
  assert.equal(answer.headers['countersign-action'], held.id);
  assert.ok(!answer.headers['countersign-error']);
  assert.equal(answer.data.authorization.decision, 'approved');
  const authorization_id = answer.data.authorization.id;

  const { id } = await heldUp(pay(authorization_id), 428, 'APPROVAL_PENDING');
  assert.equal((await action(id)).tier, 3);
  await approve(id, alice);
  assert.equal((await heldUp(pay(authorization_id), 428, 'APPROVAL_PENDING')).id, id, 'one of two is not enough');
  assert.equal(await s.sandbox.effect(`transfer:${authorization_id}`), 0);
  await approve(id, bob);
  await s.settled(id, 'succeeded');
  const paid = await pay(authorization_id);
  assert.deepEqual([paid.status, paid.data.transfer.amount, paid.data.transfer.authorization_id], [200, amount, authorization_id]);
  assert.equal((await pay(authorization_id)).data.transfer.id, paid.data.transfer.id);
  assert.equal(await s.sandbox.effect(`transfer:${authorization_id}`), 1);
});

test('a transfer must be decided within 55 minutes of its authorization', async () => {
  const { id } = await heldUp(pay(unique('auth')), 428, 'APPROVAL_PENDING');
  const a = await action(id);
  assert.ok(Date.parse(a.decide_by) - Date.parse(a.proposed_at) < 55 * 60_000 + 5000, a.decide_by);
});

test('declined by Plaid: its own answer, 200, and the action says so', async () => {
  const amount = cents();
  const call = () => authorize(amount, 'Declined Dan');
  const { id } = await heldUp(call(), 428, 'APPROVAL_PENDING');
  await approve(id, alice);
  const a = await s.settled(id, 'declined');
  assert.equal(a.outcome, 'declined_by_provider');
  const { status, data } = await call();
  assert.deepEqual([status, data.authorization.decision, data.authorization.decision_rationale.code], [200, 'declined', 'RISK']);
});

test("failed with Plaid's own answer: that answer", async () => {
  const { id } = await heldUp(pay('no-such-authorization'), 428, 'APPROVAL_PENDING');
  await approve(id, alice, bob);
  assert.equal((await s.settled(id, 'failed')).outcome, 'error');
  const { status, data, headers } = await raised(pay('no-such-authorization'));
  assert.deepEqual([status, data.error_type, headers['countersign-action']], [400, 'INVALID_REQUEST', id]);
  assert.ok(data.error_code !== 'APPROVAL_PENDING' && data.request_id !== id);
});

// --- what else can become of it ---------------------------------------------------------------------

test("item_login_required at tier 0: Plaid's own answer, as it is; the action says what to do", async () => {
  await s.sandbox.rule({ path: '/accounts/balance/get', mode: 'item_login_required', times: 1 });
  const { status, data, headers } = await raised(plaid.accountsBalanceGet({}));
  assert.deepEqual([status, data.error_type, data.error_code], [400, 'ITEM_ERROR', 'ITEM_LOGIN_REQUIRED']);
  const a = await action(headers['countersign-action']);
  assert.ok(a.status === 'blocked' || a.status === 'failed', a.status);
  assert.equal((await plaid.accountsBalanceGet({})).status, 200);
});

test('item_login_required after a hold: 428 REAUTH_REQUIRED, and the action is blocked', async () => {
  const amount = cents();
  const { id } = await heldUp(authorize(amount), 428, 'APPROVAL_PENDING');
  await s.sandbox.rule({ path: '/transfer/authorization/create', mode: 'item_login_required', times: 1 });
  await approve(id, alice);
  const a = await s.settled(id, 'blocked');
  assert.deepEqual([a.outcome, a.ended_at, a.reauth.reason], [null, null, 'ITEM_LOGIN_REQUIRED']);
  for (const field of ['url', 'expires_at', 'reason']) assert.ok(field in a.reauth, field);
  assert.equal((await heldUp(authorize(amount), 428, 'REAUTH_REQUIRED')).id, id);
  assert.equal(expect(await s.agent.post(`/v1/actions/${id}/cancel`), 200).body.status, 'cancelled');
  await heldUp(authorize(amount), 403, 'APPROVAL_CANCELLED');
});

test('a blocked one goes on once the connection is renewed', async () => {
  const amount = cents();
  const { id } = await heldUp(authorize(amount), 428, 'APPROVAL_PENDING');
  await s.sandbox.rule({ path: '/transfer/authorization/create', mode: 'item_login_required', times: 1 });
  await approve(id, alice);
  await s.settled(id, 'blocked');
  assert.equal((await heldUp(authorize(amount), 428, 'REAUTH_REQUIRED')).id, id);
  await s.addConnection('plaid-main', 'plaid', s.sandbox.url, PROVIDER);
  await s.settled(id, 'succeeded');
  assert.equal((await authorize(amount)).data.authorization.decision, 'approved');
  assert.equal((await s.sandbox.requests('/transfer/authorization/create')).filter((r) => r.body.includes(amount)).length, 2);
});

test('rejected 403', async () => {
  const { id } = await heldUp(pay('to-be-rejected'), 428, 'APPROVAL_PENDING');
  expect(await alice.vote(await seenBy(alice, id), 'reject', { reason: 'no such invoice' }), 200);
  assert.equal((await heldUp(pay('to-be-rejected'), 403, 'APPROVAL_REJECTED')).id, id);
});

test('cancelled 403', async () => {
  const { id } = await heldUp(pay('to-be-cancelled'), 428, 'APPROVAL_PENDING');
  expect(await s.agent.post(`/v1/actions/${id}/cancel`), 200);
  assert.equal((await heldUp(pay('to-be-cancelled'), 403, 'APPROVAL_CANCELLED')).id, id);
});

test('denied 403', async () => {
  const { id } = await heldUp(plaid.itemPublicTokenExchange({ public_token: 'public-sandbox-x' }), 403, 'POLICY_DENIED');
  const a = await action(id);
  assert.deepEqual([a.status, a.outcome], ['denied', 'denied_by_policy']);
  assert.equal((await s.sandbox.requests('/item/public_token/exchange')).length, 0);
});

test('unknown 409', async () => {
  const email = sendEmail();
  const call = () => s.proxy('crm-main/emails', email.body);
  const id = expect(await call(), 428).headers['countersign-action'];
  await s.sandbox.rule({ path: '/crm/emails', mode: 'drop_after' });
  await approve(id, alice);
  await s.settled(id, 'unknown');
  const answer = expect(await call(), 409);
  assert.deepEqual([answer.headers['countersign-error'], answer.headers['countersign-action']], ['OUTCOME_UNKNOWN', id]);
  assert.equal(await s.sandbox.effect(`email:${email.body.to}`), 1);
});

test('nobody there 502', async () => {
  await s.addConnection('dead-end', 'crm', `http://127.0.0.1:${await freePort()}/crm`, { token: 'x' });
  const { key, client } = await s.addAgent('optimist', { connections: ['dead-end'] });
  const answer = await s.proxy('dead-end/contacts', undefined, { Authorization: `Bearer ${key}` }, 'GET');
  expect(answer, 502);
  assert.equal(answer.headers['countersign-error'], 'UPSTREAM_UNREACHABLE');
  const a = (await client.get(`/v1/actions/${answer.headers['countersign-action']}`)).body;
  assert.deepEqual([a.status, a.outcome, a.result], ['failed', 'error', null]);
});

test('frozen 503', async () => {
  const { id } = expect(await alice.post('/v1/freeze', { scope: { connection: 'plaid-main' }, reason: 'test' }), 200).body;
  const before = (await s.sandbox.requests('/item/get')).length;
  const { status, data, headers } = await raised(plaid.itemGet({}));
  assert.deepEqual([status, headers['countersign-error'], data.error_code], [503, 'FROZEN', 'FROZEN']);
  assert.ok((await alice.delete(`/v1/freeze/${id}`)).status < 300);
  assert.equal((await s.sandbox.requests('/item/get')).length, before);
  assert.equal((await plaid.itemGet({})).status, 200);
});

test('429 is passed on at once with its Retry-After, and never retried', async () => {
  await s.sandbox.rule({ path: '/liabilities/get', mode: 'rate_limited', times: 1, retry_after: 7 });
  const { status, data, headers } = await raised(plaid.liabilitiesGet({}));
  assert.deepEqual([status, data.error_type, headers['retry-after']], [429, 'RATE_LIMIT_EXCEEDED', '7']);
  assert.equal((await s.sandbox.requests('/liabilities/get')).length, 1);
  const a = await action(headers['countersign-action']);
  assert.equal(a.status, 'failed');
});

// --- keys -------------------------------------------------------------------------------------------

test('a wrong key: 401 that tells to rotate it, and it is written down nowhere', async () => {
  const leaked = 'b3f1c0ffee5ec4e7d00dfeedbeef42';
  const { status, data } = await raised(clientFor(leaked).accountsBalanceGet({}));
  assert.equal(status, 401);
  assert.match(JSON.stringify(data), /rotat/i);
  assert.match(JSON.stringify(data), /secret/i);
  assert.ok(!JSON.stringify(data).includes(leaked));
  for (const headers of [{ Authorization: `Bearer ${leaked}` }, { Authorization: `Basic ${leaked}` }])
    expect(await s.proxy('crm-main/contacts', undefined, headers, 'GET'), 401);
  expect(await s.proxy('crm-main/contacts', undefined, { Authorization: undefined }, 'GET'), 401);
  expect(await s.proxy('plaid-main/item/get', {}, { Authorization: undefined, 'PLAID-SECRET': `${s.agentKey}x` }), 401);
  assert.ok(!s.log().includes(leaked), 'not in the log');
  const dump = JSON.stringify(await s.sql("SELECT body FROM audit_event"));
  assert.ok(!dump.includes(leaked), 'nor in the audit log');
});

test('the key in either place, twice the same is fine, two different ones 400 key-mismatch', async () => {
  const { key } = await s.addAgent('second');
  expect(await s.proxy('plaid-main/item/get', {}, { 'PLAID-SECRET': s.agentKey }), 200);
  expect(await s.proxy('plaid-main/item/get', {}, { Authorization: undefined, 'PLAID-SECRET': s.agentKey }), 200);
  const answer = expect(await s.proxy('plaid-main/item/get', {}, { 'PLAID-SECRET': key }), 400);
  assert.match(answer.text, /key-mismatch/);
});

test('unknown connection 404, not given 403', async () => {
  const { key } = await s.addAgent('narrow', { connections: ['crm-main'] });
  expect(await s.proxy('no-such/contacts', undefined, {}, 'GET'), 404);
  expect(await s.proxy('plaid-main/item/get', {}, { Authorization: `Bearer ${key}` }), 403);
});

test("what the agent puts where credentials go never reaches Plaid; Plaid's own are put there", async () => {
  const client = clientFor(s.agentKey, { Authorization: `Bearer ${s.agentKey}`, 'Plaid-Version': '1999-01-01' });
  await client.accountsBalanceGet({ access_token: 'access-agent-made', client_id: 'agent-made-client-id', secret: 'agent-made-secret' });
  const [sent] = (await s.sandbox.requests('/accounts/balance/get')).slice(-1);
  const header = (name) => sent.headers.filter(([n]) => n.toLowerCase() === name).map(([, v]) => v);
  assert.deepEqual([header('plaid-client-id'), header('plaid-secret'), header('plaid-version')], [[PROVIDER.client_id], [PROVIDER.secret], ['2020-09-14']]);
  assert.deepEqual(JSON.parse(sent.body), { access_token: PROVIDER.access_token });
  const everything = JSON.stringify(await s.sandbox.requests());
  for (const secret of [s.agentKey, 'agent-made', 'access-agent-made', 'csa_', 'countersign-'])
    assert.ok(!everything.includes(secret), secret);
  assert.deepEqual(header('authorization'), []);
});

test("nor do Plaid's secrets come back to the agent", async () => {
  const { data, headers } = await plaid.accountsBalanceGet({});
  const a = await action(headers['countersign-action']);
  const text = JSON.stringify([data, headers, a, await seenBy(alice, a.id)]) + s.log();
  for (const secret of Object.values(PROVIDER)) assert.ok(!text.includes(secret));
});

// --- Prefer and our own headers ---------------------------------------------------------------------

test('Prefer: wait holds until people have decided', async () => {
  const amount = cents();
  const waiting = plaid.transferAuthorizationCreate(authorization(amount).body, { headers: { Prefer: 'wait=50' } });
  const held = await until(async () => (await alice.get('/v1/reviews?limit=200')).body.items.find((a) => a.impact?.amount === amount), 'the held call');
  await approve(held.id, alice);
  const { status, data, headers } = await waiting;
  assert.deepEqual([status, data.authorization.decision, headers['countersign-action']], [200, 'approved', held.id]);
});

test('Prefer: wait ends when the time is up', async () => {
  await heldUp(plaid.transferCreate(transfer(unique('auth')).body, { headers: { Prefer: 'wait=1' } }), 428, 'APPROVAL_PENDING');
});

test('Prefer: respond-async gives 202 and the action', async () => {
  const answer = expect(await s.proxy('plaid-main/transfer/create', transfer(unique('auth')).body, { Prefer: 'respond-async' }), 202);
  assert.deepEqual([answer.body.id, answer.body.status, answer.body.tier], [answer.headers['countersign-action'], 'pending', 3]);
});

test('Countersign-Thread and Countersign-Note are read and not forwarded', async () => {
  const { body } = addContact();
  const answer = expect(await s.proxy('crm-main/contacts', body, { 'Countersign-Thread': 't-77', 'Countersign-Note': 'a new lead', 'Idempotency-Key': unique('sdk') }), 201);
  const id = answer.headers['countersign-action'];
  assert.deepEqual([(await action(id)).thread_id, (await seenBy(alice, id)).note], ['t-77', 'a new lead']);
  const [sent] = (await s.sandbox.requests('/crm/contacts')).slice(-1);
  assert.ok(!sent.headers.some(([name]) => /^countersign/i.test(name)), JSON.stringify(sent.headers));
});

// --- bytes ------------------------------------------------------------------------------------------

test("tiers 0 and 1: the provider's status, body and allowed headers as they are", async () => {
  const { body } = addContact();
  const made = expect(await s.proxy('crm-main/contacts', body), 201);
  assert.equal(made.body.email, body.email);
  const read = expect(await s.proxy(`crm-main/contacts/${made.body.id}`, undefined, {}, 'GET'), 200);
  assert.deepEqual(read.body, made.body);
  const missing = expect(await s.proxy('crm-main/contacts/ct_999999', undefined, {}, 'GET'), 404);
  assert.deepEqual(missing.body, { error: { code: 'not_found', message: 'no such contact' } });
  for (const answer of [made, read, missing]) {
    assert.match(answer.headers['countersign-action'], /^act_/);
    assert.match(answer.headers['content-type'], /^application\/json/);
    assert.ok(!answer.headers['countersign-error']);
  }
});

test('the query string goes through as it was given', async () => {
  expect(await s.proxy('crm-main/contacts?limit=3&tag=a&tag=b%20c&empty=', undefined, {}, 'GET'), 200);
  const [sent] = (await s.sandbox.requests('/crm/contacts')).slice(-1);
  assert.equal(sent.target, '/crm/contacts?limit=3&tag=a&tag=b%20c&empty=');
});

test('long answers come through whole, in both framings', async () => {
  for (const more of ['', '&chunked=1'])
    for (const n of [0, 1, 70_000, 3_000_001]) {
      const answer = expect(await s.proxy(`crm-main/blob?bytes=${n}${more}`, undefined, {}, 'GET'), 200);
      assert.equal(answer.bytes.length, n);
    }
});

test('paths with more than one reading are refused and sent nowhere', async () => {
  const before = (await s.sandbox.requests()).length;
  for (const path of ['/contacts/../emails', '//contacts', '/./contacts', '/%2e%2e/contacts', '/contacts/%2e%2e', '/contacts%5cx', '/contacts/%00',
    '/contacts/%252e', '/contacts/a%2fb', '/..'])
    expect(await request(s.url, 'GET', `/proxy/crm-main${path}`, { headers: { Authorization: `Bearer ${s.agentKey}` } }), 400);
  assert.equal((await s.sandbox.requests()).length, before);
});

test('an operation that the connector does not list is held at tier 3', async () => {
  const answer = expect(await s.proxy('crm-main/admin/wipe', { all: true }), 428);
  assert.equal(answer.headers['countersign-error'], 'APPROVAL_PENDING');
  assert.match(answer.text, /APPROVAL_PENDING/, "in the body too, in the vendor's shape");
  assert.equal((await action(answer.headers['countersign-action'])).tier, 3);
});

test('malformed JSON is refused here, not there', async () => {
  const before = (await s.sandbox.requests()).length;
  for (const body of ['{"to":', '{"to":"a","to":"b"}', '{"n":9007199254740993}', '{"t":"\\ud800"}'])
    expect(await s.proxy('crm-main/emails', body), 400);
  assert.equal((await s.sandbox.requests()).length, before);
});

// --- one slow provider ------------------------------------------------------------------------------

test('fifty calls to a slow provider keep nobody else waiting', async () => {
  const calls = 50;
  const before = (await s.sandbox.requests('/investments/holdings/get')).length;
  await s.sandbox.rule({ path: '/investments/holdings/get', mode: 'slow', delay_ms: 3000, times: calls });
  let done = 0;
  const slow = Array.from({ length: calls }, () => s.proxy('plaid-main/investments/holdings/get', {}).then((a) => { done += 1; return a; }));
  await until(async () => (await s.sandbox.requests('/investments/holdings/get')).length > before, 'a slow call to arrive');
  const quick = await Promise.all([s.request('GET', '/'), alice.get('/v1/reviews'), s.request('GET', '/healthz'), s.proxy('plaid-main/item/get', {})]);
  for (const answer of quick) expect(answer, 200);
  assert.equal(done, 0, 'none of the slow calls was over by then');
  for (const answer of await Promise.all(slow)) expect(answer, 200);
});

// --- time, last: it does not go back ----------------------------------------------------------------

test('expired 403', async () => {
  const { id } = await heldUp(pay('to-be-expired'), 428, 'APPROVAL_PENDING');
  s.clock(s.offset + DAY);
  await s.settled(id, 'expired');
  assert.equal((await heldUp(pay('to-be-expired'), 403, 'APPROVAL_EXPIRED')).id, id);
  assert.equal(await s.sandbox.effect('transfer:to-be-expired'), 0);
});
