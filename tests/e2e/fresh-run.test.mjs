// From an empty folder to an approved call, by a script that knows only the contract's page: the command
// line as it is spelled there, then HTTP. Each sub-command's exit codes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { PROVIDER, expect, request, sendEmail, startServer, until } from './harness.mjs';

let s;
before(async () => { s = await startServer({ empty: true }); });
after(() => s?.stop());

const cli = (...args) => s.cli(args);
const file = (name, text) => {
  const at = path.join(s.scratch, name);
  fs.writeFileSync(at, text, { mode: 0o600 });
  return at;
};
const passwords = { ada: 'a long password of ada', ben: 'a long password of ben', olga: 'a long password of olga', ivy: 'a long password of ivy' };

async function signIn(name) {
  const answer = expect(await request(s.url, 'POST', '/v1/login', { body: { email: `${name}@example.com`, password: passwords[name] } }), 200);
  return { Cookie: answer.headers['set-cookie'][0].split(';')[0], 'X-CSRF-Token': answer.body.csrf };
}

test('init wrote a configuration that works, with keys of mode 0600', async () => {
  for (const name of ['countersign.yaml', 'policy.yaml']) assert.ok(fs.statSync(path.join(s.dir, name)).isFile(), name);
  const config = fs.readFileSync(s.configFile, 'utf8');
  for (const key of ['listen', 'public_url', 'data_dir', 'store', 'kek_file', 'payload_key_file', 'policy', 'connectors_dir', 'metrics_listen', 'limits'])
    assert.match(config, new RegExp(`^#?\\s*${key}:`, 'm'), `${key} is in the configuration`);
  const keys = fs.readdirSync(path.join(s.dir, 'keys'));
  assert.ok(keys.length >= 2);
  for (const name of keys) assert.equal(fs.statSync(path.join(s.dir, 'keys', name)).mode & 0o777, 0o600, name);
  for (const name of ['plaid.yaml', 'crm.yaml']) assert.ok(fs.existsSync(path.join(s.dir, 'connectors', name)), name);
  const sockets = fs.readdirSync(path.join(s.dir, 'data')).map((n) => fs.statSync(path.join(s.dir, 'data', n))).filter((x) => x.isSocket());
  assert.ok(sockets.length > 0 && sockets.every((x) => (x.mode & 0o777) === 0o600), 'the admin socket is for its owner');
});

test('init never writes over what is there', async () => {
  const before = fs.readFileSync(path.join(s.dir, 'keys', 'kek'));
  const again = await s.cli(['init', s.dir], '', { config: false });
  assert.equal(again.code, 1, again.stdout + again.stderr);
  assert.deepEqual(fs.readFileSync(path.join(s.dir, 'keys', 'kek')), before);
});

test('every sub-command has --help, exit 0', async () => {
  for (const words of ['init', 'serve', 'check', 'demo', 'person add', 'person list', 'person disable', 'agent add', 'connection add', 'token add',
    'workspace add', 'classify', 'audit export', 'audit verify', 'version', '']) {
    const r = await s.cli([...words.split(' ').filter(Boolean), '--help'], '', { config: false });
    assert.equal(r.code, 0, `${words}: ${r.stderr}`);
    assert.ok(r.stdout.length > 20 && r.stdout.includes(words), words);
  }
});

test('wrong usage is exit 2', async () => {
  for (const args of [[], ['nonsense'], ['person'], ['person', 'nonsense'], ['init'], ['check'], ['serve'], ['person', 'add'], ['person', 'add', 'x@example.com'],
    ['person', 'add', 'x@example.com', '--role'], ['agent', 'add', 'x'], ['connection', 'add', 'x'], ['person', 'add', 'x@example.com', '--rolle', 'admin', '--password-stdin'],
    ['token', 'add'], ['workspace', 'add'], ['audit', 'export', '--format', 'xml', '-c', s.configFile]]) {
    const r = await s.cli(args, '', { config: false });
    assert.equal(r.code, 2, `${args.join(' ')}: ${r.code} ${r.stderr}`);
    assert.ok(r.stderr.length > 0);
  }
});

test('check: exit 0; the reference names every setting', async () => {
  const ok = await cli('check');
  assert.equal(ok.code, 0, ok.stdout + ok.stderr);
  const reference = await s.cli(['check', '--reference'], '', { config: false });
  assert.equal(reference.code, 0);
  for (const key of ['listen', 'public_url', 'data_dir', 'store', 'kek_file', 'payload_key_file', 'policy', 'connectors_dir', 'metrics_listen', 'limits'])
    assert.ok(reference.stdout.includes(key), key);
});

