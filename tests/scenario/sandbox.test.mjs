// The sandbox SaaS itself: every mode of misbehaviour, the counting of effects, idempotency,
// the moved clock. Other tests lean on these, so they are tried first and without Countersign.
// SANDBOX names the binary (default build/release/sandbox, from the repository root).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { after, before, beforeEach, test } from 'node:test';

const BINARY = process.env.SANDBOX ?? 'build/release/sandbox';
const TOKEN = 'access-sandbox-item';
const KEYS = { 'PLAID-CLIENT-ID': 'sandbox-client', 'PLAID-SECRET': 'sandbox-secret' };
const BEARER = { Authorization: 'Bearer sandbox-secret' };
const HOUR = 3_600_000;

let child;
let port;

before(async () => {
  child = spawn(BINARY, ['--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the sandbox ended with ${code}`)));
    child.stdout.once('data', (data) => resolve(String(data)));
  });
  assert.match(line, /^sandbox listening on http:\/\/127\.0\.0\.1:\d+\n$/);
  port = Number(line.match(/:(\d+)\n/)[1]);
});

after(async () => {
  const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  child.kill('SIGTERM');
  assert.equal(await ended, 0, 'SIGTERM ends it cleanly');
});

beforeEach(() => control('POST', 'reset', {}));

// One request; resolves to {status, headers, text, json} or rejects as the socket does.
function send(method, path, { headers = {}, body, agent = false } = {}) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    const req = http.request({ host: '127.0.0.1', port, method, path, agent, headers: {
      'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text), ...headers } });
    req.on('error', reject);
    req.on('response', (res) => {
      const parts = [];
      res.on('data', (d) => parts.push(d));
      res.on('error', reject);
      res.on('end', () => {
        const all = Buffer.concat(parts).toString();
        let json = null;
        try { json = JSON.parse(all); } catch { /* not every answer is JSON */ }
        resolve({ status: res.statusCode, headers: res.headers, text: all, json });
      });
    });
    req.end(text);
  });
}

async function control(method, path, body) {
  const answer = await send(method, `/_control/${path}`, { body });
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}
const rule = (body) => control('POST', 'rules', body);
const effects = () => control('GET', 'effects');
const plaid = (path, body = {}, more = {}) =>
  send('POST', path, { headers: KEYS, body: { access_token: TOKEN, ...body }, ...more });
const crm = (method, path, body, headers = {}) =>
  send(method, path, { headers: { ...BEARER, ...headers }, body });

const PROPOSAL = { account_id: 'BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp', type: 'credit', network: 'ach',
  ach_class: 'ppd', amount: '500.00', user: { legal_name: 'Anne Charleston' } };

async function authorize(more = {}) {
  const answer = await plaid('/transfer/authorization/create', { ...PROPOSAL, ...more });
  assert.equal(answer.status, 200, answer.text);
  return answer.json.authorization;
}
const create = (authorization, more = {}, options = {}) => plaid('/transfer/create',
  { account_id: PROPOSAL.account_id, authorization_id: authorization.id, description: 'Payment', ...more }, options);

async function transfersOf(authorization) {
  return (await effects()).by_key[`transfer:${authorization.id}`] ?? 0;
}

