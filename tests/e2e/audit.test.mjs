// The audit log: every type of event with the fields of the contract, who may read it, that it is gapless
// and verifies, and that no payload, personal data or secret is in it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ACCOUNT, DAY, PROVIDER, authorization, expect, listContacts, request, sendEmail, startReceiver, startServer, transfer, until } from './harness.mjs';

const FIELDS = ['event_id', 'seq', 'timestamp', 'workspace', 'type', 'action_id', 'revision', 'agent_id', 'thread_id', 'connector', 'product',
  'operation', 'endpoint', 'connection_id', 'provider_item_id', 'account_id', 'action_type', 'risk_tier', 'approval_required', 'approver_id',
  'approver_ids', 'approval_timestamp', 'payload_hash', 'executed_payload_hash', 'provider_request_id', 'outcome', 'error_code', 'ttl_seconds',
  'channel', 'evidence'];
const TYPES = ['action.proposed', 'action.denied', 'action.held', 'action.revised', 'vote.cast', 'vote.refused', 'action.approved', 'action.rejected',
  'action.expired', 'action.cancelled', 'action.sending', 'action.blocked', 'action.ended', 'action.unknown', 'action.reconciled', 'action.delivered',
  'login.succeeded', 'login.refused', 'roster.changed', 'policy.changed', 'freeze.set', 'freeze.released', 'key.rotated'];

let s;
let receiver;
let alice;
let bob;
let auditor;
let admin;
before(async () => {
  receiver = await startReceiver();
  s = await startServer({ resumeUrls: [receiver.url] });
  [alice, bob, auditor, admin] = [await s.login('alice'), await s.login('bob'), await s.login('auditor'), await s.login('admin')];
  await s.addConnection('plaid-main', 'plaid', s.sandbox.url, { ...PROVIDER, item_id: 'item-77' });
});
after(async () => {
  await s?.stop();
  await receiver?.stop();
});

const propose = async (body) => (await s.agent.propose(body)).body;
const of = (a, type) => s.audit(`&action=${a.id}${type ? `&type=${type}` : ''}`);
const story = async (a) => (await of(a)).map((e) => e.type);
const DEAN = 'Dean Secretname';

// --- each kind of life ------------------------------------------------------------------------------