test('a typo gives file:line:column: message, exit 1', async () => {
  const lines = fs.readFileSync(s.configFile, 'utf8').split('\n');
  const bad = path.join(s.dir, 'bad.yaml');
  const check = async (text, line, column, name = 'bad.yaml') => {
    fs.writeFileSync(bad, text);
    const r = await s.cli(['check', '-c', bad], '', { config: false });
    assert.equal(r.code, 1, r.stdout);
    const place = new RegExp(`^(\\S*${name}):(\\d+):(\\d+): \\S`, 'm').exec(r.stdout);
    assert.ok(place, r.stdout + r.stderr);
    assert.equal(Number(place[2]), line, r.stdout);
    if (column) assert.equal(Number(place[3]), column, r.stdout);
  };
  await check([...lines, 'listen: 127.0.0.1:1'].join('\n'), lines.length + 1, 1);
  await check([...lines.filter((l) => !/^limits:/.test(l) && !/^ /.test(l)), 'limits:', '  bdoy: 1MiB'].join('\n'),
    lines.filter((l) => !/^limits:/.test(l) && !/^ /.test(l)).length + 2, 3);
  await check('listen: [127.0.0.1:8480\n', 2);
  const policy = path.join(s.dir, 'policy.yaml');
  const good = fs.readFileSync(policy, 'utf8');
  fs.writeFileSync(policy, `${good.replace(/^rules: \[\]$/m, 'rules:')}\n  - naem: x\n`);
  const r = await cli('check');
  fs.writeFileSync(policy, good);
  assert.equal(r.code, 1, r.stdout);
  assert.match(r.stdout, /policy\.yaml:\d+:5: /);
});

test('version', async () => {
  const r = await s.cli(['version'], '', { config: false });
  assert.equal(r.code, 0);
  assert.match(r.stdout, /\S/);
});

test('people', async () => {
  for (const [name, ...more] of [['ada', '--role', 'approver', '--group', 'finance'], ['ben', '--role', 'approver'], ['olga', '--role', 'admin'], ['ivy', '--role', 'auditor']]) {
    const r = await s.cli(['person', 'add', `${name}@example.com`, ...more, '--password-stdin'], passwords[name]);
    assert.equal(r.code, 0, r.stderr);
  }
  const twice = await s.cli(['person', 'add', 'ada@example.com', '--role', 'approver', '--password-stdin'], passwords.ada);
  assert.equal(twice.code, 1, 'refused');
  const weird = await s.cli(['person', 'add', 'not an address', '--role', 'approver', '--password-stdin'], 'a long password');
  assert.ok(weird.code > 0);
  const list = await cli('person', 'list');
  assert.equal(list.code, 0);
  for (const name of Object.keys(passwords)) assert.ok(list.stdout.includes(`${name}@example.com`), name);
  assert.ok(!/argon2|\$/.test(list.stdout), 'no hashes');
});

test('a connection: secrets from a file or standard input, never from the command line', async () => {
  const secrets = file('plaid.json', JSON.stringify(PROVIDER));
  const r = await cli('connection', 'add', 'plaid-main', '--connector', 'plaid', '--base-url', s.sandbox.url, '--allow-private', '--secrets', secrets);
  assert.equal(r.code, 0, r.stderr);
  const crm = await s.cli(['connection', 'add', 'crm-main', '--connector', 'crm', '--base-url', `${s.sandbox.url}/crm`, '--allow-private', '--secrets', '-'],
    JSON.stringify({ token: PROVIDER.secret }));
  assert.equal(crm.code, 0, crm.stderr);
  for (const bad of [['--secrets', JSON.stringify(PROVIDER)], ['--secrets', file('few.json', '{"client_id":"x"}')], ['--secrets', file('broken.json', '{')],
    ['--secrets', file('more.json', JSON.stringify({ ...PROVIDER, sceret: 'x' }))]]) {
    const refused = await cli('connection', 'add', 'other', '--connector', 'plaid', '--base-url', s.sandbox.url, '--allow-private', ...bad);
    assert.equal(refused.code, 1, refused.stdout);
    assert.ok(!(refused.stdout + refused.stderr).includes(PROVIDER.access_token) || bad[1].startsWith('{'), 'no secret is printed');
  }
  const refused = await cli('connection', 'add', 'private', '--connector', 'plaid', '--base-url', s.sandbox.url, '--secrets', secrets);
  assert.equal(refused.code, 1, 'http to a private address needs --allow-private');
});

test('an agent, one call held, one vote, the effect', async () => {
  const unknown = await cli('agent', 'add', 'bot', '--owner', 'nobody@example.com');
  assert.equal(unknown.code, 1);
  const r = await cli('agent', 'add', 'bot', '--owner', 'olga@example.com', '--connection', 'plaid-main', '--connection', 'crm-main');
  assert.equal(r.code, 0, r.stderr);
  const key = /csa_\S+/.exec(r.stdout)[0];
  const agent = s.asAgent(key);
  const balance = expect(await agent.propose({ connection: 'plaid-main', method: 'POST', path: '/accounts/balance/get', body: {} }), 200).body;
  assert.equal(balance.status, 'succeeded');
  const a = expect(await agent.propose(sendEmail('ann@example.com')), 202).body;
  const ada = await signIn('ada');
  const reviews = expect(await request(s.url, 'GET', '/v1/reviews', { headers: ada }), 200).body;
  assert.deepEqual(reviews.items.map((x) => x.id), [a.id]);
  expect(await request(s.url, 'POST', `/v1/actions/${a.id}/votes`, { headers: ada, body: { decision: 'approve', revision: a.revision, binding: a.binding } }), 200);
  await s.settled(a.id, 'succeeded', agent);
  assert.equal(await s.sandbox.effect('email:ann@example.com'), 1);
});

