// Walks src/http/route.def: what each row says about who may call, CSRF, body cap and content type is
// what the server does; reading methods change nothing; every answer carries the security headers.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, startServer } from './harness.mjs';

const TABLE = fs.readFileSync(path.join(ROOT, 'src/http/route.def'), 'utf8');
const ROWS = [...TABLE.matchAll(/^ROUTE\((\w+), "([^"]+)", (\w+), (\w+), (-?\d+), (\w+), (\w+), /gm)]
  .map(([, method, where, who, flags, cap, takes, handler]) =>
    ({ method, where, who, changes: flags === 'CHANGES', cap: Number(cap), takes, handler, name: `${method} ${where}` }));
const BODY_LIMIT = 1 << 20; // limits.body by default

// Who is refused, and how. `bare` is a session without its CSRF token.
const UNKNOWN = [401, 'unauthenticated'];
const LOGIN = [401, 'login-required'];
const WRONG = [403, 'wrong-principal'];
const REFUSED = {
  ANYONE: {},
  AGENT: { nobody: UNKNOWN, token: WRONG, alice: WRONG, auditor: WRONG, admin: WRONG },
  ASK: { nobody: UNKNOWN, token: WRONG, alice: WRONG, auditor: WRONG, admin: WRONG },
  PROXY: { nobody: UNKNOWN, token: WRONG, alice: WRONG, auditor: WRONG, admin: WRONG },
  PERSON: { nobody: LOGIN, agent: WRONG, token: WRONG },
  READER: { nobody: LOGIN, agent: WRONG },
  SHOW: { nobody: LOGIN, agent: WRONG },
  BOTH: { nobody: LOGIN },
  ADMIN: { nobody: LOGIN, agent: WRONG, token: WRONG, alice: WRONG, auditor: WRONG },
  AUDIT: { nobody: LOGIN, agent: WRONG, token: WRONG, alice: WRONG },
};
const ALLOWED = { ANYONE: 'nobody', AGENT: 'agent', ASK: 'agent', PROXY: 'agent', PERSON: 'alice', READER: 'alice',
  SHOW: 'alice', BOTH: 'agent', ADMIN: 'admin', AUDIT: 'auditor' };

let s;
const caller = {}; // name -> headers

before(async () => {
  s = await startServer();
  const { stdout } = await s.admin(['token', 'add', s.people.alice.email]);
  caller.nobody = {};
  caller.agent = { Authorization: `Bearer ${s.agentKey}` };
  caller.token = { Authorization: `Bearer ${/cst_[A-Za-z0-9_-]+/.exec(stdout)[0]}` };
  for (const name of ['alice', 'auditor', 'admin']) {
    const { cookie, csrf } = await s.login(s.people[name].email);
    caller[name] = { Cookie: cookie, 'X-CSRF-Token': csrf };
  }
});
after(() => s.stop());

const ID = '01jd000000e008000000000001'; // well formed, and nobody's
const PREFIX = { actions: 'act', people: 'apr', freeze: 'frz', notices: 'act' };
const target = ({ where }) => where
  .replace(/\/v1\/(\w+)\/\{id\}/, (_, kind) => `/v1/${kind}/${PREFIX[kind]}_${ID}`)
  .replace('{connection}/{path...}', 'crm-main/contacts')
  .replace('{name}', 'app.js');
const method = (row) => (row.method === 'ANY' ? 'POST' : row.method);

const PROTECTION = {
  'x-content-type-options': /^nosniff$/,
  'referrer-policy': /^no-referrer$/,
  'cross-origin-opener-policy': /^same-origin$/,
  'cross-origin-resource-policy': /^same-origin$/,
  'x-frame-options': /^DENY$/,
  'permissions-policy': /camera=\(\)/,
  'content-security-policy': /^default-src 'none';/,
  'cache-control': /./,
};

// One request; whatever comes back must be protected, and a refusal must explain itself.
async function call(what, how, where, headers, body) {
  const answer = await s.request(how, where, { headers, body });
  for (const [name, value] of Object.entries(PROTECTION))
    assert.match(String(answer.headers[name]), value, `${what}: ${name} of ${answer.status}`);
  assert.doesNotMatch(answer.headers['content-security-policy'], /unsafe|\*/, what);
  if (answer.status >= 400 && how !== 'HEAD' && answer.problem !== undefined) {
    for (const member of ['type', 'title', 'status']) assert.ok(answer.body[member], `${what}: no ${member}: ${answer.text}`);
    assert.equal(answer.body.status, answer.status, what);
  }
  if (answer.status === 401) assert.match(String(answer.headers['www-authenticate']), /^Bearer/, what);
  if (answer.status === 429 || answer.status === 503) assert.match(String(answer.headers['retry-after']), /^\d+$/, what);
  return answer;
}

function refused(what, answer, [status, problem]) {
  assert.equal(answer.status, status, `${what}: ${answer.status} ${answer.text}`);
  assert.equal(answer.problem, problem, `${what}: ${answer.text}`);
}

const json = (row) => (row.takes === 'NOTHING' ? undefined : '{}');

test('the table was read', () => {
  assert.equal(ROWS.length, [...TABLE.matchAll(/^ROUTE\(/gm)].length);
  assert.ok(ROWS.length > 30);
  for (const row of ROWS) assert.ok(REFUSED[row.who], `${row.name}: ${row.who} is not known to this test`);
});

for (const row of ROWS) {
  test(`${row.name}: who`, async () => {
    for (const [who, how] of Object.entries(REFUSED[row.who])) {
      const what = `${row.name} as ${who}`;
      refused(what, await call(what, method(row), target(row), caller[who], json(row)), how);
    }
  });
}

for (const row of ROWS.filter((r) => r.changes)) {
  test(`${row.name}: csrf`, async () => {
    // whoever it is: a session's change without the token is stopped before its kind is looked at
    const { Cookie, 'X-CSRF-Token': csrf } = caller.admin;
    const tries = {
      'no token': { Cookie },
      'another token': { Cookie, 'X-CSRF-Token': caller.alice['X-CSRF-Token'] },
      'a token cut short': { Cookie, 'X-CSRF-Token': csrf.slice(0, -1) },
      'another site': { Cookie, 'X-CSRF-Token': csrf, 'Sec-Fetch-Site': 'cross-site' },
      'a neighbouring site': { Cookie, 'X-CSRF-Token': csrf, 'Sec-Fetch-Site': 'same-site' },
      'another origin': { Cookie, 'X-CSRF-Token': csrf, Origin: 'http://evil.example' },
      'no origin': { Cookie, 'X-CSRF-Token': csrf, Origin: 'null' },
    };
    for (const [what, headers] of Object.entries(tries))
      refused(`${row.name}, ${what}`, await call(what, method(row), target(row), headers, json(row)), [403, 'csrf']);
  });
}

test('signing in from another site', async () => {
  const body = { email: s.people.alice.email, password: s.people.alice.password };
  for (const headers of [{ 'Sec-Fetch-Site': 'cross-site' }, { Origin: 'http://evil.example' }])
    refused('login', await call('login', 'POST', '/v1/login', headers, body), [403, 'csrf']);
});

for (const row of ROWS) {
  const cap = row.cap < 0 ? BODY_LIMIT : row.cap * 1024;
  test(`${row.name}: body over ${cap}`, async () => {
    const body = Buffer.alloc(cap + 1, 0x20);
    const headers = { ...caller[ALLOWED[row.who]], 'Content-Type': 'application/json' };
    for (const more of [{}, { 'Transfer-Encoding': 'chunked' }])
      refused(row.name, await call(row.name, method(row), target(row), { ...headers, ...more }, body), [413, 'too-large']);
  });
}

for (const row of ROWS.filter((r) => r.takes === 'JSON')) {
  test(`${row.name}: content type`, async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'multipart/form-data; boundary=x']) {
      const headers = { ...caller[ALLOWED[row.who]], 'Content-Type': type };
      refused(`${row.name} ${type}`, await call(type, method(row), target(row), headers, '{}'), [415, 'unsupported-media-type']);
    }
    const headers = { ...caller[ALLOWED[row.who]], 'Content-Encoding': 'gzip' };
    refused(row.name, await call('gzip', method(row), target(row), headers, '{}'), [415, 'unsupported-media-type']);
    for (const bad of ['{', '{}{}', '{"a":1,"a":1}', '\ufeff{}', '[1e999]']) {
      const answer = await call(bad, method(row), target(row), caller[ALLOWED[row.who]], bad);
      assert.equal(answer.status, 400, `${row.name} ${bad}: ${answer.text}`);
    }
  });
}

