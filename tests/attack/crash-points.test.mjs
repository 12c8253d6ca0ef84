// A power cut at named places: before and after every change of state that can be brought about cheaply,
// and around keeper's journal, with a provider that answers, dawdles, acts and hangs up, acts and fails.
// Whoever asked asks again where no answer came; then each action must end where it would have ended
// without the cut, or be unknown where nobody can know.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { HOUR, MINUTE, ROOT, addContact, authorization, expect, freePort, sendEmail, unique } from '../e2e/harness.mjs';
import { startCrasher } from './crashing.mjs';

let w;
let s;
let p; // people
before(async () => {
  const policy = fs.readFileSync(path.join(ROOT, 'conf', 'policy.yaml'), 'utf8').replace('decide_within: 7d', 'decide_within: 2h').replace('execute_within: 24h', 'execute_within: 2h');
  w = await startCrasher({ policy, config: { sessions: { idle: '7d', absolute: '7d' } } });
  ({ s, people: p } = w);
  await s.addConnection('crm-down', 'crm', `http://127.0.0.1:${await freePort()}/crm`, { token: 'x' });
  w.two = await s.addAgent('two', { connections: ['crm-down'] });
});
after(() => s?.stop());
beforeEach(() => s.sandbox.clearRules());

// --- stories: {prepare, act, ends}; act may be done twice, as somebody does who got no answer ----------

const freeze = async () => expect(await p.admin.post('/v1/freeze', { scope: { connection: 'crm-main' }, reason: 'so that it waits' }), 200).body;
const release = (f) => p.admin.delete(`/v1/freeze/${f.id}`);
const propose = async (body, agent = s.agent) => { const answer = await agent.propose(body); assert.ok(answer.status < 300, answer.text); return answer.body; };
const approve = (a) => w.vote(p.alice, a);
const cancel = (a) => s.agent.post(`/v1/actions/${a.id}/cancel`);
const later = (ms) => async () => { s.clock(s.offset + ms); };
const providerKey = (id) => createHash('sha256').update(`cs-idem-v1${id}`).digest('base64url');
// Blocked ones go through on a later attempt; the provider counts them under the key that Countersign gave.
const keepAuthorization = (answer) => { const a = w.keep(answer, () => s.sandbox.effect(`authorization:${providerKey(a.id)}`)); return a; };
const effectsOf = (to) => () => s.sandbox.effect(to);

// Something proposed with a key, so that asking again asks for the same.
function once(body, effect, more = {}) {
  const a = { body: { ...body, idempotency_key: unique('key'), ...more }, effects: effectsOf(effect) };
  return { ...a, propose: async () => { const made = await propose(a.body); Object.assign(a, made); return made; }, get id() { return a.id; } };
}

async function blocked() {
  await s.sandbox.rule({ path: '/transfer/authorization/create', mode: 'item_login_required', times: -1 });
  const a = keepAuthorization(await s.agent.propose({ ...authorization(), idempotency_key: unique('auth') }));
  await approve(a);
  await s.settled(a.id, 'blocked');
  return a;
}

async function unknown() {
  await s.sandbox.rule({ path: '/crm/emails', mode: 'drop_after' });
  const a = await w.mail();
  await approve(a);
  await s.settled(a.id, 'unknown');
  return a;
}

async function approvedButFrozen() {
  const frozen = await freeze();
  const a = await w.mail();
  expect(await approve(a), 200);
  return { ...a, frozen };
}

const failing = async (mode) => { const a = await w.mail(); await s.sandbox.rule({ path: '/crm/emails', ...mode }); return a; };
const settle = (outcome) => (a) => p.bob.post(`/v1/actions/${a.id}/reconcile`, { outcome, evidence: 'looked' });

const STORIES = {
  deny: { prepare: async () => once({ connection: 'plaid-main', method: 'POST', path: '/oauth/token', body: {} }, 'nothing:x'), act: (a) => a.propose(), ends: ['denied'] },
  hold: { prepare: async () => { const b = sendEmail(); return once(b, `email:${b.body.to}`); }, act: (a) => a.propose(), ends: ['pending'], lasting: true },
  send_now: { prepare: async () => { const b = addContact(); return once(b, `contact:${b.body.email}`); }, act: (a) => a.propose(), ends: ['succeeded', 'failed', 'unknown'] },
  approve: { prepare: () => w.mail(), act: approve, ends: ['succeeded'] },
  reject: { prepare: () => w.mail(), act: (a) => w.vote(p.alice, a, 'reject', { reason: 'no' }), ends: ['rejected'] },
  cancel_pending: { prepare: () => w.mail(), act: cancel, ends: ['cancelled'] },
  send: { prepare: () => w.mail(), act: approve, ends: ['succeeded'] },
  succeed: { prepare: () => w.mail(), act: approve, ends: ['succeeded'], answer: true },
  fail: { prepare: () => failing({ mode: 'error', status: 422, code: 'bad' }), act: approve, ends: ['failed'] },
  decline: { prepare: async () => w.keep(await s.agent.propose({ ...authorization('500.00', `Declined ${unique('x')}`) }), async () => 0), act: approve, ends: ['declined'] },
  lose: { prepare: () => failing({ mode: 'drop_after' }), act: approve, ends: ['unknown'] },
  block: { prepare: async () => { await s.sandbox.rule({ path: '/transfer/authorization/create', mode: 'item_login_required', times: -1 }); return keepAuthorization(await s.agent.propose(authorization('501.00', unique('Ann')))); },
    act: approve, ends: ['blocked'], lasting: true },
  unblock: { prepare: async () => { const a = await blocked(); await s.sandbox.clearRules(); return { ...a, effects: async () => 1 }; }, act: later(2 * MINUTE), ends: ['succeeded'] },
  cancel_blocked: { prepare: blocked, act: cancel, ends: ['cancelled'] },
  again: { prepare: async () => { const a = await w.money(); await s.sandbox.rule({ path: '/transfer/create', mode: 'drop_after' }); await w.vote(p.alice, a); return a; },
    act: async (a) => { await w.vote(p.bob, a); await later(3000)(); }, ends: ['succeeded'] },
  unsent: { prepare: async () => w.keep(await w.two.client.propose({ ...sendEmail(), connection: 'crm-down' }), async () => 0, w.two.client), act: approve, ends: ['approved', 'sending'], lasting: true },
  settle_succeeded: { prepare: unknown, act: settle('succeeded'), ends: ['succeeded'] },
  settle_failed: { prepare: async () => { await s.sandbox.rule({ path: '/crm/emails', mode: 'drop_before' }); const a = await w.mail(); await approve(a); await s.settled(a.id, 'unknown'); return a; }, act: settle('failed'), ends: ['failed'] },
  cancel_approved: { prepare: approvedButFrozen, act: cancel, ends: ['cancelled'] },
  stricter: { prepare: async () => { const a = await approvedButFrozen(); stricterPolicy(true); return a; }, act: async (a) => { await release(a.frozen); await later(31_000)(); }, ends: ['pending'], lasting: true, tidy: async () => { stricterPolicy(false); await s.restart(); } },
  expire_approved: { prepare: approvedButFrozen, act: later(5 * HOUR), ends: ['expired'] },
  expire_pending: { prepare: () => w.mail(), act: later(5 * HOUR), ends: ['expired'] },
  expire_blocked: { prepare: blocked, act: later(25 * HOUR), ends: ['expired'], tidy: () => w.signIn() },
};

