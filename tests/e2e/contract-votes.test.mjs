// Votes: who may, in which order the reasons against it are checked, what a vote does, and that fifty
// people at once still make one resolution.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DAY, expect, listContacts, request, sendEmail, startServer, transfer, unique } from './harness.mjs';

const POLICY = `version: 1
tiers:
  2:
    decide_within: 7d
    execute_within: 24h
    evidence: session
    quorum:
      - {count: 1}
  3:
    decide_within: 24h
    execute_within: 24h
    evidence: session
    quorum:
      - {count: 2}
rules:
  - name: deletions by finance
    match: {operation: contacts.delete}
    group: finance
  - name: refunds by passkey
    match: {operation: transfer.refund.create}
    evidence: passkey
  - name: any two of three at tier two
    match: {connector: crm, path: /two}
    tier: 3
`;

let s;
let alice;
let bob;
before(async () => {
  s = await startServer({ policy: POLICY });
  alice = await s.login('alice');
  bob = await s.login('bob');
});
after(() => s?.stop());

const propose = async (body = sendEmail()) => expect(await s.agent.propose(body), 202).body;
const deletion = () => propose({ connection: 'crm-main', method: 'DELETE', path: `/contacts/${unique('ct')}` });
const tierThree = () => propose(transfer(unique('auth')));
const status = async (a) => (await s.agent.get(`/v1/actions/${a.id}`)).body;
const types = async (a, type) => (await s.audit(`&action=${a.id}&type=${type}`)).length;
const voteBody = (a, decision = 'approve') => ({ decision, revision: a.revision, binding: a.binding });
const votes = (a, headers, body = voteBody(a)) => request(s.url, 'POST', `/v1/actions/${a.id}/votes`, { headers, body });

// --- the order of the checks ------------------------------------------------------------------------

const NO_SUCH = { id: 'act_00000000000000000000000000', revision: 9, binding: `sha256:${'0'.repeat(64)}` };

test('first 401: nobody, whatever else is wrong', async () => {
  for (const headers of [{}, { Cookie: 'countersign=nonsense', 'X-CSRF-Token': alice.csrf }, { Authorization: 'Bearer cst_nonsense' }]) {
    const answer = expect(await votes(NO_SUCH, headers), 401);
    assert.ok(['unauthenticated', 'login-required'].includes(answer.problem), answer.text);
  }
});

test('then csrf, also for an action that is not there', async () => {
  for (const token of [undefined, '', 'nonsense', bob.csrf])
    expect(await votes(NO_SUCH, { Cookie: alice.cookie, 'X-CSRF-Token': token }), 403, 'csrf');
});

test('then wrong-principal: agent keys and API tokens never vote', async () => {
  const token = /cst_[\w-]+/.exec((await s.admin(['token', 'add', 'alice@example.com'])).stdout)[0];
  const a = await propose();
  for (const of of [a, NO_SUCH])
    for (const key of [s.agentKey, token]) expect(await votes(of, { Authorization: `Bearer ${key}` }), 403, 'wrong-principal');
  expect(await votes(a, { Authorization: `Bearer ${token}`, 'X-CSRF-Token': alice.csrf }), 403, 'wrong-principal');
  expect(await request(s.url, 'GET', '/v1/reviews', { headers: { Authorization: `Bearer ${token}` } }), 200);
  assert.equal((await status(a)).approvals.given, 0);
});

test('then 404', async () => {
  expect(await alice.vote(NO_SUCH, 'approve'), 404, 'not-found');
});

test('then ended, also for the owner with a stale revision: 409 naming the state and who', async () => {
  const a = await propose();
  expect(await alice.vote(a, 'reject', { reason: 'no' }), 200);
  const owner = await s.login('admin');
  for (const person of [bob, owner]) {
    const answer = expect(await person.vote({ ...a, revision: 7 }, 'approve'), 409, 'already-decided');
    assert.match(answer.body.detail, /rejected/);
    assert.ok(answer.body.detail.includes('alice@example.com') || answer.body.detail.includes(alice.id), answer.body.detail);
  }
  const done = await propose();
  expect(await bob.vote(done, 'approve'), 200);
  const answer = expect(await alice.vote(done, 'reject'), 409, 'already-decided');
  assert.ok(answer.body.detail.includes('bob@example.com') || answer.body.detail.includes(bob.id), answer.body.detail);
});

