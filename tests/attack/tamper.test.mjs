// Somebody who may write into the database, and into nothing else, wants a call to be sent that people
// have not approved, or twice. People, agents, connections, sessions, votes, actions, credentials, jobs,
// freezes and sends are edited with SQL; what the make-believe provider saw says whether it worked.
// Whatever is found out must stand in the log.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { MINUTE, PROVIDER, expect, sendEmail, startReceiver, startServer, transfer, unique, until, authorization } from '../e2e/harness.mjs';

const OTHER_TOKEN = 'token-of-another-tenant';
let s;
let people;
let receiver;
let elsewhere;
before(async () => {
  receiver = await startReceiver();
  elsewhere = await startReceiver();
  s = await startServer({ resumeUrls: [receiver.url] });
  await s.addConnection('crm-other', 'crm', `${s.sandbox.url}/crm`, { token: OTHER_TOKEN });
  await signIn();
});
after(async () => {
  await s?.stop();
  await receiver?.stop();
  await elsewhere?.stop();
});

async function signIn() {
  people = {};
  for (const name of ['alice', 'bob', 'carol', 'admin']) people[name] = await s.login(name);
}

// --- tools ------------------------------------------------------------------------------------------

const quote = (v) => (v === null ? 'NULL' : typeof v === 'number' ? String(v) : `'${String(v).replaceAll("'", "''")}'`);
const cheat = (text) => s.sql(text, { write: true });
const one = async (text) => (await s.sql(text))[0];
// Exchanges columns of two rows. By way of a copy: an UPDATE that reads its own table sees what it has written.
const swap = (table, key, a, b, columns) => cheat(`CREATE TEMP TABLE copy AS SELECT * FROM ${table} WHERE ${key} IN (${quote(a)}, ${quote(b)});
  ${[[a, b], [b, a]].map(([to, from]) => `UPDATE ${table} SET ${columns.map((c) => `${c} = (SELECT ${c} FROM copy WHERE ${key} = ${quote(from)})`).join(', ')}
    WHERE ${key} = ${quote(to)};`).join('\n')}`);
const setAction = (a, columns) => cheat(`UPDATE action SET ${Object.entries(columns).map(([k, v]) => `${k} = ${quote(v)}`).join(', ')} WHERE id = ${quote(a.id)}`);
const rowOf = (a) => one(`SELECT * FROM action WHERE id = ${quote(a.id)}`);
const now = () => Math.round(s.now());

async function mail() {
  const body = sendEmail();
  const a = expect(await s.agent.propose(body), 202).body;
  return { ...a, to: body.body.to, effects: () => s.sandbox.effect(`email:${body.body.to}`) };
}

async function money() {
  const first = expect(await s.agent.propose({ ...authorization(), idempotency_key: unique('auth') }), 202).body;
  expect(await people.alice.vote(first, 'approve'), 200);
  const { result } = await s.settled(first.id, 'succeeded');
  const { id } = result.body.authorization;
  return { ...expect(await s.agent.propose(transfer(id)), 202).body, effects: () => s.sandbox.effect(`transfer:${id}`) };
}

// Everything that Countersign would do by itself has been done: it has started anew and looked at all
// that is open, time has passed, and honest work that came later is through.
async function everythingTried() {
  await s.restart();
  for (let round = 0; round < 2; round++) {
    s.clock(s.offset + 5000); // little: a transfer may wait for 55 minutes only
    const honest = await mail();
    expect(await people.bob.vote(honest, 'approve'), 200);
    await s.settled(honest.id, 'succeeded');
    assert.equal(await honest.effects(), 1);
  }
}

