// Replies that get lost, come late or say 500: what has happened is never claimed to be known when it is
// not, never done twice where the provider cannot tell twice from once, and finished where it can.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { ACCOUNT, PROVIDER, addContact, authorization, expect, listContacts, sendEmail, sleep, startSandbox, startServer } from './harness.mjs';

let s;
let alice;
let bob;
before(async () => {
  s = await startServer({ config: { limits: { upstream_time: '2s', connect_time: '2s' } } });
  alice = await s.login('alice');
  bob = await s.login('bob');
});
after(() => s?.stop());
beforeEach(() => s.sandbox.clearRules());

const approved = async (body, ...people) => {
  const a = expect(await s.agent.propose(body), 202).body;
  for (const person of people) expect(await person.vote(a, 'approve'), 200);
  return a;
};
const settledOrUnknown = (a) => s.settled(a.id, (x) => x.ended_at !== null || x.status === 'unknown');
const sent = async (a) => (await s.audit(`&action=${a.id}&type=action.sending`)).length;

// Waits while the clock is moved on, so that what is tried again later is tried now.
async function hurried(a, status) {
  for (let i = 0; i < 200; i++) {
    const now = expect(await s.agent.get(`/v1/actions/${a.id}`), 200).body;
    if (now.status === status) return now;
    s.clock(s.offset + 2000);
    await sleep(50);
  }
  return s.settled(a.id, status);
}

// Plaid lets an authorization be used for one transfer, so asking again is harmless.
async function fresh() {
  const { body } = authorization();
  const made = await s.sandbox.direct('POST', '/transfer/authorization/create', { headers: { 'PLAID-CLIENT-ID': PROVIDER.client_id,
    'PLAID-SECRET': PROVIDER.secret }, body: { ...body, access_token: PROVIDER.access_token } });
  return expect(made, 200).body.authorization.id;
}
const transferOf = (authorization_id) => ({ connection: 'plaid-main', method: 'POST', path: '/transfer/create',
  body: { account_id: ACCOUNT, authorization_id, description: 'Payment' } });

// Those whose effect is there although the answer is not, and those where nothing happened.
const LOST = { drop_after: 1, error_after: 1, rst_mid_body: 1, drop_before: 0, error_before: 0 };

for (const [mode, effects] of Object.entries(LOST)) {
  test(`${mode}, not idempotent: unknown, never tried again, ${effects} effect`, async () => {
    const body = sendEmail();
    await s.sandbox.rule({ path: '/crm/emails', mode });
    const a = await approved(body, alice);
    const lost = await s.settled(a.id, 'unknown');
    assert.deepEqual([lost.outcome, lost.ended_at], ['in_doubt', null]);
    assert.equal(await s.sandbox.effect(`email:${body.body.to}`), effects);
    assert.equal(await sent(a), 1);
    expect(await s.agent.post(`/v1/actions/${a.id}/cancel`), 409, 'not-cancellable');
    const outcome = effects ? 'succeeded' : 'failed';
    const settled = expect(await bob.post(`/v1/actions/${a.id}/reconcile`, { outcome, evidence: 'looked into the outbox' }), 200).body;
    assert.deepEqual([settled.status, settled.outcome], [outcome, effects ? 'success' : 'error']);
    assert.ok(settled.ended_at);
    assert.equal(await s.sandbox.effect(`email:${body.body.to}`), effects);
  });

  test(`${mode}, idempotent: tried again, succeeded, one effect`, async () => {
    const authorization_id = await fresh();
    await s.sandbox.rule({ path: '/transfer/create', mode });
    const a = await approved(transferOf(authorization_id), alice, bob);
    const done = await hurried(a, 'succeeded');
    assert.equal(done.result.body.transfer.authorization_id, authorization_id);
    assert.equal(await s.sandbox.effect(`transfer:${authorization_id}`), 1);
    assert.ok(await sent(a) >= 2, 'each attempt is logged before it leaves');
    const bodies = (await s.sandbox.requests('/transfer/create')).filter((r) => r.body.includes(authorization_id)).map((r) => r.body);
    assert.equal(new Set(bodies).size, 1, 'the same bytes each time');
  });
}

test('lost on a connection used before: one effect, and it is not called failed', async () => {
  for (let round = 0; round < 5; round++) {
    const body = sendEmail();
    const a = expect(await s.agent.propose(body), 202).body;
    for (let i = 0; i < 3; i++) expect(await s.agent.propose(listContacts()), 200); // leaves a connection to be used again
    await s.sandbox.rule({ path: '/crm/emails', mode: 'drop_after_reused' });
    expect(await alice.vote(a, 'approve'), 200);
    const end = await settledOrUnknown(a);
    assert.ok(['succeeded', 'unknown'].includes(end.status), end.status);
    assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
    assert.equal((await s.sandbox.requests('/crm/emails')).filter((r) => r.body.includes(body.body.to)).length, 1);
    await s.sandbox.clearRules();
  }
});

test('lost on a connection used before, tier 1: one effect, and it is not called failed', async () => {
  for (let round = 0; round < 6; round++) {
    const body = addContact();
    expect(await s.agent.propose(listContacts()), 200);
    await s.sandbox.rule({ path: '/crm/contacts', method: 'POST', mode: round % 2 ? 'drop_after' : 'drop_after_reused' });
    const end = await settledOrUnknown((await s.agent.propose(body)).body);
    assert.ok(['succeeded', 'unknown'].includes(end.status), end.status);
    assert.equal(await s.sandbox.effect(`contact:${body.body.email}`), 1);
    const keys = (await s.sandbox.requests('/crm/contacts')).filter((r) => r.body.includes(body.body.email))
      .map((r) => r.headers.find(([n]) => n.toLowerCase() === 'idempotency-key')?.[1]);
    assert.ok(keys[0] && new Set(keys).size === 1, `one key: ${keys}`);
    await s.sandbox.clearRules();
  }
});