test('a query parameter given twice', async () => {
  for (const row of ROWS.filter((r) => r.where.startsWith('/v1/') && r.who !== 'ANYONE')) {
    const headers = caller[ALLOWED[row.who]];
    const answer = await call(row.name, method(row), `${target(row)}?limit=1&limit=1`, headers);
    assert.equal(answer.status, 400, `${row.name}: ${answer.text}`);
  }
});

test('methods that a path does not take, and those that pretend', async () => {
  for (const where of new Set(ROWS.filter((r) => r.method !== 'ANY').map((r) => r.where))) {
    const taken = ROWS.filter((r) => r.where === where).map((r) => r.method);
    for (const how of ['PUT', 'PATCH', 'TRACE', 'PROPFIND', 'POST', 'DELETE'].filter((m) => !taken.includes(m))) {
      const headers = { ...caller.admin, 'X-HTTP-Method-Override': taken[0], 'X-Method-Override': taken[0] };
      const answer = await call(`${how} ${where}`, how, target({ where }), headers);
      refused(`${how} ${where}`, answer, [405, 'method-not-allowed']);
      for (const m of taken) assert.ok(answer.headers.allow.split(', ').includes(m), answer.headers.allow);
    }
  }
});

test('paths with another spelling are no addresses', async () => {
  for (const where of ['/v1/me/', '//v1/me', '/v1//me', '/V1/me', '/v1/%6de', '/v1/./me', '/v1/x/../me', '/v1/me;a', '/v1/me%00', '/nothing'])
    assert.equal((await call(where, 'GET', where, caller.alice)).status, 404, where);
});