// The public formula of a binding: whoever can write rows can work it out, too.
function canonical(v) {
  if (Array.isArray(v)) return `[${v.map(canonical).join(',')}]`;
  if (v === null || typeof v !== 'object') return JSON.stringify(v);
  return `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`).join(',')}}`;
}
const bindingOf = (row) => `sha256:${crypto.createHash('sha256').update(canonical({ version: 1, action: row.id, revision: row.revision,
  workspace: row.workspace_id, agent: row.agent_id, connection: row.connection_id, tier: row.tier, quorum: JSON.parse(row.quorum),
  evidence: row.evidence, payload_hash: row.payload_hash, decide_by: row.decide_by, execute_by: row.execute_by, nonce: row.nonce })).digest('hex')}`;

async function rebind(a, columns) {
  const row = { ...await rowOf(a), ...columns };
  await setAction(a, { ...columns, binding: bindingOf(row) });
  return { ...a, revision: row.revision, binding: bindingOf(row) };
}

const VOTE = ['workspace_id', 'action_id', 'revision', 'person_id', 'decision', 'binding', 'reason', 'option', 'at', 'auth_time', 'session_id', 'evidence', 'mac'];
const putVote = (vote) => cheat(`INSERT OR REPLACE INTO vote (${VOTE.join(', ')}) VALUES (${VOTE.map((k) => quote(vote[k] ?? null)).join(', ')})`);
const voteOn = (a, person) => one(`SELECT * FROM vote WHERE action_id = ${quote(a.id)} AND person_id = ${quote(person.id)}`);
const approvedRow = () => ({ state: 'approved', decided_at: now(), given: 2, ended_at: null, outcome: null, rejected_by: null, error_code: null });
const sendSoon = (a) => cheat(`INSERT OR REPLACE INTO job (workspace_id, kind, ref, due, tries) VALUES ('default', 'send', ${quote(a.id)}, 0, 0)`);

async function forgedVote(a, person, more = {}) {
  const session = await one(`SELECT id, auth_time FROM session WHERE person_id = ${quote(person.id)} AND ended_at IS NULL ORDER BY made_at DESC LIMIT 1`);
  return { workspace_id: 'default', action_id: a.id, revision: a.revision, person_id: person.id, decision: 'approve', binding: a.binding,
    at: now(), auth_time: session.auth_time, session_id: session.id, evidence: 'session', mac: `1:${crypto.randomBytes(32).toString('hex')}`, ...more };
}

async function never(a, what, log) {
  await everythingTried();
  assert.equal(await a.effects(), 0, `${what}: it was sent; ${JSON.stringify(await rowOf(a))}`);
  assert.notEqual((await rowOf(a)).state, 'succeeded', what);
  if (log) assert.match(s.log(), log, `${what}: nothing of it stands in the log`);
}

const complaint = (a) => new RegExp(`"level":"(warn|error)"[^\\n]*${a.id}`);

test('the binding worked out here is the one that people approve', async () => {
  const a = await mail();
  assert.equal(bindingOf(await rowOf(a)), a.binding, 'otherwise the tests below would try nothing');
});

// --- the action's row -------------------------------------------------------------------------------

const EDITS = {
  'called approved': () => ({}),
  'approved by an empty quorum': () => ({ quorum: '[]' }),
  'approved by a quorum of nobody': () => ({ quorum: '[{"count":0}]' }),
  'approved by a quorum that is no JSON': () => ({ quorum: 'null' }),
  'approved at tier 1': () => ({ tier: 1, quorum: null }),
  'approved at tier 0': () => ({ tier: 0, quorum: null, binding: null, nonce: null }),
  'approved for another agent': () => ({ agent_id: 'agt_00000000000000000000000000' }),
};
for (const [what, columns] of Object.entries(EDITS)) {
  test(`an action that nobody approved, ${what}`, async () => {
    for (const a of [await mail(), await money()]) {
      await setAction(a, { ...approvedRow(), ...columns() });
      await sendSoon(a);
      await never(a, what, complaint(a));
    }
  });
}

test('an action that nobody approved, called sending or blocked', async () => {
  for (const state of ['sending', 'blocked']) {
    const a = await mail();
    const { epoch } = await one("SELECT keeper_epoch AS epoch FROM send ORDER BY started_at DESC LIMIT 1");
    await setAction(a, { ...approvedRow(), state, attempt: 1 });
    await cheat(`INSERT INTO send (workspace_id, action_id, attempt, kind, revision, state, keeper_epoch, started_at)
      VALUES ('default', ${quote(a.id)}, 1, 'main', 1, 'sending', ${quote(epoch)}, ${now()})`);
    await sendSoon(a);
    await never(a, state, complaint(a));
  }
});

test('a job to send an action that still waits', async () => {
  const a = await mail();
  await sendSoon(a);
  await never(a, 'a job');
  assert.equal((await rowOf(a)).state, 'pending');
});

test('a smaller quorum, or a lower tier, put in before a single honest vote', async () => {
  const lesser = [{ quorum: '[{"count":1}]' }, { quorum: '[]' }, { tier: 2, quorum: '[{"count":1}]' }, { tier: 1, quorum: '[{"count":1}]' }];
  for (const columns of lesser) {
    const plain = await money();
    await setAction(plain, columns);
    await people.alice.vote(plain, 'approve');
    await never(plain, `${JSON.stringify(columns)} without a new binding`);

    const bound = await rebind(await money(), columns); // the cheat works the binding out, too
    await people.alice.vote(bound, 'approve');
    await never(bound, `${JSON.stringify(columns)} with its binding`, columns.quorum === '[]' ? null : complaint(bound)); // where nobody may vote nobody tries
  }
});

test('deadlines extended after the vote, with and without the binding', async () => {
  for (const bind of [false, true]) {
    const frozen = expect(await people.admin.post('/v1/freeze', { scope: { workspace: true }, reason: 'while rows are edited' }), 200).body;
    const a = await mail();
    expect(await people.alice.vote(a, 'approve'), 200);
    const columns = { decide_by: now() + 30 * 1440 * MINUTE, execute_by: now() + 60 * 1440 * MINUTE };
    if (bind) await rebind(a, columns);
    else await setAction(a, columns);
    expect(await people.admin.delete(`/v1/freeze/${frozen.id}`), 200);
    await never(a, 'an extended deadline', complaint(a));
  }
});

test('payloads of two approved actions exchanged, with and without hashes and bindings', async () => {
  for (const columns of [['sealed_request'], ['sealed_request', 'payload_hash'], ['sealed_request', 'payload_hash', 'binding', 'nonce'], ['binding', 'nonce'], ['payload_hash']]) {
    const frozen = expect(await people.admin.post('/v1/freeze', { scope: { workspace: true }, reason: 'while rows are edited' }), 200).body;
    const a = await mail();
    const b = await mail();
    expect(await people.alice.vote(a, 'approve'), 200);
    // b stays unapproved: its content must not ride on a's approval
    await swap('action', 'id', a.id, b.id, columns);
    expect(await people.admin.delete(`/v1/freeze/${frozen.id}`), 200);
    await never(a, `${columns} of a`);
    await never(b, `${columns} of b`);
    assert.match(s.log(), complaint(a));
  }
});

test('an approved action sent over another connection', async () => {
  const frozen = expect(await people.admin.post('/v1/freeze', { scope: { workspace: true }, reason: 'while rows are edited' }), 200).body;
  const a = await mail();
  expect(await people.alice.vote(a, 'approve'), 200);
  const other = expect(await people.admin.get('/v1/connections'), 200).body.items.find((c) => c.name === 'crm-other');
  await setAction(a, { connection_id: other.id });
  expect(await people.admin.delete(`/v1/freeze/${frozen.id}`), 200);
  await never(a, 'another connection', complaint(a));
  assert.ok(!(await s.sandbox.requests('/crm/emails')).some((r) => JSON.stringify(r).includes(OTHER_TOKEN)));
});

test('sent, then called approved again with its sends forgotten: not sent twice', async () => {
  for (const attempt of [0, 1, 7]) {
    const a = await mail();
    expect(await people.alice.vote(a, 'approve'), 200);
    await s.settled(a.id, 'succeeded');
    await cheat(`DELETE FROM send WHERE action_id = ${quote(a.id)}`);
    await setAction(a, { ...approvedRow(), attempt, executed_payload_hash: null });
    await sendSoon(a);
    await everythingTried();
    assert.equal(await a.effects(), 1, `from attempt ${attempt}`);
    assert.match(s.log(), complaint(a));
  }
});

// --- votes ------------------------------------------------------------------------------------------

test('votes made up: without a key, by copying, by another person, from another revision', async () => {
  const inserted = await mail();
  await putVote(await forgedVote(inserted, people.alice));
  await setAction(inserted, approvedRow());
  await never(inserted, 'a made-up vote', complaint(inserted));

  const source = await mail();
  expect(await people.alice.vote(source, 'approve'), 200);
  const real = await voteOn(source, people.alice);
  for (const change of [{}, { keepBinding: true }]) {
    const copied = await mail();
    await putVote({ ...real, action_id: copied.id, revision: 1, ...(change.keepBinding ? {} : { binding: copied.binding }) });
    await setAction(copied, approvedRow());
    await never(copied, 'a vote on something else', complaint(copied));
  }

  const rejected = await mail();
  expect(await people.alice.vote(rejected, 'reject', { reason: 'no' }), 200);
  await cheat(`UPDATE vote SET decision = 'approve' WHERE action_id = ${quote(rejected.id)}`);
  await setAction(rejected, approvedRow());
  await never(rejected, 'a no turned into a yes', complaint(rejected));

  const doubled = await money();
  expect(await people.alice.vote(doubled, 'approve'), 200);
  await putVote({ ...await voteOn(doubled, people.alice), person_id: people.bob.id });
  await setAction(doubled, approvedRow());
  await never(doubled, 'one vote counted for two people', complaint(doubled));
});

test('a vote that is right is worth nothing in another person\'s name, at another time, in another session', async () => {
  const bobs = await one(`SELECT id FROM session WHERE person_id = ${quote(people.bob.id)} LIMIT 1`);
  for (const column of [['person_id', people.bob.id], ['at', 5], ['auth_time', now()], ['session_id', bobs.id], ['evidence', 'passkey'],
    ['mac', '1:'], ['mac', ''], ['mac', `2:${'0'.repeat(64)}`]]) {
    const frozen = expect(await people.admin.post('/v1/freeze', { scope: { workspace: true }, reason: 'while rows are edited' }), 200).body;
    const a = await mail();
    expect(await people.alice.vote(a, 'approve'), 200);
    await cheat(`UPDATE vote SET ${column[0]} = ${quote(column[1])} WHERE action_id = ${quote(a.id)}`);
    expect(await people.admin.delete(`/v1/freeze/${frozen.id}`), 200);
    await never(a, `a vote with another ${column}`, complaint(a));
  }
});

// --- sessions ---------------------------------------------------------------------------------------

test('a session\'s row made somebody else\'s, or made up, is nobody\'s', async () => {
  const dave = await s.addPerson('dave', 'approver');
  const window = await s.login('dave');
  const hash = (cookie) => `sha256:${crypto.createHash('sha256').update(cookie.split('=')[1]).digest('hex')}`;
  const row = await one(`SELECT * FROM session WHERE person_id = ${quote(window.id)}`);
  assert.equal(row.token_hash, hash(window.cookie), 'otherwise the made-up row below would try nothing');
  await cheat(`UPDATE session SET person_id = ${quote(people.admin.id)} WHERE id = ${quote(row.id)}`);
  expect(await window.get('/v1/me'), 401, 'login-required');
  await cheat(`UPDATE session SET person_id = ${quote(window.id)}, auth_time = auth_time + 1 WHERE id = ${quote(row.id)}`);
  expect(await window.get('/v1/me'), 401, 'login-required');

  const token = `css_${'x'.repeat(43)}`;
  await cheat(`INSERT INTO session (workspace_id, id, token_hash, person_id, csrf, made_at, auth_time, seen_at, mac)
    SELECT workspace_id, 'ses_00000000000000000000000000', ${quote(hash(`=${token}`))}, ${quote(people.admin.id)}, 'csf_x', made_at, auth_time, seen_at, mac FROM session WHERE id = ${quote(row.id)}`);
  expect(await s.request('GET', '/v1/me', { headers: { Cookie: `countersign=${token}` } }), 401, 'login-required');
  assert.ok(dave);
});

test('a session that was signed out stays so when its row says otherwise', async () => {
  await s.addPerson('erin', 'approver');
  const window = await s.login('erin');
  expect(await window.post('/v1/logout', {}), 200);
  await cheat(`UPDATE session SET ended_at = NULL, revoked = 0 WHERE person_id = ${quote(window.id)}`);
  expect(await window.get('/v1/me'), 401, 'login-required');
  const a = await mail();
  expect(await window.vote(a, 'approve'), 401, 'login-required');
  await never(a, 'a session that was over');
});

test('a person who was disabled: neither the session revived nor the votes count', async () => {
  await s.addPerson('frank', 'approver', ['finance']);
  const window = await s.login('frank');
  const a = await money();
  expect(await window.vote(a, 'approve'), 200);
  await s.admin(['person', 'disable', 'frank@example.com']);
  await cheat(`UPDATE session SET ended_at = NULL, revoked = 0 WHERE person_id = ${quote(window.id)}`);
  expect(await window.get('/v1/me'), 401, 'login-required');
  expect(await people.alice.vote(a, 'approve'), 200);
  await never(a, 'a disabled person\'s vote and one more');
  expect(await people.bob.vote(a, 'approve'), 200);
  await s.settled(a.id, 'succeeded');
  assert.equal(await a.effects(), 1, 'two people who may are enough');
});

// --- credentials, freezes, destinations ---------------------------------------------------------------

test('credentials of two connections exchanged: neither is used for the other', async () => {
  const items = expect(await people.admin.get('/v1/connections'), 200).body.items;
  const [main, other] = ['crm-main', 'crm-other'].map((name) => items.find((c) => c.name === name).id);
  const exchange = () => swap('credential', 'connection_id', main, other, ['sealed']);
  await exchange();
  const a = await mail();
  expect(await people.alice.vote(a, 'approve'), 200);
  const ended = await s.settled(a.id, (x) => x.status !== 'pending' && x.status !== 'sending');
  assert.notEqual(ended.status, 'succeeded');
  assert.equal(await a.effects(), 0);
  assert.ok(!(await s.sandbox.requests()).some((r) => JSON.stringify(r).includes(OTHER_TOKEN)));
  assert.match(s.log(), complaint(a));
  await exchange();
  await everythingTried();
});

test('a freeze whose row is deleted still holds', async () => {
  const frozen = expect(await people.admin.post('/v1/freeze', { scope: { operation: 'emails.send' }, reason: 'found something' }), 200).body;
  const a = await mail();
  expect(await people.alice.vote(a, 'approve'), 200);
  const [row] = await s.sql(`SELECT * FROM freeze WHERE id = ${quote(frozen.id)}`);
  await cheat(`DELETE FROM freeze WHERE id = ${quote(frozen.id)}`);
  await s.restart();
  for (let i = 0; i < 3; i++) {
    await sendSoon(a);
    s.clock(s.offset + MINUTE);
    const read = expect(await s.agent.propose({ connection: 'crm-main', method: 'GET', path: '/contacts', wait: 20 }), 200).body;
    assert.equal(read.status, 'succeeded', 'what is not frozen goes on');
  }
  assert.equal(await a.effects(), 0);
  await cheat(`INSERT INTO freeze (${Object.keys(row).join(', ')}) VALUES (${Object.values(row).map(quote).join(', ')})`);
  await s.restart();
  expect(await people.admin.delete(`/v1/freeze/${frozen.id}`), 200);
  await s.settled(a.id, 'succeeded');
  assert.equal(await a.effects(), 1, 'released by a person, it is sent');
});

test('an agent\'s answer goes to no address that its owner did not allow', async () => {
  const body = sendEmail();
  const a = expect(await s.agent.propose({ ...body, resume: [{ type: 'webhook', url: `${receiver.url}/done` }] }), 202).body;
  await cheat(`UPDATE target SET url = ${quote(`${elsewhere.url}/done`)} WHERE action_id = ${quote(a.id)}`);
  expect(await people.alice.vote(a, 'approve'), 200);
  await s.settled(a.id, 'succeeded');
  await everythingTried();
  assert.equal(elsewhere.got.length, 0);
  const honest = expect(await s.agent.propose({ ...sendEmail(), resume: [{ type: 'webhook', url: `${receiver.url}/honest` }] }), 202).body;
  expect(await people.alice.vote(honest, 'approve'), 200);
  await until(() => receiver.got.some((g) => g.body?.data?.id === honest.id), 'the honest delivery');
});

// --- the roster ---------------------------------------------------------------------------------------

// What serve says when it will not start with the database as it is.
async function refusesToStart(what) {
  const r = await s.cli(['serve']); // it ends by itself, otherwise the test's own limit ends it
  assert.notEqual(r.code, 0, what);
  assert.match(r.stdout + r.stderr, /"level":"error"[^\n]*roster/, `${what}: ${r.stdout}${r.stderr}`);
  s.logs.push({ text: r.stdout + r.stderr });
}

async function down() {
  const pids = s.pids.all;
  process.kill(s.parent.pid, 'SIGTERM');
  await s.gone(pids);
}

test('the roster: altered, older, renumbered, deleted: nothing starts; put back: all goes on', { timeout: 600_000 }, async () => {
  await s.addPerson('grace', 'approver', ['finance']);
  const grace = await s.login('grace');
  const older = await one('SELECT version, hex(sealed) AS sealed FROM roster');
  const a = await money();
  expect(await grace.vote(a, 'approve'), 200);
  await s.admin(['person', 'disable', 'grace@example.com']);
  const { version, sealed } = await one('SELECT version, hex(sealed) AS sealed FROM roster');
  assert.ok(version > older.version);
  await down();
  const put = (row) => cheat(`DELETE FROM roster; INSERT INTO roster (workspace_id, version, sealed) VALUES ('', ${row.version}, X'${row.sealed}')`);
  const { workspace_id } = await one('SELECT workspace_id FROM roster');
  assert.equal(workspace_id, '');

  const bytes = sealed.length / 2;
  for (const at of [0, 1, 8, 24, Math.floor(bytes / 2), bytes - 1]) {
    const altered = Buffer.from(sealed, 'hex');
    altered[at] ^= 1 << (at % 8);
    await put({ version, sealed: altered.toString('hex') });
    await refusesToStart(`byte ${at} of ${bytes} altered`);
  }
  await put({ version, sealed: sealed.slice(0, -2) });
  await refusesToStart('a byte is missing');
  await put(older);
  await refusesToStart('the roster from before');
  await put({ version: version + 1, sealed: older.sealed });
  await refusesToStart('the roster from before, numbered as the next');
  await cheat('DELETE FROM roster');
  await refusesToStart('no roster');
  await put({ version, sealed });
  await s.serve();
  expect(await people.bob.vote(a, 'approve'), 200);
  await never(a, 'one vote, and one of somebody disabled');
});

test('the roster from before, put in while it runs: no process takes it', async () => {
  await s.addPerson('heidi', 'approver', ['finance']);
  await s.login('heidi');
  const older = await one('SELECT version, hex(sealed) AS sealed FROM roster');
  await s.admin(['person', 'disable', 'heidi@example.com']);
  const { version, sealed } = await one('SELECT version, hex(sealed) AS sealed FROM roster');
  await cheat(`UPDATE roster SET version = ${older.version}, sealed = X'${older.sealed}'`);
  const said = s.log().length;
  s.kill('keeper'); // the next one is given the row
  await until(() => /"level":"error"[^\n]*roster is version \d+, but \d+ has been in force/.test(s.log().slice(said)), 'a complaint');
  assert.equal((await s.request('GET', '/readyz')).status, 503, 'without a keeper that has its roster nothing is ready');
  const read = await s.agent.propose({ connection: 'crm-main', method: 'GET', path: '/contacts' });
  assert.notEqual(read.body.status, 'succeeded');
  await down();
  await cheat(`UPDATE roster SET version = ${version}, sealed = X'${sealed}'`);
  await s.serve();
  expect(await s.login('heidi', { expectStatus: 401 }), 401);
});

// --- the whole database ---------------------------------------------------------------------------------

test('an older copy of the whole database is put back: what was sent is not sent again', async () => {
  const data = path.dirname(s.database);
  const copy = path.join(s.scratch, 'copy');
  const files = () => fs.readdirSync(data).filter((f) => f.startsWith(path.basename(s.database)));
  const pending = await mail();
  const transferred = await money();
  const frozen = expect(await people.admin.post('/v1/freeze', { scope: { workspace: true }, reason: 'before the copy' }), 200).body;
  const approved = await mail();
  expect(await people.alice.vote(approved, 'approve'), 200);
  await down();
  fs.mkdirSync(copy);
  for (const f of files()) fs.copyFileSync(path.join(data, f), path.join(copy, f));
  await s.serve();

  expect(await people.admin.delete(`/v1/freeze/${frozen.id}`), 200);
  expect(await people.alice.vote(pending, 'approve'), 200);
  for (const who of [people.alice, people.bob]) expect(await who.vote(transferred, 'approve'), 200);
  for (const a of [pending, transferred, approved]) {
    await s.settled(a.id, 'succeeded');
    assert.equal(await a.effects(), 1);
  }
  await down();
  for (const f of files()) fs.rmSync(path.join(data, f));
  for (const f of fs.readdirSync(copy)) fs.copyFileSync(path.join(copy, f), path.join(data, f));
  await s.serve();

  await people.admin.delete(`/v1/freeze/${frozen.id}`);
  await people.alice.vote(pending, 'approve');
  for (const who of [people.alice, people.bob]) await who.vote(transferred, 'approve');
  await everythingTried();
  for (const a of [pending, transferred, approved]) {
    // Refused by keeper's journal, so nobody knows; or, asked after in time, known from the journal.
    const { status } = await s.settled(a.id, (x) => x.status === 'unknown' || x.status === 'succeeded');
    assert.equal(await a.effects(), 1, JSON.stringify(await rowOf(a)));
    if (status === 'unknown') assert.match(s.log(), complaint(a));
  }
});

test('the provider was only ever asked with the connection\'s own credential', async () => {
  const seen = JSON.stringify(await s.sandbox.requests());
  assert.ok(seen.includes(PROVIDER.secret));
  assert.ok(!seen.includes(OTHER_TOKEN));
});
