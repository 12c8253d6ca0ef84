// "Agents propose" of the contract, line by line: what is refused and leaves no trace, what the action
// object says, waiting, classifying, cancelling, listing.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, test } from 'node:test';
import { DAY, addContact, expect, listContacts, request, sendEmail, startServer, transfer, unique, until } from './harness.mjs';

let s;
let other; // an agent that was given crm-main only
before(async () => {
  s = await startServer();
  other = (await s.addAgent('other', { connections: ['crm-main'] })).client;
});
after(() => s?.stop());

// Refused with that status and code as a problem document, and nothing at all was stored.
async function refused(body, status, problem, { headers, agent = s.agent, path = '/v1/actions' } = {}) {
  const rows = await s.rows();
  const answer = expect(await agent.post(path, body, headers), status, problem);
  assert.match(answer.headers['content-type'], /^application\/problem\+json/);
  assert.equal(answer.body.status, status);
  assert.ok(answer.body.title && typeof answer.body.detail === 'string', answer.text);
  assert.deepEqual(await s.rows(), rows, 'nothing is stored');
  return answer.body;
}
const proposal = (inner) => `{"connection":"crm-main","method":"POST","path":"/emails","body":${inner}}`;

// --- what is not JSON that all programs agree on ----------------------------------------------------

for (const [what, text] of Object.entries({
  'an open object': '{"connection":', 'a bare word': '{"connection":nul}', 'a trailing comma': '{"connection":"crm-main",}',
  'single quotes': "{'connection':'crm-main'}", 'more behind the end': `${proposal('{}')} {}`, 'NaN': proposal('{"n":NaN}'),
  'a comment': '{/*x*/"connection":"crm-main"}', 'a leading zero': proposal('{"n":01}'), 'a byte order mark': `\ufeff${proposal('{}')}`,
  'a raw line feed in a text': proposal('{"t":"a\nb"}'), 'bytes that are no UTF-8': Buffer.from(proposal('{"t":"\u00e9"}'), 'latin1'),
  'a raw NUL': proposal('{"t":"a\0b"}') })) {
  test(`malformed: ${what}`, async () => {
    const problem = await refused(text, 400, 'malformed');
    assert.ok(Number.isInteger(problem.position) && problem.position >= 0 && problem.position <= text.length, `position ${problem.position}`);
  });
}

test('malformed: no body, no object', async () => {
  await refused('', 400, 'malformed');
  for (const text of ['[]', '"x"', '5', 'null', 'true']) await refused(text, 400, 'malformed');
});

test('the position is where it went wrong', async () => {
  const { position } = await refused('{"connection":"crm-main", "method"; "POST"}', 400, 'malformed');
  assert.ok(Math.abs(position - 34) <= 1, `position ${position}`);
  const twice = await refused('{"connection":"crm-main","connection":"crm-main"}', 400, 'duplicate-key');
  assert.ok(twice.position >= 25 && twice.position <= 38, `position ${twice.position}`);
});

test('duplicate keys, at any depth and however spelled', async () => {
  for (const text of ['{"connection":"a","connection":"b"}', proposal('{"a":1,"a":1}'), proposal('{"a":1,"\\u0061":2}'),
    proposal('{"x":[{"y":{"k":1,"z":2,"k":3}}]}'), proposal('{"a/b":1,"a\\/b":1}')])
    await refused(text, 400, 'duplicate-key');
});

test('integers beyond 2^53-1', async () => {
  for (const n of ['9007199254740992', '-9007199254740992', '18446744073709551616', '123456789012345678901234567890']) {
    const problem = await refused(proposal(`{"n":${n}}`), 400, 'number-range');
    assert.ok(Number.isInteger(problem.position));
  }
  const answer = await s.agent.propose(proposal('{"to":"range@example.com","n":[9007199254740991,-9007199254740991,0.1,1e3]}'));
  expect(answer, 202);
});

test('NUL and lone surrogates', async () => {
  for (const text of ['\\u0000', 'a\\u0000b', '\\ud800', '\\udc00', '\\ud800x', '\\ud800\\ud800', '\\udbff\\u0041', '\\udc00\\ud800']) {
    await refused(proposal(`{"t":"${text}"}`), 400, 'malformed');
    await refused(proposal(`{"${text}":1}`), 400, 'malformed');
  }
  expect(await s.agent.propose(proposal('{"to":"pair@example.com","t":"\\ud83d\\ude00"}')), 202);
});

