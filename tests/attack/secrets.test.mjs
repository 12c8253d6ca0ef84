// Canaries: a connection's secrets, an agent's key, a person's password and the personal data of a payload
// go through a whole life, with errors on the way. Afterwards nobody finds them in the database, its WAL,
// keeper's journal, any other file of the data folder, the logs, the audit log and its exports, the metrics,
// or an answer that was given to somebody to whom they do not belong.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ACCOUNT, PROVIDER, authorization, expect, freePort, request, sendEmail, startReceiver, startServer, transfer, unique } from '../e2e/harness.mjs';

const PII = { legal_name: 'Canaria Ornithologe', email: 'canaria@ornithologe.example', phone: '+4930118118', text: 'the nest is in the third tree', memo: 'nest-8831' };
const PASSWORD = 'canary password 1881 quite long';
const CRM_TOKEN = 'canary-crm-token-7f3a';
const NOTE = 'canary note: pay the ornithologist';
const STATE = 'canary-state-4411';

let s;
let receiver;
let hidden; // {name: text}: secrets; nobody may see these anywhere
let answers; // all that Countersign said over HTTP
let printed; // what the command line printed
before(async () => {
  receiver = await startReceiver();
  const metrics = await freePort();
  s = await startServer({ resumeUrls: [receiver.url], config: { metrics_listen: `127.0.0.1:${metrics}`, log_level: 'debug' } });
  s.metrics = `http://127.0.0.1:${metrics}`;
  answers = [];
  printed = [];
});
after(async () => {
  await s?.stop();
  await receiver?.stop();
});

const heard = (who) => async (...args) => {
  const answer = await who(...args);
  answers.push({ what: `${args[0]}`, text: JSON.stringify(answer.headers) + answer.text });
  return answer;
};
const listening = (client) => Object.fromEntries(Object.entries(client).map(([k, v]) => [k, typeof v === 'function' ? heard(v) : v]));