test('then stale-revision: another revision, or another binding', async () => {
  const a = await propose();
  const b = await propose();
  const owner = await s.login('admin');
  for (const person of [alice, owner])
    for (const wrong of [{ revision: 2 }, { revision: 0 }, { binding: b.binding }, { binding: a.payload_hash }])
      expect(await person.vote({ ...a, ...wrong }, 'approve'), 409, 'stale-revision');
  assert.equal((await status(a)).status, 'pending');
});

test('then own-action and not-an-approver', async () => {
  const a = await propose();
  expect(await (await s.login('admin')).vote(a, 'approve'), 403, 'own-action');
  expect(await (await s.login('auditor')).vote(a, 'approve'), 403, 'not-an-approver');
  const d = await deletion();
  const carol = await s.login('carol');
  expect(await carol.vote(d, 'approve'), 403, 'not-an-approver');
  expect(await carol.vote(d, 'reject'), 403, 'not-an-approver');
  assert.equal((await status(d)).status, 'pending');
  expect(await carol.vote(a, 'approve'), 200);
});

test('last step-up-required, per RFC 9470', async () => {
  const a = await propose({ connection: 'plaid-main', method: 'POST', path: '/transfer/refund/create',
    body: { transfer_id: unique('t'), amount: '1.00' } });
  const answer = expect(await alice.vote(a, 'approve'), 401, 'step-up-required');
  assert.match(answer.headers['www-authenticate'], /error="insufficient_user_authentication"/);
  assert.match(answer.headers['www-authenticate'], /max_age="?300/);
  assert.deepEqual([answer.body.methods, answer.body.max_age], [['passkey', 'totp'], 300]);
  assert.equal((await status(a)).approvals.given, 0);
  // To refuse is the easy path: it needs no stronger proof.
  const seen = (await alice.get(`/v1/actions/${a.id}`)).body;
  assert.deepEqual([seen.can.approve, seen.can.reject], [false, true]);
  expect(await alice.vote(a, 'reject'), 200);
});

test('malformed votes', async () => {
  const a = await propose();
  const post = (body) => alice.post(`/v1/actions/${a.id}/votes`, body);
  for (const body of [{ ...voteBody(a), decision: 'maybe' }, { ...voteBody(a), decision: undefined }, { ...voteBody(a), revision: '1' },
    { ...voteBody(a), binding: undefined }, { ...voteBody(a), bidning: 'x' }, '{"decision":"reject","decision":"approve"}', '[]', ''])
    expect(await post(body), 400);
  assert.equal((await status(a)).status, 'pending');
  expect(await request(s.url, 'GET', `/v1/actions/${a.id}/votes`, { headers: { Cookie: alice.cookie } }), 405);
});

// --- what a vote does -------------------------------------------------------------------------------

test('one approval at tier 2: approved, sent, succeeded', async () => {
  const to = `${unique('one')}@example.com`;
  const a = await propose(sendEmail(to));
  const after = expect(await alice.vote(a, 'approve', { reason: 'fine' }), 200).body;
  assert.equal(after.id, a.id);
  assert.ok(['approved', 'sending', 'succeeded'].includes(after.status), after.status);
  const done = await s.settled(a.id, 'succeeded');
  assert.deepEqual([done.outcome, done.result.status, done.executed_payload_hash, done.approvals.given], ['success', 202, a.payload_hash, 1]);
  assert.ok(Date.parse(done.decided_at) >= Date.parse(a.proposed_at) && Date.parse(done.ended_at) >= Date.parse(done.decided_at));
  assert.equal(await s.sandbox.effect(`email:${to}`), 1);
});

test('a rejection names who, why and which option; nothing is sent', async () => {
  const to = `${unique('no')}@example.com`;
  const a = await propose(sendEmail(to));
  expect(await bob.vote(a, 'reject', { reason: 'wrong address', option: 'ask first' }), 200);
  const ended = await status(a);
  assert.deepEqual([ended.status, ended.outcome], ['rejected', 'rejected_by_human']);
  assert.deepEqual(ended.rejection, { ...ended.rejection, by: bob.id, reason: 'wrong address', option: 'ask first' });
  assert.equal(await s.sandbox.effect(`email:${to}`), 0);
});

test('the same vote again: 200, unchanged', async () => {
  const a = await tierThree();
  const first = expect(await alice.vote(a, 'approve', { reason: 'first' }), 200).body;
  const again = expect(await alice.vote(a, 'approve', { reason: 'first' }), 200).body;
  const third = expect(await (await s.login('alice')).vote(a, 'approve'), 200).body;
  assert.deepEqual([first.approvals.given, again.approvals.given, third.approvals.given], [1, 1, 1]);
  assert.deepEqual(again.votes, first.votes);
  assert.deepEqual(third.votes, first.votes);
  assert.equal(third.status, 'pending');
  assert.equal(await types(a, 'vote.cast'), 1);
});

test("another decision by the same person replaces the vote", async () => {
  const a = await tierThree();
  expect(await alice.vote(a, 'approve'), 200);
  const after = expect(await alice.vote(a, 'reject', { reason: 'on second thought' }), 200).body;
  assert.equal(after.status, 'rejected');
  assert.deepEqual(after.votes.map((v) => v.decision), ['reject']);
  assert.equal(after.rejection.by, alice.id);
  expect(await bob.vote(a, 'approve'), 409, 'already-decided');
});

test('tier 3 needs two different people', async () => {
  const made = await s.agent.propose({ connection: 'crm-main', method: 'POST', path: '/two', body: { n: unique('n') } });
  const a = expect(made, 202).body;
  assert.equal(a.approvals.required, 2);
  expect(await alice.vote(a, 'approve'), 200);
  expect(await (await s.login('alice')).vote(a, 'approve'), 200);
  const half = await status(a);
  assert.deepEqual([half.status, half.approvals.given, half.approvals.required], ['pending', 1, 2]);
  assert.equal((await s.sandbox.requests('/crm/two')).length, 0);
  expect(await bob.vote(a, 'approve'), 200);
  await s.settled(a.id, 'failed'); // the sandbox has no such path: it was sent, and answered 404
  assert.equal((await s.sandbox.requests('/crm/two')).length, 1);
  assert.deepEqual([await types(a, 'vote.cast'), await types(a, 'action.approved')], [2, 1]);
});

test('what a person sees: the request, the votes, what they can do', async () => {
  const a = await propose({ ...sendEmail('seen@example.com', { body: { to: 'seen@example.com', text: 'x'.repeat(5000) } }), note: 'please' });
  const seen = async (person) => expect(await person.get(`/v1/actions/${a.id}`), 200).body;
  const view = await seen(alice);
  assert.deepEqual(view.request, { method: 'POST', path: '/emails', query: [], headers: {}, body: { to: 'seen@example.com', text: 'x'.repeat(5000) } });
  assert.deepEqual([view.note, view.votes, view.can.approve, view.can.reject], ['please', [], true, true]);
  for (const field of ['diff', 'impact', 'timeline']) assert.ok(field in view, field);
  assert.deepEqual(Object.keys(view.impact).sort(), ['amount', 'currency', 'external', 'payee', 'rows']);
  assert.equal(view.impact.payee, 'seen@example.com');
  assert.deepEqual((await seen(await s.login('admin'))).can, { approve: false, reject: false, why: (await seen(await s.login('admin'))).can.why });
  assert.ok((await seen(await s.login('auditor'))).can.why, 'says why not');
  assert.ok(!('request' in (await status(a))) && !('note' in (await status(a))), 'the agent sees neither');
  expect(await alice.vote(a, 'approve'), 200);
  await s.settled(a.id, 'succeeded');
  assert.equal((await seen(bob)).can.approve, false);
});

// --- many at once -----------------------------------------------------------------------------------

async function crowd(n) {
  const people = [];
  for (let i = 0; i < n; i++) await s.addPerson(`crowd${i}`, 'approver');
  for (let i = 0; i < n; i++) people.push(await s.login(`crowd${i}`));
  return people;
}

test('fifty people vote at once: one resolution, one effect', async () => {
  const people = await crowd(50);
  const to = `${unique('fifty')}@example.com`;
  const a = await propose(sendEmail(to));
  const answers = await Promise.all(people.map((p) => p.vote(a, 'approve')));
  for (const answer of answers) assert.ok(answer.status === 200 || answer.problem === 'already-decided', answer.text);
  assert.ok(answers.some((x) => x.status === 200));
  const done = await s.settled(a.id, 'succeeded');
  assert.equal(done.approvals.given, 1);
  assert.equal(await s.sandbox.effect(`email:${to}`), 1);
  for (const type of ['action.approved', 'action.sending', 'action.ended', 'vote.cast']) assert.equal(await types(a, type), 1, type);

  for (let round = 0; round < 5; round++) {
    const mixed = `${unique('mixed')}@example.com`;
    const b = await propose(sendEmail(mixed));
    await Promise.all(people.map((p, i) => p.vote(b, i % 2 ? 'approve' : 'reject')));
    const end = await s.settled(b.id, (x) => x.ended_at !== null);
    assert.ok(['succeeded', 'rejected'].includes(end.status), end.status);
    assert.equal(await s.sandbox.effect(`email:${mixed}`), end.status === 'succeeded' ? 1 : 0);
    assert.equal(await types(b, 'action.approved') + await types(b, 'action.rejected'), 1);
  }
});

test('a vote and a cancel at once: one of them wins, and the effect agrees', async () => {
  for (let round = 0; round < 8; round++) {
    const to = `${unique('race')}@example.com`;
    const a = await propose(sendEmail(to));
    const [vote, cancel] = await Promise.all([alice.vote(a, 'approve'), s.agent.post(`/v1/actions/${a.id}/cancel`)]);
    assert.ok(vote.status === 200 || vote.status === 409, vote.text);
    assert.ok(cancel.status === 200 || cancel.status === 409, cancel.text);
    const end = await s.settled(a.id, (x) => x.ended_at !== null);
    assert.equal(end.status, cancel.status === 200 ? 'cancelled' : 'succeeded');
    assert.equal(await s.sandbox.effect(`email:${to}`), end.status === 'succeeded' ? 1 : 0);
  }
});

// --- people who may no longer -----------------------------------------------------------------------

test("a disabled person's pending vote stops counting, and their session ends", async () => {
  await s.addPerson('dave', 'approver', ['finance']);
  const dave = await s.login('dave');
  const a = await tierThree();
  assert.equal(expect(await dave.vote(a, 'approve'), 200).body.approvals.given, 1);
  await s.admin(['person', 'disable', 'dave@example.com']);
  assert.equal((await status(a)).approvals.given, 0);
  expect(await dave.get('/v1/reviews'), 401);
  expect(await dave.vote(a, 'approve'), 401);
  const half = expect(await alice.vote(a, 'approve'), 200).body;
  assert.deepEqual([half.status, half.approvals.given], ['pending', 1]);
  const his = half.votes.find((v) => v.person === dave.id || v.email === 'dave@example.com');
  if (his) assert.equal(his.counts, false);
  assert.equal((await s.sandbox.requests('/transfer/create')).length, 0);
});

// --- time -------------------------------------------------------------------------------------------

test('after the deadline: 410, and the action is expired', async () => {
  const to = `${unique('late')}@example.com`;
  const a = await propose(sendEmail(to));
  s.clock(s.offset + 7 * DAY + 1000);
  const late = await s.login('bob');
  expect(await late.vote(a, 'approve'), 410, 'expired');
  const ended = await s.settled(a.id, 'expired');
  assert.equal(ended.outcome, 'expired');
  expect(await late.vote(a, 'approve'), 410, 'expired');
  expect(await alice.vote(a, 'approve'), 401);
  assert.equal(await s.sandbox.effect(`email:${to}`), 0);
  expect(await s.agent.propose(listContacts()), 200);
});