test('depth over 64', async () => {
  const nested = (n) => '['.repeat(n) + ']'.repeat(n);
  for (const n of [65, 100, 10_000, 200_000]) await refused(proposal(nested(n)), 400, 'malformed');
  await refused(proposal('{"a":'.repeat(70) + '1' + '}'.repeat(70)), 400, 'malformed');
  expect(await s.agent.propose(proposal(`{"to":"deep@example.com","t":${nested(55)}}`)), 202);
});

// --- paths ------------------------------------------------------------------------------------------

test('paths with more than one reading', async () => {
  for (const path of ['//emails', '/x//emails', '/./emails', '/x/../emails', '/..', '/%2e%2e/emails', '/%2E/emails', '/.%2e/emails',
    '/a%5cb', '/a%5Cb', '/a\\b', '/a%00b', '/a%252fb', '/contacts/%252e%252e', '/contacts/a%2fb', '/contacts/a%2Fb', '/a%zz', '/a%2']) {
    const problem = await refused({ connection: 'crm-main', method: 'POST', path, body: {} }, 400, 'unsafe-path');
    assert.ok(problem.field === 'path' || Number.isInteger(problem.position), `no place for ${path}`);
  }
});

test('paths that are none', async () => {
  for (const path of ['', 'emails', 'http://evil.example/emails', '@evil.example/', '/emails?x=1', '/emails#x', '/a b', '/a\tb', '/a\u00e9', '*'])
    assert.equal((await s.agent.propose({ connection: 'crm-main', method: 'POST', path, body: {} })).status, 400, path);
});

// --- fields -----------------------------------------------------------------------------------------

test('an unknown field is refused by its name', async () => {
  assert.equal((await refused({ ...sendEmail(), idempotencykey: 'x' }, 400, 'unknown-field')).field, 'idempotencykey');
  assert.equal((await refused({ ...sendEmail(), tier: 0 }, 400, 'unknown-field')).field, 'tier');
  await refused({ ...sendEmail(), resume: [{ type: 'webhook', url: 'https://a.example/', evnts: [] }] }, 400, 'unknown-field');
});

test('missing fields and wrong types', async () => {
  for (const field of ['connection', 'method', 'path']) {
    const body = sendEmail();
    delete body[field];
    assert.equal((await refused(body, 400, 'malformed')).field, field);
  }
  for (const [field, value] of Object.entries({ connection: 5, method: ['POST'], path: null, query: 'a=b', headers: [], idempotency_key: 7,
    thread_id: {}, note: 1, wait: '20', resume: {}, operation: 3 }))
    assert.equal((await refused({ ...sendEmail(), [field]: value }, 400, 'malformed')).field, field);
});

test('wait is 0 to 55', async () => {
  for (const wait of [-1, 56, 1.5, 1e9]) await refused({ ...sendEmail(), wait }, 400, 'malformed');
});

test('an idempotency key has 1 to 255 bytes', async () => {
  for (const idempotency_key of ['', 'x'.repeat(256), '\u00e9'.repeat(128)]) await refused({ ...sendEmail(), idempotency_key }, 400);
  await refused(sendEmail(), 400, undefined, { headers: { 'Idempotency-Key': 'x'.repeat(256) } });
  expect(await s.agent.propose({ ...sendEmail(), idempotency_key: unique('k').padEnd(255, 'x') }), 202);
});

test('state up to 64 KiB', async () => {
  const state = { text: 'x'.repeat(65_000) };
  const made = expect(await s.agent.propose({ ...sendEmail(), state }), 202).body;
  assert.deepEqual(made.state, state);
  const rows = await s.rows();
  const answer = await s.agent.propose({ ...sendEmail(), state: { text: 'x'.repeat(65_536) } });
  assert.ok([400, 413].includes(answer.status), answer.text);
  assert.deepEqual(await s.rows(), rows);
});

// --- who, where, what -------------------------------------------------------------------------------

test('unknown connection 404, one not given 403', async () => {
  await refused({ ...sendEmail(), connection: 'no-such' }, 404, 'not-found');
  await refused({ ...sendEmail(), connection: 'plaid-main' }, 403, 'connection-not-allowed', { agent: other });
});