test('a whole life with canaries in it', async () => {
  await s.admin(['person', 'add', 'wren@example.com', '--role', 'approver', '--group', 'finance', '--password-stdin'], `${PASSWORD}\n`);
  s.people.wren = { name: 'wren', email: 'wren@example.com', password: PASSWORD };
  printed.push((await s.addConnection('crm-canary', 'crm', `${s.sandbox.url}/crm`, { token: CRM_TOKEN })).stdout);
  const bot = await s.addAgent('canary', { connections: ['plaid-main', 'crm-main', 'crm-canary'], resumeUrls: [receiver.url] });
  const agent = listening({ ...bot.client, get: bot.client.get });
  const wren = await s.login('wren');
  const alice = await s.login('alice');
  const admin = await s.login('admin');
  const auditor = await s.login('auditor');
  const token = (await s.admin(['token', 'add', 'auditor@example.com'])).stdout.match(/cs[a-z]_[A-Za-z0-9_-]+/)?.[0];
  assert.ok(token, 'token add printed no token');
  hidden = { 'Plaid\'s client id': PROVIDER.client_id, 'Plaid\'s secret': PROVIDER.secret, 'the access token': PROVIDER.access_token, 'the CRM\'s token': CRM_TOKEN, 'a password': PASSWORD,
    'an agent\'s key': bot.key, 'a person\'s token': token, 'a session': wren.cookie.split('=')[1], 'the webhook secret': bot.webhookSecret };

  // approved, with data of people in it
  const first = expect(await agent.post('/v1/actions', { ...authorization('501.00', PII.legal_name), note: NOTE, state: STATE, thread_id: 'a-thread',
    resume: [{ type: 'webhook', url: `${receiver.url}/done` }] }), 202).body;
  expect(await wren.vote(first, 'approve', { reason: 'seen' }), 200);
  const made = await s.settled(first.id, 'succeeded', bot.client);
  const second = expect(await agent.post('/v1/actions', transfer(made.result.body.authorization.id, PII.memo)), 202).body;
  for (const person of [wren, alice]) expect(await person.vote(second, 'approve'), 200);
  await s.settled(second.id, 'succeeded', bot.client);
  const mail = sendEmail(PII.email);
  const third = expect(await agent.post('/v1/actions', { ...mail, body: { ...mail.body, text: PII.text } }), 202).body;
  expect(await wren.vote(third, 'reject', { reason: 'not this' }), 200);
  expect(await agent.post('/v1/actions', { connection: 'crm-main', method: 'POST', path: '/contacts', body: { name: PII.legal_name, email: PII.email, phone: PII.phone }, wait: 50 }), 200);

  // everything that goes wrong and says why
  const canary = (body, headers) => request(s.url, 'POST', '/v1/actions', { headers: { Authorization: `Bearer ${bot.key}`, ...headers }, body });
  const say = heard(async (what, call) => call());
  await say('a credential that the provider refuses', () => canary({ connection: 'crm-canary', method: 'GET', path: '/contacts', wait: 50 }));
  await say('malformed', () => canary(`{"connection":"plaid-main","body":{"access_token":"${PROVIDER.access_token}"`));
  await say('a duplicate key', () => canary(`{"connection":"plaid-main","connection":"${PROVIDER.secret}"}`));
  await say('secrets where the agent has nothing to say', () => canary({ connection: 'plaid-main', method: 'POST', path: '/accounts/balance/get',
    body: { access_token: PROVIDER.access_token, secret: PROVIDER.secret, client_id: PROVIDER.client_id }, wait: 50 }));
  await say('another operation', () => canary({ ...authorization('1.00', PII.legal_name), operation: 'transfer.create' }));
  await say('an unknown field', () => canary({ connection: 'plaid-main', [PII.email]: 1 }));
  await say('a vendor\'s secret instead of a key', () => s.request('POST', '/proxy/plaid-main/accounts/balance/get', { headers: { 'PLAID-SECRET': PROVIDER.secret }, body: {} }));
  await say('two keys', () => s.request('POST', '/proxy/plaid-main/accounts/balance/get', { headers: { 'PLAID-SECRET': bot.key, Authorization: `Bearer ${s.agentKey}` }, body: {} }));
  await say('a key in the query', () => s.request('GET', `/v1/actions?key=${bot.key}`));
  await say('a wrong password', () => s.request('POST', '/v1/login', { body: { email: 'wren@example.com', password: `${PASSWORD}x` } }));
  await say('a password in the place of the email', () => s.request('POST', '/v1/login', { body: { email: PASSWORD, password: 'x' } }));
  for (const [path_, mode] of [['/crm/emails', { mode: 'drop_after' }], ['/crm/emails', { mode: 'error', status: 500, code: 'x' }], ['/crm/emails', { mode: 'rst_mid_body' }]]) {
    await s.sandbox.rule({ path: path_, ...mode });
    const a = expect(await agent.post('/v1/actions', sendEmail()), 202).body;
    expect(await wren.vote(a, 'approve'), 200);
    await s.settled(a.id, (x) => x.ended_at !== null || x.status === 'unknown', bot.client);
    expect(await agent.get(`/v1/actions/${a.id}`), 200);
  }
  await s.proxy('plaid-main/accounts/balance/get', { access_token: PROVIDER.access_token, secret: PROVIDER.secret }).then((a) => answers.push({ what: 'proxy', text: JSON.stringify(a.headers) + a.text }));

  // what people and machines can read
  for (const target of ['/v1/actions', `/v1/actions/${first.id}`, `/v1/actions/${second.id}`, `/v1/actions/${third.id}`]) {
    await agent.get(target);
    for (const person of [wren, admin, auditor]) await heard(person.get)(target);
  }
  for (const target of ['/v1/me', '/v1/reviews', '/v1/reviews?scope=all', '/v1/reviews?scope=decided', '/v1/notices', '/v1/freeze', '/v1/people', '/v1/groups', '/v1/agents', '/v1/connections',
    '/v1/policy', '/v1/audit?limit=200', '/v1/audit/export?format=jsonl', '/v1/audit/export?format=csv', '/healthz', '/readyz', '/openapi.yaml', '/'])
    for (const person of [wren, admin, auditor]) await heard(person.get)(target);
  await say('metrics', () => request(s.metrics, 'GET', '/metrics'));
  for (const args of [['person', 'list'], ['audit', 'verify'], ['audit', 'export'], ['check'], ['version']]) {
    const r = await s.cli(args);
    printed.push(r.stdout + r.stderr);
  }
  assert.ok(answers.length > 60);
  await s.restart(); // and what recovery, compaction and checkpoints leave behind
});