test('a payment: proposed, held, votes, approved, sending, ended', async () => {
  const first = await propose({ ...authorization('321.09', DEAN), thread_id: 'thread-9', note: 'note of the agent', state: { secret_plan: 'state of the agent' } });
  expect(await alice.vote(first, 'approve', { reason: 'reason of alice' }), 200);
  const { result } = await s.settled(first.id, 'succeeded');
  const a = await propose({ ...transfer(result.body.authorization.id), thread_id: 'thread-9' });
  expect(await alice.vote(a, 'approve'), 200);
  expect(await bob.vote(a, 'approve'), 200);
  const done = await s.settled(a.id, 'succeeded');
  const events = await of(a);
  assert.deepEqual(events.map((e) => e.type), ['action.proposed', 'action.held', 'vote.cast', 'vote.cast', 'action.approved', 'action.sending', 'action.ended']);
  for (const e of events) {
    assert.deepEqual(Object.keys(e).sort(), [...FIELDS].sort());
    assert.match(e.event_id, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.match(e.timestamp, /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/);
    assert.deepEqual([e.action_id, e.revision, e.thread_id, e.connector, e.product, e.operation, e.endpoint, e.risk_tier, e.action_type, e.payload_hash, e.provider_item_id],
      [a.id, 1, 'thread-9', 'plaid', 'transfer', 'transfer.create', '/transfer/create', 3, 'write', a.payload_hash, 'item-77'], e.type);
    assert.equal(e.approval_required, true);
    assert.match(e.agent_id, /^agt_/);
    assert.match(e.connection_id, /^con_/);
    assert.equal(e.workspace, 'default');
    assert.ok(e.account_id.endsWith(ACCOUNT.slice(-4)) && e.account_id.length <= 12 && !e.account_id.includes(ACCOUNT.slice(0, -4)), e.account_id);
  }
  const [, held, vote1, vote2, approved, sending, ended] = events;
  assert.equal(held.ttl_seconds, null);
  assert.equal(ended.ttl_seconds, Math.floor((Date.parse(ended.timestamp) - Date.parse(done.proposed_at)) / 1000), 'from the proposal to the execution');
  assert.deepEqual([vote1.approver_id, vote2.approver_id], [alice.id, bob.id]);
  assert.equal(vote1.channel, 'web');
  for (const e of [approved, sending, ended]) {
    assert.deepEqual([e.approver_id, [...e.approver_ids].sort()], [alice.id, [alice.id, bob.id].sort()], e.type);
    assert.equal(e.approval_timestamp, done.decided_at, e.type);
  }
  assert.deepEqual([ended.outcome, ended.executed_payload_hash, ended.provider_request_id], ['success', a.payload_hash, done.result.body.request_id]);
  assert.equal(sending.executed_payload_hash, null, 'the intent, before it is known what was sent');
  assert.equal((await of(first, 'action.ended'))[0].action_type, 'authorization');
});

test('a read at tier 0 is one story with its outcome', async () => {
  const a = await propose({ connection: 'plaid-main', method: 'POST', path: '/accounts/balance/get', body: {} });
  const events = await of(a);
  const ended = events.at(-1);
  assert.deepEqual([ended.type, ended.outcome, ended.action_type, ended.risk_tier, ended.approval_required, ended.approver_id, ended.approver_ids],
    ['action.ended', 'success', 'read', 0, false, null, ended.approver_ids]);
  assert.equal(ended.payload_hash, ended.executed_payload_hash);
  const viaProxy = expect(await s.proxy('plaid-main/accounts/balance/get', {}), 200).headers['countersign-action'];
  const last = (await of({ id: viaProxy })).at(-1);
  assert.deepEqual([last.type, last.outcome, last.channel], ['action.ended', 'success', 'proxy']);
});

test('rejected, cancelled, denied, blocked', async () => {
  const rejected = await propose(sendEmail());
  expect(await bob.vote(rejected, 'reject', { reason: 'x' }), 200);
  assert.deepEqual(await story(rejected), ['action.proposed', 'action.held', 'vote.cast', 'action.rejected']);
  assert.deepEqual((await of(rejected, 'action.rejected')).map((e) => [e.outcome, e.approver_id]), [['rejected_by_human', bob.id]]);
  const cancelled = await propose(sendEmail());
  expect(await s.agent.post(`/v1/actions/${cancelled.id}/cancel`), 200);
  assert.deepEqual(await story(cancelled), ['action.proposed', 'action.held', 'action.cancelled']);
  const denied = await propose({ connection: 'plaid-main', method: 'POST', path: '/item/public_token/exchange', body: { public_token: 'public-sandbox-zzz' } });
  assert.deepEqual([denied.status, await story(denied)], ['denied', ['action.proposed', 'action.denied']]);
  assert.equal((await of(denied, 'action.denied'))[0].outcome, 'denied_by_policy');
  const blocked = await propose(authorization('1.09'));
  await s.sandbox.rule({ path: '/transfer/authorization/create', mode: 'item_login_required', times: 1 });
  expect(await alice.vote(blocked, 'approve'), 200);
  await s.settled(blocked.id, 'blocked');
  const event = (await of(blocked, 'action.blocked'))[0];
  assert.deepEqual([event.error_code, event.outcome], ['ITEM_LOGIN_REQUIRED', null]);
  expect(await s.agent.post(`/v1/actions/${blocked.id}/cancel`), 200);
});

test('unknown and reconciled', async () => {
  const a = await propose(sendEmail());
  await s.sandbox.rule({ path: '/crm/emails', mode: 'drop_after', times: 1 });
  expect(await alice.vote(a, 'approve'), 200);
  await s.settled(a.id, 'unknown');
  expect(await bob.post(`/v1/actions/${a.id}/reconcile`, { outcome: 'succeeded', evidence: 'seen in the outbox' }), 200);
  assert.deepEqual((await story(a)).slice(-2), ['action.unknown', 'action.reconciled']);
  const [unknown] = await of(a, 'action.unknown');
  const [reconciled] = await of(a, 'action.reconciled');
  assert.deepEqual([unknown.outcome, reconciled.outcome, reconciled.approver_id], ['in_doubt', 'success', bob.id]);
  assert.match(JSON.stringify(reconciled.evidence), /seen in the outbox/);
});

test('declined by the provider, failed', async () => {
  const a = await propose(authorization('7.77', 'Declined Dan'));
  expect(await alice.vote(a, 'approve'), 200);
  await s.settled(a.id, 'declined');
  assert.deepEqual((await of(a, 'action.ended')).map((e) => e.outcome), ['declined_by_provider']);
  const b = await propose({ connection: 'crm-main', method: 'GET', path: '/contacts/ct_999999' });
  const [ended] = await of(b, 'action.ended');
  assert.deepEqual([ended.outcome, ended.error_code], ['error', 'not_found']);
});

test('refused votes', async () => {
  const a = await propose(sendEmail());
  expect(await admin.vote(a, 'approve'), 403, 'own-action');
  expect(await auditor.vote(a, 'approve'), 403, 'not-an-approver');
  const refused = await of(a, 'vote.refused');
  assert.deepEqual(refused.map((e) => [e.error_code, e.approver_id]), [['own-action', admin.id], ['not-an-approver', auditor.id]]);
});

test('delivered', async () => {
  const a = await propose({ ...listContacts(), resume: [{ type: 'webhook', url: `${receiver.url}/x` }] });
  await until(async () => (await of(a, 'action.delivered')).length === 1, 'action.delivered');
});

test('sign-ins, the roster, freezes, policy', async () => {
  const count = async (type) => (await s.audit(`&type=${type}`)).length;
  const [ins, outs, roster, policy] = [await count('login.succeeded'), await count('login.refused'), await count('roster.changed'), await count('policy.changed')];
  await s.login('carol');
  expect(await request(s.url, 'POST', '/v1/login', { body: { email: 'carol@example.com', password: 'hunter2-hunter2' } }), 401);
  expect(await request(s.url, 'POST', '/v1/login', { body: { email: 'stranger@evil.example', password: 'hunter2-hunter2' } }), 401);
  await s.addPerson('zoe', 'approver');
  assert.deepEqual([await count('login.succeeded'), await count('login.refused'), await count('roster.changed')], [ins + 1, outs + 2, roster + 1]);
  const { id } = expect(await alice.post('/v1/freeze', { scope: { connection: 'crm-main' }, reason: 'reason of the freeze' }), 200).body;
  assert.ok((await alice.delete(`/v1/freeze/${id}`)).status < 300);
  const [set] = (await s.audit('&type=freeze.set')).slice(-1);
  const [released] = (await s.audit('&type=freeze.released')).slice(-1);
  assert.deepEqual([set.approver_id, released.approver_id], [alice.id, alice.id]);
  fs.writeFileSync(path.join(s.dir, 'policy.yaml'), fs.readFileSync(path.join(s.dir, 'policy.yaml'), 'utf8').replace(/^rules: \[\]/m,
    'rules:\n  - name: no exports\n    match: {connector: crm, path: /export}\n    deny: true'));
  expect(await admin.post('/v1/policy/reload', {}), 200);
  assert.equal(await count('policy.changed'), policy + 1);
});

// Approved and not sent yet when the policy becomes stricter: back to people as the next revision.
test('revised', async () => {
  const { id } = expect(await alice.post('/v1/freeze', { scope: { connection: 'crm-main' }, reason: 'x' }), 200).body;
  const a = await propose(sendEmail());
  expect(await alice.vote(a, 'approve'), 200);
  const policy = path.join(s.dir, 'policy.yaml');
  fs.writeFileSync(policy, fs.readFileSync(policy, 'utf8').replace(/^rules:/m, 'rules:\n  - {name: two for mails, match: {operation: emails.send}, tier: 3}'));
  expect(await admin.post('/v1/policy/reload', {}), 200);
  assert.ok((await alice.delete(`/v1/freeze/${id}`)).status < 300);
  const revised = await s.settled(a.id, (x) => x.revision === 2);
  assert.deepEqual([revised.status, revised.tier, revised.approvals.given, revised.payload_hash], ['pending', 3, 0, a.payload_hash]);
  assert.notEqual(revised.binding, a.binding);
  expect(await bob.vote(a, 'approve'), 409, 'stale-revision');
  const [event] = await of(a, 'action.revised');
  assert.deepEqual([event.revision, event.risk_tier], [2, 3]);
  expect(await bob.vote(revised, 'reject'), 200);
});

test('expired', async () => {
  const a = await propose(sendEmail());
  s.clock(s.offset + 8 * DAY);
  await s.settled(a.id, 'expired');
  assert.deepEqual((await of(a)).slice(-1).map((e) => [e.type, e.outcome]), [['action.expired', 'expired']]);
  [alice, bob, auditor, admin] = [await s.login('alice'), await s.login('bob'), await s.login('auditor'), await s.login('admin')];
});

// --- the log as a whole -----------------------------------------------------------------------------

test('only known types; nearly all of them have occurred', async () => {
  const seen = new Set((await s.audit()).map((e) => e.type));
  assert.deepEqual([...seen].filter((t) => !TYPES.includes(t)), []);
  assert.deepEqual(TYPES.filter((t) => !seen.has(t)), ['key.rotated']);
});

test('gapless, newest first, times never go back, and it verifies', async () => {
  const page = expect(await auditor.get('/v1/audit?limit=200'), 200).body.items;
  assert.deepEqual(page.map((e) => e.seq), [...page.map((e) => e.seq)].sort((a, b) => b - a));
  const all = await s.audit();
  assert.deepEqual(all.map((e) => e.seq), all.map((_, i) => i + 1));
  assert.equal(new Set(all.map((e) => e.event_id)).size, all.length);
  for (let i = 1; i < all.length; i++) assert.ok(all[i].timestamp >= all[i - 1].timestamp, `event ${all[i].seq}`);
  assert.equal((await s.cli(['audit', 'verify'])).code, 0);
});

test('filters', async () => {
  const a = await propose(sendEmail());
  const get = async (query) => expect(await auditor.get(`/v1/audit?${query}`), 200).body;
  assert.deepEqual((await get(`action=${a.id}`)).items.map((e) => e.type), ['action.held', 'action.proposed']);
  assert.ok((await get('type=vote.cast')).items.every((e) => e.type === 'vote.cast'));
  assert.ok((await get(`since=${encodeURIComponent(a.proposed_at)}`)).items.every((e) => e.timestamp >= a.proposed_at));
  const first = await get('limit=2');
  const second = await get(`limit=2&cursor=${encodeURIComponent(first.next)}`);
  assert.equal(second.items[0].seq, first.items[1].seq - 1);
  for (const bad of ['type=nonsense', 'since=yesterday', 'limit=0', 'cursor=x', 'actoin=x', 'action=x'])
    expect(await auditor.get(`/v1/audit?${bad}`), 400);
});

test('who may read it: auditor and admin', async () => {
  for (const person of [auditor, admin]) {
    expect(await person.get('/v1/audit'), 200);
    expect(await person.get('/v1/audit/export?format=jsonl'), 200);
  }
  for (const person of [alice, s.agent]) {
    expect(await person.get('/v1/audit'), 403, 'wrong-principal');
    expect(await person.get('/v1/audit/export?format=jsonl'), 403, 'wrong-principal');
  }
  expect(await request(s.url, 'GET', '/v1/audit'), 401);
});

// One line of CSV into its fields.
function fields(line) {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, bare]) => (quoted === undefined ? bare : quoted.replaceAll('""', '"')));
}