function stricterPolicy(on) {
  const file = path.join(s.dir, 'policy.yaml');
  const text = fs.readFileSync(file, 'utf8');
  const next = on ? text.replace('- {count: 1}        # one', '- {count: 2}        # one') : text.replace('- {count: 2}        # one', '- {count: 1}        # one');
  assert.notEqual(next, text);
  fs.writeFileSync(file, next);
}

for (const [event, story] of Object.entries(STORIES)) {
  for (const when of ['before', 'after']) {
    test(`life_${event}_${when}: ${story.ends.join(' or ')}`, async () => {
      const a = await story.prepare();
      try {
        await w.crashAt(`life_${event}_${when}`, async () => { await story.act(a); });
        await story.act(a);
        const agent = a.agent ?? s.agent;
        const now = story.lasting ? await s.settled(a.id, (x) => story.ends.includes(x.status), agent) : await w.still(a);
        assert.ok(story.ends.includes(now.status), `${now.status} instead of ${story.ends.join(' or ')}`);
        if (event === 'stricter') assert.deepEqual([now.revision, now.approvals.given, now.approvals.required], [2, 0, 2]);
        if (story.answer) assert.equal(now.result?.status, 202, JSON.stringify(now.result));
        await w.agrees(a);
        if (now.status === 'approved' || now.status === 'sending') expect(await agent.post(`/v1/actions/${a.id}/cancel`), 200);
      } finally {
        if (a.frozen) await release(a.frozen);
        await story.tidy?.();
      }
    });
  }
}

for (const when of ['before', 'after']) {
  test(`life_read_succeeded_${when}: a read that was not answered was had by nobody, and can be made again`, async () => {
    await w.crashAt(`life_read_succeeded_${when}`, () => s.proxy('crm-main/contacts', undefined, {}, 'GET'));
    const again = await s.proxy('crm-main/contacts', undefined, {}, 'GET');
    assert.equal(again.status, 200, again.text);
    assert.equal((await w.look({ id: again.headers['countersign-action'] })).status, 'succeeded');
  });
}

// --- keeper ---------------------------------------------------------------------------------------------

// Where it is certain how it ends. A mail that keeper has written down as sent may have left; a transfer
// may be sent again, since the provider knows it by its authorization.
const MODES = ['ok', 'slow', 'drop_after', 'error_after'];
const CERTAIN = { keeper_before_journal: { ok: 'succeeded', slow: 'succeeded', drop_after: 'unknown', error_after: 'unknown' },
  keeper_after_journal: { ok: 'unknown', slow: 'unknown', drop_after: 'unknown', error_after: 'unknown' },
  keeper_sending: { ok: 'unknown', slow: 'unknown', drop_after: 'unknown', error_after: 'unknown' },
  keeper_before_result: { ok: 'succeeded', slow: 'succeeded', drop_after: 'unknown', error_after: 'unknown' } };

for (const [point, ends] of Object.entries(CERTAIN)) {
  for (const mode of MODES) {
    test(`${point}, the provider ${mode}: a mail is ${ends[mode]}, a transfer succeeded once`, async () => {
      const mail = await w.mail();
      await s.sandbox.rule({ path: '/crm/emails', mode });
      await w.crashAt(point, () => approve(mail));
      await approve(mail);
      assert.equal((await w.still(mail)).status, ends[mode]);
      await w.agrees(mail);

      const transfer = await w.money();
      await s.sandbox.rule({ path: '/transfer/create', mode });
      expect(await w.vote(p.alice, transfer), 200);
      await w.crashAt(point, () => w.vote(p.bob, transfer));
      await w.vote(p.bob, transfer);
      assert.equal((await w.still(transfer)).status, 'succeeded');
      assert.equal(await transfer.effects(), 1);
    });
  }
}

test('after all those crashes nothing is lost, nothing was done twice, and the log is whole', () => w.whole());