test('without a key, or with a wrong one, 401', async () => {
  const nobody = (headers) => ({ post: (path, body) => request(s.url, 'POST', path, { body, headers }) });
  for (const headers of [{}, { Authorization: 'Bearer ' }, { Authorization: 'Bearer csa_nonsense' }, { Authorization: `Basic ${s.agentKey}` },
    { Authorization: `Bearer ${s.agentKey}x` }, { Authorization: s.agentKey }, { 'PLAID-SECRET': s.agentKey }])
    await refused(sendEmail(), 401, 'unauthenticated', { agent: nobody(headers) });
});

test('a body of another type 415', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonx'])
    await refused(JSON.stringify(sendEmail()), 415, undefined, { headers: { 'Content-Type': type } });
  expect(await s.agent.propose(sendEmail(), { 'Content-Type': 'application/json; charset=utf-8' }), 202);
});

test('a body over 1 MiB 413, up to 1 MiB taken', async () => {
  const sized = (n) => {
    const empty = JSON.stringify(sendEmail('big@example.com', { body: { to: 'big@example.com', text: '' } }));
    return empty.replace('"text":""', `"text":"${'x'.repeat(n - empty.length)}"`);
  };
  await refused(sized(1_048_577), 413, 'too-large');
  await refused(sized(3_000_000), 413, 'too-large');
  expect(await s.agent.propose(sized(1_048_576)), 202);
});