test('export: the same events as JSON lines and as CSV', async () => {
  const all = await s.audit();
  const jsonl = expect(await auditor.get('/v1/audit/export?format=jsonl'), 200);
  const lines = jsonl.text.trim().split('\n').map((l) => JSON.parse(l));
  assert.deepEqual(lines.slice(0, all.length), all);
  const csv = expect(await auditor.get('/v1/audit/export?format=csv'), 200);
  assert.match(csv.headers['content-type'], /^text\/csv/);
  const rows = csv.text.trim().split(/\r?\n/).map(fields);
  assert.deepEqual(rows[0], FIELDS);
  assert.deepEqual(rows.slice(1, all.length + 1).map((r) => Number(r[1])), all.map((e) => e.seq));
  const at = all.findIndex((e) => e.type === 'action.ended' && e.operation === 'transfer.create');
  const row = Object.fromEntries(rows[at + 1].map((v, i) => [FIELDS[i], v]));
  assert.deepEqual([row.event_id, row.type, row.risk_tier, row.payload_hash], [all[at].event_id, 'action.ended', '3', all[at].payload_hash]);
  expect(await auditor.get('/v1/audit/export?format=xml'), 400);
});

test('no payload, no response, no personal data, no secret', async () => {
  const text = JSON.stringify(await s.audit()) + (await s.cli(['audit', 'export', '--format', 'csv'])).stdout;
  for (const secret of [...Object.values(PROVIDER), s.agentKey, DEAN, 'Secretname', 'Declined Dan', '321.09', ACCOUNT, 'public-sandbox-zzz', 'How are you?',
    'note of the agent', 'state of the agent', 'hunter2', 'stranger@evil.example', 'reason of alice', alice.cookie.split('=')[1], alice.csrf,
    ...Object.values(s.people).map((p) => p.password)])
    assert.ok(!text.includes(secret), secret);
});

test('nor in the log, nor in clear in the database', async () => {
  const bytes = ['', '-wal'].map((end) => { try { return fs.readFileSync(s.database + end).toString('latin1'); } catch { return ''; } }).join('');
  for (const [name, text] of [['log', s.log()], ['database', bytes]])
    for (const secret of [...Object.values(PROVIDER), s.agentKey, DEAN, 'How are you?', 'state of the agent', alice.cookie.split('=')[1],
      ...Object.values(s.people).map((p) => p.password)])
      assert.ok(!text.includes(secret), `${secret} in the ${name}`);
});