test('tier 1, not idempotent: unknown at once for the caller, too', async () => {
  const contact = expect(await s.proxy('crm-main/contacts', addContact().body), 201).body;
  await s.sandbox.rule({ path: '/crm/contacts/*', method: 'PATCH', mode: 'drop_after' });
  const answer = expect(await s.proxy(`crm-main/contacts/${contact.id}`, { name: 'Ann' }, {}, 'PATCH'), 409);
  assert.equal(answer.headers['countersign-error'], 'OUTCOME_UNKNOWN');
  const a = (await s.agent.get(`/v1/actions/${answer.headers['countersign-action']}`)).body;
  assert.deepEqual([a.status, a.outcome, a.ended_at], ['unknown', 'in_doubt', null]);
  assert.equal(await s.sandbox.effect(`contact_update:${contact.id}`), 1);
});

test('an answer that comes too late is unknown, not failed', async () => {
  const body = sendEmail();
  await s.sandbox.rule({ path: '/crm/emails', mode: 'late', delay_ms: 6000 });
  const a = await approved(body, alice);
  await s.settled(a.id, 'unknown');
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
  assert.equal(await sent(a), 1);
});

test('nobody listens: no byte left, so it is tried again until somebody does, and then once', async () => {
  const far = await startSandbox();
  await s.addConnection('far', 'crm', `${far.url}/crm`, { token: PROVIDER.secret });
  const { client } = await s.addAgent('far-agent', { connections: ['far'] });
  const body = { ...sendEmail(), connection: 'far' };
  const a = expect(await client.propose(body), 202).body;
  await far.stop();
  expect(await alice.vote(a, 'approve'), 200);
  await s.settled(a.id, (x) => x.status === 'approved' || x.status === 'failed', client);
  const again = await startSandbox({ port: Number(new URL(far.url).port) });
  try {
    const now = (await client.get(`/v1/actions/${a.id}`)).body;
    assert.ok(['approved', 'sending', 'succeeded'].includes(now.status), `${now.status} ${now.error_code}`);
    for (let i = 0; i < 200 && (await client.get(`/v1/actions/${a.id}`)).body.status !== 'succeeded'; i++) {
      s.clock(s.offset + 2000);
      await sleep(50);
    }
    await s.settled(a.id, 'succeeded', client);
    assert.equal(await again.effect(`email:${body.body.to}`), 1);
  } finally {
    await again.stop();
  }
});

// --- 429 at execution -------------------------------------------------------------------------------

test('429 after a hold ends it as failed with rate_limited, no effect', async () => {
  const body = sendEmail();
  await s.sandbox.rule({ path: '/crm/emails', mode: 'rate_limited', retry_after: 3 });
  const a = await approved(body, alice);
  const end = await s.settled(a.id, 'failed');
  assert.deepEqual([end.outcome, end.error_code, end.result.status], ['error', 'rate_limited', 429]);
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 0);
  assert.equal((await s.sandbox.requests('/crm/emails')).filter((r) => r.body.includes(body.body.to)).length, 1);
});

test('unless the proposal said "on_wait":"hold": then it waits and is sent', async () => {
  const body = sendEmail();
  await s.sandbox.rule({ path: '/crm/emails', mode: 'rate_limited', retry_after: 3 });
  const a = await approved({ ...body, on_wait: 'hold' }, alice);
  await hurried(a, 'succeeded');
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
});

// --- who may settle an unknown one ------------------------------------------------------------------

test('reconcile: not for auditors, owners, agents; once; only what is unknown', async () => {
  [alice, bob] = [await s.login('alice'), await s.login('bob')]; // the clock has been moved
  const body = sendEmail();
  await s.sandbox.rule({ path: '/crm/emails', mode: 'drop_after' });
  const a = await approved(body, alice);
  const finding = { outcome: 'succeeded', evidence: 'it is in the outbox' };
  const reconcile = (who, what = finding) => who.post(`/v1/actions/${a.id}/reconcile`, what);
  await s.settled(a.id, 'unknown');
  expect(await reconcile(await s.login('auditor')), 403);
  expect(await reconcile(await s.login('admin')), 403); // owns the agent
  expect(await reconcile(s.agent), 403, 'wrong-principal');
  for (const bad of [{ outcome: 'perhaps', evidence: 'x' }, { outcome: 'failed' }, { outcome: 'failed', evidence: ' ' }, { ...finding, more: 1 }])
    expect(await reconcile(bob, bad), 400);
  assert.equal((await s.agent.get(`/v1/actions/${a.id}`)).body.status, 'unknown');
  const all = (await bob.get('/v1/reviews?scope=all&limit=200')).body.items;
  assert.ok(all.some((x) => x.id === a.id), 'it waits among the reviews');
  assert.equal(expect(await reconcile(bob), 200).body.status, 'succeeded');
  expect(await reconcile(bob), 409);
  expect(await reconcile(alice, { outcome: 'failed', evidence: 'no' }), 409);
  const [event] = await s.audit(`&action=${a.id}&type=action.reconciled`);
  assert.deepEqual([event.outcome, event.approver_id], ['success', bob.id]);
  const pending = expect(await s.agent.propose(sendEmail()), 202).body;
  expect(await bob.post(`/v1/actions/${pending.id}/reconcile`, finding), 409);
});