test('a chunked body over 1 MiB 413', async () => {
  const rows = await s.rows();
  const head = `POST /v1/actions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.agentKey}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  const answer = await s.raw(head + chunk.repeat(17) + '0\r\n\r\n', (got) => got.includes('\r\n\r\n'));
  assert.match(answer, /^HTTP\/1\.1 413 /);
  assert.deepEqual(await s.rows(), rows);
});

test('operation-mismatch; the right operation is fine', async () => {
  assert.equal((await refused({ ...sendEmail(), operation: 'contacts.create' }, 400, 'operation-mismatch')).status, 400);
  await refused({ ...sendEmail(), operation: 'nonsense' }, 400, 'operation-mismatch');
  await refused({ connection: 'crm-main', method: 'POST', path: '/not-listed', body: {}, operation: 'emails.send' }, 400, 'operation-mismatch');
  expect(await s.agent.propose({ ...sendEmail(), operation: 'emails.send' }), 202);
});

test('key-mismatch: header and body differ; alike is fine', async () => {
  const key = unique('k');
  await refused({ ...sendEmail(), idempotency_key: key }, 400, 'key-mismatch', { headers: { 'Idempotency-Key': `${key}-other` } });
  const body = { ...sendEmail(), idempotency_key: key };
  const made = expect(await s.agent.propose(body, { 'Idempotency-Key': key }), 202).body;
  const { idempotency_key: _, ...bare } = body;
  assert.equal(expect(await s.agent.propose(bare, { 'Idempotency-Key': key }), 202).body.id, made.id, 'the header alone is the same key');
});

test('the same idempotency key with another payload 422', async () => {
  const idempotency_key = unique('k');
  expect(await s.agent.propose({ ...sendEmail('a@example.com'), idempotency_key }), 202);
  await refused({ ...sendEmail('b@example.com'), idempotency_key }, 422, 'idempotency-mismatch');
});

test('too many pending 429 with Retry-After', async () => {
  const small = await startServer({ config: { limits: { pending_per_agent: 2 } } });
  try {
    const first = expect(await small.agent.propose(sendEmail()), 202).body;
    expect(await small.agent.propose(sendEmail()), 202);
    const rows = await small.rows();
    const answer = expect(await small.agent.propose(sendEmail()), 429, 'too-many-pending');
    assert.match(answer.headers['retry-after'], /^\d+$/);
    assert.deepEqual(await small.rows(), rows);
    expect(await small.agent.propose(listContacts()), 200);
    expect(await small.agent.post(`/v1/actions/${first.id}/cancel`), 200);
    expect(await small.agent.propose(sendEmail()), 202);
  } finally {
    await small.stop();
  }
});

// --- the action object ------------------------------------------------------------------------------

const FIELDS = ['id', 'status', 'outcome', 'error_code', 'tier', 'revision', 'connection', 'connector', 'operation', 'method', 'path',
  'payload_hash', 'executed_payload_hash', 'binding', 'reasons', 'proposed_at', 'decide_by', 'execute_by', 'decided_at', 'ended_at',
  'approvals', 'attempt_of', 'thread_id', 'state', 'result', 'rejection', 'reauth', 'links'];
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const HASH = /^sha256:[0-9a-f]{64}$/;

// Deadlines count from the transaction, a moment after the proposal came in.
const near = (ms, wanted) => assert.ok(ms >= wanted && ms < wanted + 5000, `${ms} instead of ${wanted}`);

// The 128 bits behind an id.
function uuidOf(id) {
  const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
  return [...id.slice(4)].reduce((n, c) => (n << 5n) | BigInt(alphabet.indexOf(c)), 0n);
}

const sorted = (v) => (Array.isArray(v) ? v.map(sorted) : v && typeof v === 'object'
  ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, sorted(v[k])])) : v);
const hashOf = (v) => `sha256:${crypto.createHash('sha256').update(JSON.stringify(sorted(v))).digest('hex')}`;

test('a held action has every field of the contract', async () => {
  const proposed = { ...sendEmail(), thread_id: 't-1', note: 'because', state: { step: 4, list: [null, 1.5] } };
  const answer = expect(await s.agent.propose(proposed), 202);
  const a = answer.body;
  assert.deepEqual(FIELDS.filter((f) => !(f in a)), [], 'fields that are missing');
  assert.match(a.id, /^act_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
  const uuid = uuidOf(a.id);
  assert.equal((uuid >> 76n) & 15n, 7n, 'a UUID of version 7');
  assert.equal((uuid >> 62n) & 3n, 2n, 'of the RFC variant');
  assert.ok(Math.abs(Number(uuid >> 80n) - Date.parse(a.proposed_at)) < 2000, 'with its time');
  assert.equal(answer.headers.location, `/v1/actions/${a.id}`);
  assert.match(answer.headers['retry-after'], /^\d+$/);
  assert.match(answer.headers['content-type'], /^application\/json/);
  const { id, reasons, proposed_at, decide_by, execute_by, binding, ...rest } = a;
  for (const time of [proposed_at, decide_by, execute_by]) assert.match(time, TIME);
  near(Date.parse(decide_by) - Date.parse(proposed_at), 7 * DAY);
  assert.equal(Date.parse(execute_by) - Date.parse(decide_by), DAY);
  assert.match(binding, HASH);
  for (const reason of reasons) assert.ok(reason.rule && reason.effect && typeof reason.text === 'string', JSON.stringify(reason));
  assert.ok(reasons.some((r) => r.rule === 'connector crm' && r.effect === 'tier 2'), JSON.stringify(reasons));
  assert.deepEqual(rest, { ...rest, status: 'pending', outcome: null, error_code: null, tier: 2, revision: 1, connection: 'crm-main',
    connector: 'crm', operation: 'emails.send', method: 'POST', path: '/emails', executed_payload_hash: null, decided_at: null,
    ended_at: null, approvals: { required: 1, given: 0, quorum: [{ count: 1 }] }, attempt_of: null, thread_id: 't-1',
    state: { step: 4, list: [null, 1.5] }, result: null, rejection: null, reauth: null });
  assert.deepEqual(a.links, { ...a.links, self: `/v1/actions/${id}`, review: `${s.url}/#/actions/${id}` });
  assert.equal(a.payload_hash, hashOf({ method: 'POST', path: '/emails', query: [], headers: {}, body: proposed.body }));
  assert.deepEqual(expect(await s.agent.get(`/v1/actions/${id}`), 200).body, a, 'GET gives the same');
});

test('an action at tier 0 ends at once with its result', async () => {
  const a = expect(await s.agent.propose({ ...listContacts(), query: { limit: '7', tag: ['a', 'b'] } }), 200).body;
  assert.deepEqual(FIELDS.filter((f) => !(f in a)), []);
  assert.deepEqual([a.status, a.outcome, a.tier, a.operation, a.error_code], ['succeeded', 'success', 0, 'contacts.list', null]);
  assert.equal(a.payload_hash, hashOf({ method: 'GET', path: '/contacts', query: [['limit', '7'], ['tag', 'a'], ['tag', 'b']], headers: {}, body: null }));
  assert.equal(a.executed_payload_hash, a.payload_hash);
  assert.match(a.ended_at, TIME);
  assert.equal(a.result.status, 200);
  assert.ok(!Array.isArray(a.result.headers), 'headers are an object');
  assert.match(a.result.headers['content-type'], /^application\/json/);
  assert.ok(Array.isArray(a.result.body.items));
  const [sent] = (await s.sandbox.requests('/crm/contacts')).slice(-1);
  assert.equal(sent.target, '/crm/contacts?limit=7&tag=a&tag=b');
});