// A connection that speaks in bytes; `closed` resolves to {bytes, error} once it is over.
function raw() {
  const socket = net.connect(port, '127.0.0.1');
  const parts = [];
  let error = null;
  socket.on('data', (d) => parts.push(d));
  socket.on('error', (e) => { error = e.code; });
  const closed = new Promise((resolve) => socket.on('close', () =>
    resolve({ bytes: Buffer.concat(parts).toString(), error })));
  return { socket, closed, parts };
}
function bytesOf(path, body, headers = '') {
  const text = JSON.stringify(body);
  return `POST ${path} HTTP/1.1\r\nHost: sandbox\r\nPLAID-CLIENT-ID: sandbox-client\r\nPLAID-SECRET: sandbox-secret\r\n` +
    `${headers}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}
const createBody = (authorization) => ({ access_token: TOKEN, account_id: PROPOSAL.account_id,
  authorization_id: authorization.id, description: 'Payment' });

test('reads answer in Plaid\'s shapes', async () => {
  const balance = await plaid('/accounts/balance/get');
  assert.equal(balance.status, 200);
  assert.equal(balance.json.accounts[0].balances.iso_currency_code, 'USD');
  assert.match(balance.json.request_id, /^[0-9A-Za-z]{15}$/);
  assert.ok((await plaid('/identity/get')).json.accounts[0].owners[0].names.length > 0);
  assert.ok((await plaid('/auth/get')).json.numbers.ach[0].routing);
  assert.ok((await plaid('/investments/holdings/get')).json.securities.length > 0);
  assert.ok((await plaid('/liabilities/get')).json.liabilities.student.length > 0);
  assert.equal((await plaid('/item/get')).json.item.error, null);
  const dates = { start_date: '2026-01-01', end_date: '2026-12-31' };
  assert.equal((await plaid('/transactions/get', dates)).json.total_transactions, 5);
  const signal = { account_id: 'a', client_transaction_id: 't', amount: 1 };
  assert.equal((await plaid('/signal/evaluate', signal)).json.ruleset.result, 'ACCEPT');
  assert.equal((await effects()).total, 0, 'reading has no effect');
});

test('account_ids narrows an answer down', async () => {
  const options = { account_ids: [PROPOSAL.account_id] };
  const auth = await plaid('/auth/get', { options });
  assert.deepEqual(auth.json.accounts.map((a) => a.account_id), options.account_ids);
  assert.deepEqual(auth.json.numbers.ach.map((a) => a.account_id), options.account_ids);
  const none = await plaid('/auth/get', { options: { account_ids: ['nobody'] } });
  assert.equal(none.json.error_code, 'INVALID_ACCOUNT_ID');
});

test('transactions/sync pages by cursor', async () => {
  const first = (await plaid('/transactions/sync', { count: 3 })).json;
  assert.equal(first.added.length, 3);
  assert.equal(first.has_more, true);
  const second = (await plaid('/transactions/sync', { count: 3, cursor: first.next_cursor })).json;
  assert.equal(second.added.length, 2);
  assert.equal(second.has_more, false);
  assert.equal((await plaid('/transactions/sync', { cursor: second.next_cursor })).json.added.length, 0);
});

test('credentials are wanted, in headers or in the body', async () => {
  const body = { access_token: TOKEN, client_id: 'sandbox-client', secret: 'sandbox-secret' };
  assert.equal((await send('POST', '/item/get', { body })).status, 200);
  const codeOf = async (headers, more) => {
    const answer = await send('POST', '/item/get', { headers, body: more });
    assert.equal(answer.status, 400);
    assert.ok(answer.json.request_id);
    return `${answer.json.error_type}/${answer.json.error_code}`;
  };
  assert.equal(await codeOf({ ...KEYS, 'PLAID-SECRET': 'wrong' }, { access_token: TOKEN }), 'INVALID_INPUT/INVALID_API_KEYS');
  assert.equal(await codeOf({}, { access_token: TOKEN }), 'INVALID_REQUEST/MISSING_FIELDS');
  assert.equal(await codeOf(KEYS, { access_token: 'access-sandbox-other' }), 'INVALID_INPUT/INVALID_ACCESS_TOKEN');
  assert.equal(await codeOf(KEYS, {}), 'INVALID_REQUEST/MISSING_FIELDS');
  assert.equal(await codeOf(KEYS, '{"access_token":'), 'INVALID_REQUEST/INVALID_BODY');
});

test('one transfer per authorization, however often it is asked for', async () => {
  const authorization = await authorize();
  assert.equal(authorization.decision, 'approved');
  const first = await create(authorization);
  assert.equal(first.status, 200, first.text);
  assert.equal(first.json.transfer.amount, '500.00');
  assert.equal(first.json.transfer.status, 'pending');
  const again = await create(authorization);
  assert.equal(again.json.transfer.id, first.json.transfer.id);
  assert.equal(await transfersOf(authorization), 1);
  assert.equal((await control('GET', 'transfers')).length, 1);
  assert.equal((await plaid('/transfer/get', { transfer_id: first.json.transfer.id })).json.transfer.authorization_id, authorization.id);
  assert.equal((await plaid('/transfer/list')).json.transfers.length, 1);
});

test('an authorization is one per idempotency key', async () => {
  const a = await authorize({ idempotency_key: 'k1' });
  assert.equal((await authorize({ idempotency_key: 'k1' })).id, a.id);
  assert.notEqual((await authorize({ idempotency_key: 'k2' })).id, a.id);
  assert.equal((await effects()).by_key['authorization:k1'], 1);
  await control('POST', 'clock', { offset_ms: 49 * HOUR });
  assert.notEqual((await authorize({ idempotency_key: 'k1' })).id, a.id, 'the key is forgotten after 48 hours');
});

test('an authorization expires after an hour', async () => {
  const early = await authorize();
  const late = await authorize();
  await control('POST', 'clock', { offset_ms: HOUR - 60_000 });
  assert.equal((await create(early)).status, 200);
  await control('POST', 'clock', { offset_ms: HOUR + 60_000 });
  const refused = await create(late);
  assert.equal(refused.status, 400);
  assert.match(refused.json.error_message, /expired/);
  assert.equal(await transfersOf(late), 0);
  assert.equal((await create(early)).status, 200, 'asking again for a transfer already made still answers it');
  assert.equal(await transfersOf(early), 1);
});

test('decisions follow the amount, the legal name and the rules', async () => {
  const named = (legal_name) => authorize({ user: { legal_name } });
  assert.equal((await named('Declined Dan')).decision_rationale.code, 'RISK');
  assert.equal((await named('Unlinked Uma')).decision, 'user_action_required');
  assert.equal((await named('Unchecked Udo')).decision, 'approved');
  const large = await authorize({ amount: '100000.01' });
  assert.equal(large.decision, 'declined');
  assert.equal(large.decision_rationale.code, 'TRANSFER_LIMIT_REACHED');
  assert.equal((await create(large)).status, 400);
  await rule({ path: '/transfer/authorization/create', mode: 'declined', code: 'NSF' });
  assert.equal((await authorize()).decision_rationale.code, 'NSF');
  await rule({ path: '/transfer/authorization/create', mode: 'user_action_required' });
  const asked = await authorize({ idempotency_key: 'k' });
  assert.equal(asked.decision, 'user_action_required');
  assert.equal((await authorize({ idempotency_key: 'k' })).decision, 'approved', 'the key may be used again');
  await rule({ path: '/transfer/create', mode: 'declined' });
  assert.equal((await create(await authorize())).json.error_code, 'TRANSFER_LIMIT_REACHED');
});

test('a transfer must fit its authorization', async () => {
  const authorization = await authorize();
  const refused = async (more, why) => {
    const answer = await create(authorization, more);
    assert.equal(answer.status, 400);
    assert.match(answer.json.error_message, why);
  };
  await refused({ description: 'eleven char' }, /10 characters/);
  await refused({ account_id: 'other' }, /account_id/);
  await refused({ amount: '500.01' }, /authorized/);
  await refused({ amount: '5' }, /decimal/);
  await refused({ description: undefined }, /missing: description/);
  assert.equal((await create({ id: 'none' })).json.error_code, 'INVALID_FIELD');
  await plaid('/transfer/authorization/cancel', { authorization_id: authorization.id });
  await refused({}, /cancelled/);
  assert.equal(await transfersOf(authorization), 0);
});

test('bad proposals are refused', async () => {
  for (const more of [{ amount: '5' }, { amount: '0.00' }, { amount: 5 }, { type: 'gift' }, { network: 'post' },
    { user: {} }, { idempotency_key: 'x'.repeat(51) }, { amount: undefined }]) {
    const answer = await plaid('/transfer/authorization/create', { ...PROPOSAL, ...more });
    assert.equal(answer.status, 400, JSON.stringify(more));
  }
});

test('a transfer is cancelled once, and events tell the story', async () => {
  const authorization = await authorize();
  const { id } = (await create(authorization)).json.transfer;
  assert.equal((await plaid('/transfer/cancel', { transfer_id: id })).status, 200);
  assert.equal((await plaid('/transfer/cancel', { transfer_id: id })).json.error_code, 'TRANSFER_NOT_CANCELLABLE');
  const events = (await plaid('/transfer/event/sync', { after_id: 0, count: 1 })).json;
  assert.deepEqual([events.transfer_events[0].event_type, events.has_more], ['pending', true]);
  const rest = (await plaid('/transfer/event/sync', { after_id: 1 })).json;
  assert.deepEqual([rest.transfer_events[0].event_type, rest.has_more], ['cancelled', false]);
});

test('refunds and recurring transfers are one per key', async () => {
  const { id } = (await create(await authorize())).json.transfer;
  const refund = (more) => plaid('/transfer/refund/create', { transfer_id: id, amount: '200.00', idempotency_key: 'r1', ...more });
  const first = (await refund({})).json.refund;
  assert.equal((await refund({})).json.refund.id, first.id);
  assert.equal((await refund({ idempotency_key: 'r2', amount: '300.01' })).status, 400, 'more than is left');
  assert.equal((await effects()).by_key['refund:r1'], 1);
  const recurring = (more = {}) => plaid('/transfer/recurring/create', { ...PROPOSAL, idempotency_key: 'w1', description: 'rent',
    schedule: { interval_unit: 'month', interval_count: 1, interval_execution_day: 5, start_date: '2026-12-01' }, ...more });
  const made = (await recurring()).json;
  assert.equal(made.decision, 'approved');
  assert.equal((await recurring()).json.recurring_transfer.recurring_transfer_id, made.recurring_transfer.recurring_transfer_id);
  assert.equal((await effects()).by_key['recurring:w1'], 1);
  const declined = (await recurring({ idempotency_key: 'w2', user: { legal_name: 'Overdrawn Oda' } })).json;
  assert.deepEqual([declined.decision, declined.recurring_transfer], ['declined', null]);
});

test('a login that broke is mended on the hosted page', async () => {
  await rule({ path: '*', mode: 'item_login_required', times: -1 });
  const refused = await plaid('/accounts/balance/get');
  assert.deepEqual([refused.status, refused.json.error_type, refused.json.error_code],
    [400, 'ITEM_ERROR', 'ITEM_LOGIN_REQUIRED']);
  assert.equal((await plaid('/item/get')).json.item.error.error_code, 'ITEM_LOGIN_REQUIRED');
  const link = (await plaid('/link/token/create', { client_name: 'Countersign', language: 'en', country_codes: ['US'],
    user: { client_user_id: 'u' } })).json;
  assert.match(link.link_token, /^link-sandbox-/);
  const { pathname } = new URL(link.hosted_link_url);
  assert.match((await send('GET', pathname)).text, /<button>/);
  assert.equal((await plaid('/accounts/balance/get')).status, 400, 'looking changes nothing');
  assert.equal((await send('POST', pathname)).status, 200);
  assert.equal((await plaid('/accounts/balance/get')).status, 200);
  assert.equal((await send('POST', '/hosted_link/link-sandbox-none')).status, 404);
});

test('mode rate_limited: 429, Retry-After, no effect, used up', async () => {
  const authorization = await authorize();
  await rule({ path: '/transfer/create', mode: 'rate_limited', times: 2, retry_after: 7 });
  for (let i = 0; i < 2; i++) {
    const answer = await create(authorization);
    assert.deepEqual([answer.status, answer.headers['retry-after'], answer.json.error_type, answer.json.error_code],
      [429, '7', 'RATE_LIMIT_EXCEEDED', 'TRANSFER_CREATE_LIMIT']);
  }
  assert.equal(await transfersOf(authorization), 0);
  assert.equal((await create(authorization)).status, 200);
});

test('mode error: whatever error a rule names, no effect', async () => {
  const authorization = await authorize();
  await rule({ path: '/transfer/create', mode: 'error', status: 400, error_type: 'INSTITUTION_ERROR', code: 'INSTITUTION_DOWN' });
  const answer = await create(authorization);
  assert.deepEqual([answer.status, answer.json.error_type, answer.json.error_code], [400, 'INSTITUTION_ERROR', 'INSTITUTION_DOWN']);
  assert.equal(await transfersOf(authorization), 0);
});

for (const [mode, count] of [['error_before', 0], ['error_after', 1]]) {
  test(`mode ${mode}: 500, ${count} effect`, async () => {
    const authorization = await authorize();
    await rule({ path: '/transfer/create', mode });
    const answer = await create(authorization);
    assert.deepEqual([answer.status, answer.json.error_code], [500, 'INTERNAL_SERVER_ERROR']);
    assert.equal(await transfersOf(authorization), count);
  });
}

for (const [mode, count] of [['drop_before', 0], ['drop_after', 1]]) {
  test(`mode ${mode}: closed without a byte, ${count} effect`, async () => {
    const authorization = await authorize();
    await rule({ path: '/transfer/create', mode });
    const { socket, closed } = raw();
    socket.write(bytesOf('/transfer/create', createBody(authorization)));
    assert.deepEqual(await closed, { bytes: '', error: null });
    assert.equal(await transfersOf(authorization), count);
  });
}

test('mode drop_after_reused: spares the first request of a connection', async () => {
  const [first, second] = [await authorize(), await authorize()];
  await rule({ path: '/transfer/create', mode: 'drop_after_reused' });
  assert.equal((await create(first)).status, 200, 'a fresh connection is served, and the rule stays');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  assert.equal((await plaid('/item/get', {}, { agent })).status, 200);
  await assert.rejects(create(second, {}, { agent }), { code: 'ECONNRESET' });
  agent.destroy();
  assert.equal(await transfersOf(second), 1);
  const [log] = await control('GET', `requests?path=${encodeURIComponent('/transfer/create')}&limit=1`);
  assert.equal(log.nth_on_connection, 2);
});

test('mode rst_mid_body: the effect, half the body, a reset', async () => {
  const authorization = await authorize();
  await rule({ path: '/transfer/create', mode: 'rst_mid_body' });
  const { socket, closed } = raw();
  socket.write(bytesOf('/transfer/create', createBody(authorization)));
  const { bytes, error } = await closed;
  assert.equal(error, 'ECONNRESET');
  const [head, body] = bytes.split('\r\n\r\n');
  assert.equal(body.length, Math.floor(Number(head.match(/Content-Length: (\d+)/)[1]) / 2));
  assert.equal(await transfersOf(authorization), 1);
});

test('mode drip: all of it, byte by byte', async () => {
  await rule({ path: '/crm/emails', mode: 'drip', delay_ms: 3 });
  const { socket, closed, parts } = raw();
  socket.write(bytesOf('/crm/emails', { to: 'ann@example.com' }, 'Authorization: Bearer sandbox-secret\r\nConnection: close\r\n'));
  const { bytes } = await closed;
  assert.equal(JSON.parse(bytes.split('\r\n\r\n')[1]).to, 'ann@example.com');
  assert.ok(parts.length > 2, `came in ${parts.length} parts`);
});

// While the answer is awaited the effect is there (late) or not (slow): seen from outside, so
// the delay is a minute and the connection is left hanging.
for (const [mode, count] of [['slow', 0], ['late', 1]]) {
  test(`mode ${mode}: ${count} effect before the delay is over`, async () => {
    const authorization = await authorize();
    await rule({ path: '/transfer/create', mode, delay_ms: 60_000 });
    const { socket, closed, parts } = raw();
    socket.write(bytesOf('/transfer/create', createBody(authorization)));
    while ((await control('GET', 'requests?path=/transfer/create')).length === 0);
    assert.equal(await transfersOf(authorization), count);
    assert.equal(parts.length, 0);
    socket.destroy();
    await closed;
  });
  test(`mode ${mode}: answers in the end`, async () => {
    const authorization = await authorize();
    await rule({ path: '/transfer/create', mode, delay_ms: 20 });
    assert.equal((await create(authorization)).status, 200);
    assert.equal(await transfersOf(authorization), 1);
  });
}

test('rules are used in order, as often as they say, by method and by prefix', async () => {
  await rule({ path: '/crm/*', method: 'POST', mode: 'ok' });
  await rule({ path: '/crm/*', method: 'POST', mode: 'error_before', times: -1 });
  const post = async () => (await crm('POST', '/crm/emails', { to: 'a@example.com' })).status;
  assert.deepEqual([await post(), await post(), await post()], [202, 500, 500]);
  assert.equal((await crm('GET', '/crm/contacts')).status, 200);
  assert.equal((await control('GET', 'rules')).length, 2);
  await control('DELETE', 'rules');
  assert.equal(await post(), 202);
  for (const bad of [{ path: '/x', mode: 'nonsense' }, { mode: 'ok' }, { path: '/x', mode: 'ok', tmies: 2 }])
    assert.equal((await send('POST', '/_control/rules', { body: bad })).status, 400);
});

test('crm: contacts live, change and go', async () => {
  assert.equal((await send('GET', '/crm/contacts', { headers: { Authorization: 'Bearer no' } })).status, 401);
  const made = await crm('POST', '/crm/contacts', { name: 'Ann', email: 'ann@example.com' });
  assert.equal(made.status, 201);
  const path = `/crm/contacts/${made.json.id}`;
  assert.equal((await crm('PATCH', path, { name: 'Anne' })).json.name, 'Anne');
  assert.equal((await crm('GET', path)).json.email, 'ann@example.com');
  assert.equal((await crm('GET', '/crm/contacts')).json.items.length, 1);
  assert.equal((await crm('DELETE', path)).status, 204);
  assert.equal((await crm('GET', path)).status, 404);
  assert.equal((await crm('PUT', path, {})).status, 405);
  assert.equal((await effects()).total, 3);
});

test('crm: making twice makes two, but for an Idempotency-Key', async () => {
  const ann = { email: 'ann@example.com' };
  await crm('POST', '/crm/contacts', ann);
  await crm('POST', '/crm/contacts', ann);
  assert.equal((await effects()).by_key['contact:ann@example.com'], 2);
  const key = { 'Idempotency-Key': 'k1' };
  const bob = { email: 'bob@example.com' };
  const first = await crm('POST', '/crm/contacts', bob, key);
  assert.equal((await crm('POST', '/crm/contacts', bob, key)).text, first.text);
  assert.equal((await crm('POST', '/crm/contacts', ann, key)).status, 409);
  assert.equal((await effects()).by_key['contact:bob@example.com'], 1);
});

test('crm: a blob of any size, both framings', async () => {
  for (const more of ['', '&chunked=1']) {
    const blob = await crm('GET', `/crm/blob?bytes=1000003${more}`);
    assert.equal(blob.text.length, 1_000_003);
    assert.equal(blob.headers['transfer-encoding'], more ? 'chunked' : undefined);
  }
});

test('requests are written down byte for byte', async () => {
  const body = '{ "access_token" : "access-sandbox-item",\n\t"é":"\\u00e9" }';
  await send('POST', '/item/get?x=%2f', { headers: { ...KEYS, 'X-Odd-CASE': 'As  Is' }, body });
  const [log] = await control('GET', 'requests');
  assert.deepEqual([log.seq, log.method, log.target, log.body], [1, 'POST', '/item/get?x=%2f', body]);
  assert.deepEqual(log.headers.find(([name]) => name === 'X-Odd-CASE'), ['X-Odd-CASE', 'As  Is']);
  assert.equal(log.nth_on_connection, 1);
});

test('the log keeps the last ten thousand', async () => {
  const { socket, closed } = raw();
  const one = 'GET /crm/none HTTP/1.1\r\nHost: sandbox\r\n\r\n';
  const last = 'GET /crm/last HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n';
  socket.write(one.repeat(10_500) + last);
  await closed;
  const log = await control('GET', 'requests');
  assert.equal(log.length, 10_000);
  assert.deepEqual([log[0].seq, log.at(-1).seq, log.at(-1).target], [502, 10_501, '/crm/last']);
});

test('chunked bodies, pipelining and bad framing', async () => {
  const chunked = `POST /crm/emails HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer sandbox-secret\r\n` +
    `Transfer-Encoding: chunked\r\n\r\n`;
  const pieces = ['{"to":', '"a@example.com"}'].map((s) => `${s.length.toString(16)}\r\n${s}\r\n`).join('');
  const { socket, closed } = raw();
  socket.write(`${chunked}${pieces}0\r\n\r\n${chunked}${pieces}`);
  socket.write('0\r\n\r\nGET /crm/contacts HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n');
  assert.deepEqual((await closed).bytes.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 202', 'HTTP/1.1 202', 'HTTP/1.1 401']);
  assert.equal((await effects()).by_key['email:a@example.com'], 2);
  for (const bad of ['nonsense\r\n\r\n', 'GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx',
    'POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n']) {
    const refused = raw();
    refused.socket.write(bad);
    assert.match((await refused.closed).bytes, /^HTTP\/1\.1 400 /);
  }
});

test('reset forgets everything', async () => {
  await create(await authorize());
  await crm('POST', '/crm/contacts', { name: 'Ann' });
  await rule({ path: '/x', mode: 'ok' });
  await control('POST', 'reset', {});
  assert.deepEqual(await effects(), { total: 0, by_key: {}, by_path: {} });
  assert.deepEqual(await control('GET', 'transfers'), []);
  assert.deepEqual(await control('GET', 'rules'), []);
  assert.deepEqual(await control('GET', 'requests'), []);
  assert.deepEqual((await crm('GET', '/crm/contacts')).json.items, []);
});
