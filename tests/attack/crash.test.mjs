// kill -9 of gate, of keeper, and of all at once, while actions are pending, approved and being sent.
// After the restart each goes where section 4 of the design says, and the provider's count agrees.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { expect, sleep, until } from '../e2e/harness.mjs';
import { startCrasher } from './crashing.mjs';

const SLOW_MS = 3000;
let w;
let s;
before(async () => {
  w = await startCrasher();
  s = w.s;
});
after(() => s?.stop());
// The parent gives up on a child that dies five times in quick succession, so each test has its own.
beforeEach(async () => {
  await s.sandbox.clearRules();
  await s.restart();
});

const arrived = (path, n = 1) => until(async () => (await s.sandbox.requests(path)).length >= n, `request ${n} of ${path}`);
const seen = async (path) => (await s.sandbox.requests(path)).length;

// Approved, and the provider has the request in its hands and takes its time.
async function midSend(a, people, path, rule = {}) {
  const before_ = await seen(path);
  await s.sandbox.rule({ path, mode: 'slow', delay_ms: SLOW_MS, ...rule });
  for (const person of people) expect(await w.vote(person, a), 200);
  await arrived(path, before_ + 1);
}

test('gate alone killed while a call is on the way: the result is kept and recorded', async () => {
  const a = await w.mail();
  await midSend(a, [w.people.alice], '/crm/emails');
  await w.killed('gate');
  const done = await s.settled(a.id, 'succeeded');
  assert.equal(done.result.status, 202, JSON.stringify(done.result));
  assert.equal(typeof done.result.body, 'object');
  assert.equal(done.executed_payload_hash, a.payload_hash);
  assert.equal(await a.effects(), 1);
});

test('keeper killed while a mail is on the way: unknown, and never sent again', async () => {
  const a = await w.mail();
  await midSend(a, [w.people.alice], '/crm/emails');
  await w.killed('keeper');
  assert.equal((await w.still(a)).status, 'unknown');
  await until(async () => (await a.effects()) === 1, 'the provider to finish what it had begun');
  const count = await seen('/crm/emails');
  await s.restart();
  s.clock(s.offset + 60_000);
  const other = await w.mail();
  expect(await w.vote(w.people.bob, other), 200);
  await s.settled(other.id, 'succeeded');
  assert.equal(await seen('/crm/emails'), count + 1, 'only the honest one was sent');
  assert.equal((await w.look(a)).status, 'unknown');
});

test('keeper killed while a transfer is on the way: one effect, and succeeded', async () => {
  const a = await w.money();
  await midSend(a, [w.people.alice, w.people.bob], '/transfer/create');
  await w.killed('keeper');
  assert.equal((await w.still(a)).status, 'succeeded');
  assert.equal(await a.effects(), 1);
});

test('everything killed at once while calls are on the way', async () => {
  const mail = await w.mail();
  const transfer = await w.money();
  await midSend(mail, [w.people.alice], '/crm/emails');
  await midSend(transfer, [w.people.alice, w.people.bob], '/transfer/create');
  await w.killAll();
  await s.serve({});
  assert.equal((await w.still(mail)).status, 'unknown');
  assert.equal((await w.still(transfer)).status, 'succeeded');
  assert.equal(await transfer.effects(), 1);
  assert.ok(await mail.effects() <= 1);
});

test('pending, half approved, approved and frozen: nothing is lost and nothing goes by itself', async () => {
  const pending = await w.mail();
  const half = await w.money();
  expect(await w.vote(w.people.alice, half), 200);
  const approved = await w.mail();
  const frozen = expect(await w.people.admin.post('/v1/freeze', { scope: { workspace: true }, reason: 'to hold what is approved' }), 200).body;
  expect(await w.vote(w.people.alice, approved), 200);
  for (const kill of [() => w.killed('gate'), () => w.killed('keeper'), async () => { await w.killAll(); await s.serve({}); }]) {
    await kill();
    assert.deepEqual([(await w.look(pending)).status, (await w.look(half)).status, (await w.look(approved)).status], ['pending', 'pending', 'approved']);
    assert.equal((await w.look(half)).approvals.given, 1);
    for (const a of [pending, half, approved]) assert.equal(await a.effects(), 0);
  }
  expect(await w.people.admin.delete(`/v1/freeze/${frozen.id}`), 200);
  assert.equal((await w.still(approved)).status, 'succeeded');
  expect(await w.vote(w.people.bob, half), 200);
  assert.equal((await w.still(half)).status, 'succeeded');
  expect(await w.vote(w.people.bob, pending, 'reject', { reason: 'no' }), 200);
  for (const [a, n] of [[pending, 0], [half, 1], [approved, 1]]) assert.equal(await a.effects(), n);
});

for (const part of ['gate', 'keeper', 'all']) {
  test(`twenty approved at once while ${part} is killed: each once, or unknown, or still to be decided`, async () => {
    const actions = [];
    for (let i = 0; i < 20; i++) actions.push(await w.mail());
    await s.sandbox.rule({ path: '/crm/emails', mode: 'slow', delay_ms: 200, times: -1 });
    const from = await seen('/crm/emails');
    const votes = actions.map((a) => w.vote(w.people.alice, a).catch(() => null));
    await arrived('/crm/emails', from + 1 + 3);
    if (part === 'all') {
      await w.killAll();
      await s.serve({});
    } else {
      await w.killed(part);
    }
    await Promise.all(votes);
    await s.sandbox.clearRules();
    for (const a of actions) {
      if ((await w.look(a)).status === 'pending') expect(await w.vote(w.people.bob, a), 200); // its vote was not acknowledged
      const { status } = await w.still(a);
      assert.ok(['succeeded', 'unknown'].includes(status), status);
      if (part === 'gate') assert.equal(status, 'succeeded', 'keeper lived, so nothing is unknown');
    }
    await sleep(500); // what the provider was still doing
    for (const a of actions) await w.agrees(a);
  });
}

test('a vote that was acknowledged counts after a kill that came with the answer', async () => {
  const a = await w.money();
  expect(await w.vote(w.people.alice, a), 200);
  await w.killAll();
  await s.serve({});
  assert.equal((await w.look(a)).approvals.given, 1);
  expect(await w.vote(w.people.bob, a), 200);
  assert.equal((await w.still(a)).status, 'succeeded');
});

test('after all that nothing is lost, nothing was done twice, and the log is whole', () => w.whole());