test('an answer that is not JSON, and one that is too long', async () => {
  const blob = (bytes) => s.agent.propose({ connection: 'crm-main', method: 'GET', path: '/blob', query: { bytes: String(bytes) } });
  const small = expect(await blob(300), 200).body.result;
  assert.ok(!('body' in small) && ('text' in small || 'base64' in small), JSON.stringify(small));
  assert.equal(Buffer.from(small.text ?? small.base64, small.text === undefined ? 'base64' : 'latin1').length, 300);
  const long = expect(await blob(1_048_577), 200).body.result;
  assert.deepEqual([long.status, long.body_omitted, long.body_bytes], [200, true, 1_048_577]);
  assert.ok(!('body' in long) && !('text' in long) && !('base64' in long));
});

test('the provider refusing is an outcome: failed, with its answer', async () => {
  const a = expect(await s.agent.propose({ connection: 'crm-main', method: 'GET', path: '/contacts/ct_999999' }), 200).body;
  assert.deepEqual([a.status, a.outcome, a.result.status, a.result.body.error.code], ['failed', 'error', 404, 'not_found']);
});

test('an operation that the connector does not list is tier 3', async () => {
  const a = expect(await s.agent.propose({ connection: 'crm-main', method: 'POST', path: '/something/new', body: {} }), 202).body;
  assert.deepEqual([a.tier, a.status, a.approvals.required], [3, 'pending', 2]);
  near(Date.parse(a.decide_by) - Date.parse(a.proposed_at), DAY);
});

// --- wait -------------------------------------------------------------------------------------------

test('wait in a proposal holds until it ends', async () => {
  const alice = await s.login('alice');
  const to = `${unique('wait')}@example.com`;
  const proposing = s.agent.propose({ ...sendEmail(to), wait: 55 });
  const waiting = await until(async () => (await alice.get('/v1/reviews?scope=all&limit=200')).body.items
    .find((a) => a.operation === 'emails.send' && a.impact?.payee === to), 'the proposal among the reviews');
  expect(await alice.vote(waiting, 'approve'), 200);
  const a = expect(await proposing, 200).body;
  assert.deepEqual([a.id, a.status], [waiting.id, 'succeeded']);
});

test('wait in a GET holds until it ends, or until the time is up', async () => {
  const a = expect(await s.agent.propose(sendEmail()), 202).body;
  assert.equal(expect(await s.agent.get(`/v1/actions/${a.id}?wait=1`), 200).body.status, 'pending');
  const waiting = s.agent.get(`/v1/actions/${a.id}?wait=55`);
  expect(await (await s.login('alice')).vote(a, 'reject', { reason: 'no' }), 200);
  assert.equal(expect(await waiting, 200).body.status, 'rejected');
  for (const wait of ['-1', 'x', '9999']) expect(await s.agent.get(`/v1/actions/${a.id}?wait=${wait}`), 400);
});

// --- classify ---------------------------------------------------------------------------------------

test('classify says what would happen and stores nothing', async () => {
  const rows = await s.rows();
  const effects = await s.sandbox.effects();
  for (const [body, tier, operation, required] of [[sendEmail(), 2, 'emails.send', 1], [listContacts(), 0, 'contacts.list', 0],
    [addContact(), 1, 'contacts.create', 0], [transfer('auth-1'), 3, 'transfer.create', 2]]) {
    const verdict = expect(await s.agent.post('/v1/classify', { ...body, idempotency_key: 'classified', state: { a: 1 } }), 200).body;
    for (const field of ['tier', 'reasons', 'approvals', 'decide_within', 'operation']) assert.ok(field in verdict, `${field} is missing`);
    assert.deepEqual([verdict.tier, verdict.operation, verdict.approvals?.required ?? 0], [tier, operation, required]);
    assert.ok(verdict.reasons.length > 0);
  }
  assert.deepEqual(await s.rows(), rows);
  assert.deepEqual(await s.sandbox.effects(), effects);
  await refused({ ...sendEmail(), nonsense: 1 }, 400, 'unknown-field', { path: '/v1/classify' });
  await refused({ ...sendEmail(), connection: 'no-such' }, 404, 'not-found', { path: '/v1/classify' });
});

// --- cancel -----------------------------------------------------------------------------------------

const cancel = (a, agent = s.agent) => agent.post(`/v1/actions/${a.id}/cancel`);