// The stream of events has no end: its head is read, then it is let go.
async function openEvents(headers) {
  const lines = Object.entries(headers).map(([n, v]) => `${n}: ${v}\r\n`).join('');
  const got = await s.raw(`GET /v1/events HTTP/1.1\r\nHost: x\r\n${lines}\r\n`, (text) => text.includes('\r\n\r\n'));
  for (const [name, value] of Object.entries(PROTECTION)) {
    const line = new RegExp(`^${name}: (.*)\\r$`, 'im').exec(got);
    assert.match(String(line?.[1]), value, got);
  }
  return got;
}

test('GET, HEAD and OPTIONS change nothing', async () => {
  const rows = await s.rows();
  const [{ seq }] = await s.sql('SELECT max(seq) AS seq FROM audit_event');
  for (const who of Object.keys(caller)) {
    for (const row of ROWS.filter((r) => r.method === 'GET')) {
      const allowed = !REFUSED[row.who][who];
      const head = await call(row.name, 'HEAD', target(row), caller[who]);
      assert.equal(head.bytes.length, 0);
      if (row.handler === 'api_events' && allowed) {
        assert.match(await openEvents(caller[who]), /^HTTP\/1.1 200 /);
      } else {
        const got = await call(row.name, 'GET', target(row), caller[who]);
        assert.equal(head.status, got.status, `${row.name} as ${who}`);
        if (allowed) assert.ok(![401, 403, 405, 500, 503].includes(got.status), `${row.name} as ${who}: ${got.text}`);
      }
    }
    for (const row of ROWS) {
      const options = await call(row.name, 'OPTIONS', target(row), caller[who]);
      assert.equal(options.status, 204, row.name);
      assert.ok(options.headers.allow.includes(row.method === 'ANY' ? 'POST' : row.method), row.name);
    }
  }
  assert.deepEqual(await s.rows(), rows);
  assert.equal((await s.sql('SELECT max(seq) AS seq FROM audit_event'))[0].seq, seq);
});

test('the page has its own policy, and only the page', async () => {
  const page = await call('page', 'GET', '/', {});
  assert.equal(page.status, 200);
  const policy = page.headers['content-security-policy'];
  for (const part of ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    "require-trusted-types-for 'script'"]) assert.ok(policy.includes(part), policy);
  const again = await call('page', 'GET', '/', { 'If-None-Match': page.headers.etag });
  assert.equal(again.status, 304);
  assert.equal(again.headers['content-security-policy'], policy);
  for (const where of ['/assets/app.js', '/healthz', '/v1/me', '/nothing'])
    assert.equal((await call(where, 'GET', where, {})).headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'");
});