test('classify from the command line stores nothing', async () => {
  const rows = await s.rows();
  const r = await s.cli(['classify'], JSON.stringify(sendEmail('x@example.com')));
  assert.equal(r.code, 0, r.stderr);
  const verdict = JSON.parse(r.stdout);
  assert.deepEqual([verdict.tier, verdict.operation, verdict.approvals.required], [2, 'emails.send', 1]);
  for (const field of ['reasons', 'decide_within']) assert.ok(field in verdict, field);
  assert.notEqual((await s.cli(['classify'], '{"connection":')).code, 0);
  assert.deepEqual(await s.rows(), rows);
});

test('a token reads and never votes', async () => {
  const r = await cli('token', 'add', 'ada@example.com');
  assert.equal(r.code, 0, r.stderr);
  const headers = { Authorization: `Bearer ${r.stdout.trim().split(/\s+/).pop()}` };
  expect(await request(s.url, 'GET', '/v1/me', { headers }), 200);
  expect(await request(s.url, 'GET', '/v1/reviews?scope=decided', { headers }), 200);
  expect(await request(s.url, 'POST', '/v1/freeze', { headers, body: { scope: { workspace: true }, reason: 'x' } }), 403, 'wrong-principal');
  assert.equal((await cli('token', 'add', 'nobody@example.com')).code, 1);
});

test('person disable ends sessions and sign-ins', async () => {
  const ben = await signIn('ben');
  assert.equal((await cli('person', 'disable', 'ben@example.com')).code, 0);
  expect(await request(s.url, 'GET', '/v1/me', { headers: ben }), 401);
  expect(await request(s.url, 'POST', '/v1/login', { body: { email: 'ben@example.com', password: passwords.ben } }), 401);
  assert.equal((await cli('person', 'disable', 'nobody@example.com')).code, 1);
});

test('another workspace', async () => {
  const r = await cli('workspace', 'add', 'second');
  assert.equal(r.code, 0, r.stderr);
});

test('audit export and verify', async () => {
  const jsonl = await cli('audit', 'export');
  assert.equal(jsonl.code, 0, jsonl.stderr);
  const events = jsonl.stdout.trim().split('\n').map((l) => JSON.parse(l));
  assert.deepEqual(events.map((e) => e.seq), events.map((_, i) => i + 1), 'gapless, oldest first');
  assert.ok(events.some((e) => e.type === 'action.ended' && e.outcome === 'success'));
  const csv = await cli('audit', 'export', '--format', 'csv');
  assert.equal(csv.code, 0);
  assert.match(csv.stdout.split(/\r?\n/)[0], /^event_id,seq,timestamp,workspace,type,/);
  assert.equal((await cli('audit', 'verify')).code, 0);
});

test('the sub-commands work without serve, and leave nothing running', async () => {
  const pids = s.pids.all;
  process.kill(s.parent.pid, 'SIGTERM');
  await s.gone(pids);
  assert.equal(s.parent.over.code, 0, s.log().slice(-2000));
  const r = await s.cli(['person', 'add', 'eve@example.com', '--role', 'approver', '--password-stdin'], 'a long password of eve');
  assert.equal(r.code, 0, r.stderr);
  assert.ok((await cli('person', 'list')).stdout.includes('eve@example.com'));
  assert.equal((await cli('audit', 'verify')).code, 0);
  await until(() => !fs.existsSync(path.join(s.dir, 'data', 'admin.sock')) || fs.readdirSync('/proc').filter((n) => /^\d+$/.test(n))
    .every((n) => { try { return !fs.readFileSync(`/proc/${n}/cmdline`, 'utf8').includes(s.configFile); } catch { return true; } }), 'what it had started to end');
  await s.serve();
  const events = (await cli('audit', 'export')).stdout.trim().split('\n');
  assert.equal(JSON.parse(events.at(-1)).seq, events.length);
});

test('serve refuses a second one over the same folder, and a broken configuration, exit 1', async () => {
  const second = await s.cli(['serve'], '');
  assert.equal(second.code, 1, `${second.code} ${second.stderr}`);
  expect(await request(s.url, 'GET', '/readyz'), 200);
  const broken = file('broken.yaml', 'nonsense: 1\n');
  const r = await s.cli(['serve', '-c', broken], '', { config: false });
  assert.equal(r.code, 1);
  assert.match(r.stdout + r.stderr, /broken\.yaml:1:1: /);
});