test('cancel: pending, and again', async () => {
  const a = expect(await s.agent.propose(sendEmail()), 202).body;
  const cancelled = expect(await cancel(a), 200).body;
  assert.deepEqual([cancelled.id, cancelled.status, cancelled.outcome], [a.id, 'cancelled', 'cancelled']);
  assert.match(cancelled.ended_at, TIME);
  assert.equal(expect(await cancel(a), 200).body.status, 'cancelled');
  const vote = await (await s.login('alice')).vote(a, 'approve');
  expect(vote, 409, 'already-decided');
});

test('cancel: approved and waiting behind a freeze', async () => {
  const alice = await s.login('alice');
  const frozen = expect(await alice.post('/v1/freeze', { scope: { connection: 'crm-main' }, reason: 'testing' }), 200).body;
  const to = `${unique('cancel')}@example.com`;
  const a = expect(await s.agent.propose(sendEmail(to)), 202).body;
  assert.equal(expect(await alice.vote(a, 'approve'), 200).body.status, 'approved');
  assert.equal(expect(await cancel(a), 200).body.status, 'cancelled');
  assert.ok((await alice.delete(`/v1/freeze/${frozen.id}`)).status < 300);
  assert.equal(expect(await cancel(a), 200).body.status, 'cancelled');
  assert.equal(await s.sandbox.effect(`email:${to}`), 0);
});

test('cancel: too late is 409 not-cancellable', async () => {
  const done = expect(await s.agent.propose(listContacts()), 200).body;
  expect(await cancel(done), 409, 'not-cancellable');
  const a = expect(await s.agent.propose(sendEmail()), 202).body;
  expect(await (await s.login('alice')).vote(a, 'reject'), 200);
  expect(await cancel(a), 409, 'not-cancellable');
});

// --- whose actions ----------------------------------------------------------------------------------

test("another agent's action is not there", async () => {
  const a = expect(await s.agent.propose(sendEmail()), 202).body;
  expect(await other.get(`/v1/actions/${a.id}`), 404, 'not-found');
  expect(await cancel(a, other), 404, 'not-found');
  for (const id of ['act_00000000000000000000000000', 'act_x', 'apr_00000000000000000000000000', '..'])
    expect(await s.agent.get(`/v1/actions/${id}`), 404);
  assert.equal((await s.agent.get(`/v1/actions/${a.id}`)).body.status, 'pending');
});

test('the list: newest first, by status and thread, page by page', async () => {
  const thread_id = unique('thread');
  const made = [];
  for (let i = 0; i < 7; i++) made.push(expect(await s.agent.propose({ ...sendEmail(), thread_id }), 202).body.id);
  expect(await other.propose({ ...sendEmail(), thread_id }), 202);
  await cancel({ id: made[3] });
  const list = async (query) => expect(await s.agent.get(`/v1/actions?thread_id=${thread_id}${query}`), 200).body;
  const all = await list('');
  assert.deepEqual(all.items.map((a) => a.id), [...made].reverse());
  assert.equal(all.next, null);
  assert.deepEqual((await list('&status=cancelled')).items.map((a) => a.id), [made[3]]);
  assert.equal((await list('&status=pending')).items.length, 6);
  const seen = [];
  for (let page = await list('&limit=3'), n = 0; ; n++) {
    seen.push(...page.items.map((a) => a.id));
    assert.ok(page.items.length <= 3 && n < 4);
    if (page.next === null) break;
    page = await list(`&limit=3&cursor=${encodeURIComponent(page.next)}`);
  }
  assert.deepEqual(seen, [...made].reverse());
  for (const bad of ['limit=0', 'limit=x', 'cursor=nonsense', 'status=nonsense', 'statsu=pending'])
    expect(await s.agent.get(`/v1/actions?${bad}`), 400);
});

test('an agent key touches nothing that is for people', async () => {
  for (const path of ['/v1/people', '/v1/agents', '/v1/connections', '/v1/reviews', '/v1/audit', '/v1/groups', '/v1/policy'])
    expect(await s.agent.get(path), 403, 'wrong-principal');
  expect(await s.agent.post('/v1/freeze', { scope: { workspace: true }, reason: 'x' }), 403, 'wrong-principal');
  expect(await s.agent.post('/v1/people', { email: 'x@example.com', role: 'admin', password: 'x' }), 403, 'wrong-principal');
});