const named = (text) => [text, Buffer.from(text).toString('base64').replace(/=+$/, ''), Buffer.from(text).toString('hex'), encodeURIComponent(text), JSON.stringify(text).slice(1, -1)];

function absent(where, bytes, secrets) {
  for (const [what, text] of Object.entries(secrets))
    for (const form of new Set(named(text)))
      if (bytes.includes(form)) {
        const at = bytes.indexOf(form);
        assert.fail(`${what} stands in ${where}: ...${bytes.subarray(Math.max(0, at - 120), at).toString('latin1')}<HERE>`);
      }
}

function everyFile(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(folder, entry.name);
    return entry.isDirectory() ? everyFile(full) : entry.isFile() ? [full] : [];
  });
}

const personal = () => Object.fromEntries(Object.entries({ ...PII, note: NOTE, state: STATE }).map(([k, v]) => [`the payload's ${k}`, v]));

test('no file of the data folder holds a secret, or anything of a payload, in clear', () => {
  const files = everyFile(path.join(s.dir, 'data'));
  const names = files.map((f) => path.relative(s.dir, f)).join(' ');
  assert.match(names, /countersign\.db/);
  assert.match(names, /countersign\.db-wal/);
  assert.match(names, /journal/);
  for (const file of files) absent(file, fs.readFileSync(file), { ...hidden, ...personal(), 'an account': ACCOUNT });
});

test('no other file of the installation holds one either', () => {
  for (const file of everyFile(s.dir)) absent(file, fs.readFileSync(file), hidden);
});

test('the log, at its most talkative, holds none', () => {
  assert.match(s.log(), /"event":"request\.refused"/, 'there is a log to look into');
  absent('the log', Buffer.from(s.log()), { ...hidden, ...personal(), 'an account': ACCOUNT });
});

test('no answer holds a secret; the key, the token and the webhook secret were told once', () => {
  for (const { what, text } of answers) absent(`the answer to ${what}`, Buffer.from(text), hidden);
  for (const text of printed) absent('what the command line printed', Buffer.from(text), hidden);
});

test('the audit log holds nothing of a payload', () => {
  for (const { what, text } of answers.filter((a) => /audit/.test(a.what))) absent(what, Buffer.from(text), { ...hidden, ...personal(), 'an account': ACCOUNT });
  for (const text of printed) absent('the audit export', Buffer.from(text), { ...hidden, ...personal(), 'an account': ACCOUNT });
});

test('metrics and health say nothing of anybody', () => {
  const told = answers.filter((a) => /^(metrics|\/healthz|\/readyz)$/.test(a.what));
  assert.ok(told.length >= 3);
  for (const { what, text } of told) absent(what, Buffer.from(text), { ...hidden, ...personal(), person: 'wren@example.com' });
});

test('a webhook carries the agent\'s own state, and no secret', async () => {
  assert.ok(receiver.got.length > 0);
  for (const got of receiver.got) absent('a webhook', Buffer.from(JSON.stringify(got.headers) + got.text), hidden);
  assert.ok(receiver.got.some((g) => g.text.includes(STATE)));
});

test('the search finds what is there', async () => {
  const canary = { canary: unique('canary') };
  assert.throws(() => absent('here', Buffer.from(`x${Buffer.from(canary.canary).toString('hex')}x`), canary), /stands in here/);
  const seen = JSON.stringify(await s.sandbox.requests());
  assert.ok(seen.includes(PROVIDER.secret) && seen.includes(PII.legal_name), 'the canaries did reach the provider');
});
