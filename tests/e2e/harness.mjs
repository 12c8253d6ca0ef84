// A whole Countersign for a test file: a sandbox SaaS, a fresh folder made by `countersign init`,
// people, connections and an agent made by the command line, `serve`, and clients of it that know only
// the HTTP API. Nothing is mocked. Refuses to end quietly: stop() fails the test when a process was
// left over, ended badly, or when a sanitizer has complained.
//   CS_BIN        folder of the programs (default build/test)
//   CS_TEST_KEEP  keeps the scratch folders and prints where they are
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
export const BIN = path.resolve(ROOT, process.env.CS_BIN ?? 'build/test');
export const SHARED = path.resolve(ROOT, process.env.CS_SHARED ?? '../shared');
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export { sleep };

const READY_MS = 60_000; // patience, not a measurement: a sanitized build on a busy machine
const COMPLAINTS = /ERROR: (Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:|CS_ASSERT|assertion failed/i;

// --- small tools ------------------------------------------------------------------------------------

// Until look() gives something true; `what` is said when it never does.
export async function until(look, what, ms = READY_MS) {
  for (const end = Date.now() + ms; ;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${typeof what === 'function' ? what() : what}`);
    await sleep(15);
  }
}

// A port that is free now and that no outgoing connection of this machine will be given meanwhile.
export async function freePort() {
  for (;;) {
    const port = crypto.randomInt(11_000, 32_000);
    const server = net.createServer();
    const free = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

function parsed(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

// One request over a connection of its own: {status, headers, text, body, problem}. `body` is the JSON
// where it is JSON, else the text; `problem` is the code after urn:countersign: of a problem document.
export function request(url, method, target, { headers = {}, body, signal, agent = false } = {}) {
  const { hostname, port } = new URL(url);
  const bytes = body === undefined ? undefined
    : Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const sent = { ...headers };
  const has = (name) => Object.keys(sent).some((k) => k.toLowerCase() === name);
  if (bytes && !has('content-type')) sent['Content-Type'] = 'application/json';
  if (bytes && !has('content-length') && !has('transfer-encoding')) sent['Content-Length'] = bytes.length;
  for (const name of Object.keys(sent)) if (sent[name] === undefined || sent[name] === null) delete sent[name];
  return new Promise((resolve, reject) => {
    const req = http.request({ host: hostname, port, method, path: target, headers: sent, agent, signal });
    req.on('error', reject);
    req.on('response', (res) => {
      const parts = [];
      res.on('data', (d) => parts.push(d));
      res.on('error', reject);
      res.on('end', () => resolve(answerOf(res, Buffer.concat(parts))));
    });
    req.end(bytes);
  });
}

function answerOf(res, bytes) {
  const text = bytes.toString('utf8');
  const json = parsed(text);
  const isProblem = String(res.headers['content-type']).startsWith('application/problem+json');
  const type = isProblem ? json?.type : undefined;
  return { status: res.statusCode, headers: res.headers, raw: res.rawHeaders, bytes, text, body: json ?? text,
    problem: typeof type === 'string' ? type.replace(/^urn:countersign:/, '') : undefined };
}

// Client methods over fixed headers.
function client(url, fixed) {
  const call = (method) => (target, body, headers = {}) =>
    request(url, method, target, { body, headers: { ...fixed, ...headers } });
  const bodiless = (method) => (target, headers = {}) =>
    request(url, method, target, { headers: { ...fixed, ...headers } });
  return { headers: fixed, get: bodiless('GET'), post: call('POST'), put: call('PUT'), patch: call('PATCH'),
    delete: (target, headers = {}, body = undefined) =>
      request(url, 'DELETE', target, { body, headers: { ...fixed, ...headers } }) };
}

// A check with a message that shows the whole answer.
export function expect(answer, status, problem) {
  assert.equal(answer.status, status, `${answer.status} instead of ${status}: ${answer.text.slice(0, 2000)}`);
  if (problem !== undefined) assert.equal(answer.problem, problem, answer.text.slice(0, 2000));
  return answer;
}

// --- processes --------------------------------------------------------------------------------------

function alive(pid) {
  try { process.kill(pid, 0); } catch (e) { return e.code === 'EPERM'; }
  try { return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8')); } catch { return false; }
}

export function childrenOf(pid) {
  const found = [];
  try {
    for (const task of fs.readdirSync(`/proc/${pid}/task`))
      found.push(...fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
  } catch { /* it is gone */ }
  return found.filter(alive);
}

// The part that a child of serve plays: "gate" or "keeper", its first argument.
const partOf = (pid) => {
  try { return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1]; } catch { return ''; }
};

function run(file, args, { stdin = '', env, cwd } = {}) {
  return new Promise((resolve) => {
    const child = execFile(file, args, { env, cwd, maxBuffer: 64 << 20, timeout: 120_000, killSignal: 'SIGKILL' }, (error, stdout, stderr) =>
      resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, signal: error?.signal ?? null, stdout, stderr }));
    child.stdin.on('error', () => {}); // it may not read all of it
    child.stdin.end(stdin);
  });
}

const started = new Set(); // pids of ours, ended when the test process ends in whatever way
process.on('exit', () => {
  for (const pid of started) try { process.kill(pid, 'SIGKILL'); } catch { /* gone */ }
});
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(1));

function launch(file, args, env) {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const p = { child, pid: child.pid, text: '', over: null };
  const keep = (d) => { p.text += d; };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  p.ended = new Promise((resolve) => {
    child.once('error', (e) => resolve((p.over = { code: null, signal: null, error: e })));
    child.once('close', (code, signal) => resolve((p.over = { code, signal })));
  });
  started.add(child.pid);
  p.ended.then(() => started.delete(child.pid));
  return p;
}

// --- the sandbox ------------------------------------------------------------------------------------

export const PROVIDER = { client_id: 'real-client-id', secret: 'real-plaid-secret', access_token: 'access-sandbox-real-item' };
export const ACCOUNT = 'BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp';

export async function startSandbox({ port = 0 } = {}) {
  const binary = ['sandbox', 'fakesaas'].map((n) => path.join(BIN, n)).find((f) => fs.statSync(f, { throwIfNoEntry: false })?.isFile());
  assert.ok(binary, `there is no sandbox in ${BIN}`);
  const p = launch(binary, ['--port', String(port), '--client-id', PROVIDER.client_id, '--secret', PROVIDER.secret,
    '--access-token', PROVIDER.access_token], process.env);
  const found = await until(() => p.over || /listening on (http:\S+)/.exec(p.text), 'the sandbox');
  assert.ok(found[1], `the sandbox ended: ${p.text}`);
  const url = found[1];
  const control = async (method, what, body) => expect(await request(url, method, `/_control/${what}`, { body }), 200).body;
  return {
    url, pid: p.pid, control,
    rule: (rule) => control('POST', 'rules', rule),
    rules: () => control('GET', 'rules'),
    clearRules: () => control('DELETE', 'rules'),
    effects: () => control('GET', 'effects'),
    effect: async (key) => (await control('GET', 'effects')).by_key[key] ?? 0,
    requests: (of = '') => control('GET', `requests${of ? `?path=${encodeURIComponent(of)}` : ''}`),
    transfers: () => control('GET', 'transfers'),
    clock: (offset_ms) => control('POST', 'clock', { offset_ms }),
    reset: () => control('POST', 'reset', {}),
    // Sends straight to the sandbox, past Countersign: as the end user on Plaid's hosted page does.
    direct: (method, target, options) => request(url, method, target, options),
    async stop() {
      if (p.over) return;
      process.kill(p.pid, 'SIGTERM');
      const end = await p.ended;
      assert.equal(end.code, 0, `the sandbox ended badly: ${p.text}`);
    },
  };
}

// --- Countersign ------------------------------------------------------------------------------------

const PASSWORD = (name) => `correct horse ${name} staple`;
const CAST = [
  { name: 'alice', role: 'approver', groups: ['finance'] },
  { name: 'bob', role: 'approver', groups: ['finance'] },
  { name: 'carol', role: 'approver', groups: [] },
  { name: 'admin', role: 'admin', groups: [] },
  { name: 'auditor', role: 'auditor', groups: [] },
];

// Options, all optional:
//   policy        text of policy.yaml
//   config        {key: value} put into countersign.yaml; a nested object is a section
//   resumeUrls    prefixes for `agent add --resume-url`
//   env           more environment for serve (COUNTERSIGN_CRASH=...)
//   empty         true: no people, connections, agent
//   sandbox       a running sandbox to use (it is then not stopped)
export async function startServer(options = {}) {
  const s = new Server(options);
  try {
    await s.begin();
  } catch (error) {
    await s.abandon();
    error.message += `\n--- log ---\n${s.log().slice(-4000)}`;
    throw error;
  }
  return s;
}

class Server {
  constructor(options) {
    this.options = options;
    this.scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-e2e-'));
    this.dir = path.join(this.scratch, 'c');
    this.configFile = path.join(this.dir, 'countersign.yaml');
    this.clockFile = path.join(this.scratch, 'clock');
    this.program = path.join(BIN, 'countersign');
    this.people = {};
    this.logs = [];
    this.sandbox = options.sandbox;
    fs.chmodSync(this.scratch, 0o755); // keeper reads the clock under another account
    this.clock(0);
  }

  async begin() {
    assert.ok(fs.existsSync(this.program), `${this.program} is not built`);
    this.sandbox ??= await startSandbox();
    const made = await this.cli(['init', this.dir], '', { config: false });
    assert.equal(made.code, 0, made.stderr + made.stdout);
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.set({ listen: `127.0.0.1:${this.port}`, public_url: this.url, ...this.options.config });
    if (this.options.policy) fs.writeFileSync(path.join(this.dir, 'policy.yaml'), this.options.policy);
    await this.serve();
    if (!this.options.empty) await this.populate();
  }

  // Puts settings into countersign.yaml; what init wrote commented out is switched on.
  set(settings) {
    let text = fs.readFileSync(this.configFile, 'utf8');
    for (const [key, value] of Object.entries(settings)) {
      const line = new RegExp(`^#?[ \\t]*${key}:.*$`, 'm');
      if (value !== null && typeof value === 'object') {
        const section = Object.entries(value).map(([k, v]) => `  ${k}: ${v}`).join('\n');
        text = text.replace(new RegExp(`^${key}:[^\\n]*\\n([ \\t]+[^\\n]*\\n)*`, 'm'), '');
        text = `${text.trimEnd()}\n${key}:\n${section}\n`;
      } else {
        text = line.test(text) ? text.replace(line, `${key}: ${value}`) : `${text.trimEnd()}\n${key}: ${value}\n`;
      }
    }
    fs.writeFileSync(this.configFile, text);
  }

  environment(more = {}) {
    return { ...process.env, COUNTERSIGN_TEST_CLOCK: this.clockFile, ...more };
  }

  async serve(env = this.options.env ?? {}) {
    this.parent = launch(this.program, ['serve', '-c', this.configFile], this.environment(env));
    this.logs.push(this.parent);
    await this.ready();
  }

  ready() {
    return until(async () => {
      if (this.parent.over) throw new Error(`serve ended (${JSON.stringify(this.parent.over)})`);
      const answer = await request(this.url, 'GET', '/readyz').catch(() => null);
      return answer?.status === 200;
    }, () => `/readyz; log: ${this.log().slice(-2000)}`);
  }

  async populate() {
    for (const { name, role, groups } of CAST) await this.addPerson(name, role, groups);
    await this.addConnection('plaid-main', 'plaid', this.sandbox.url, PROVIDER);
    await this.addConnection('crm-main', 'crm', `${this.sandbox.url}/crm`, { token: PROVIDER.secret });
    const agent = await this.addAgent('bot', { resumeUrls: this.options.resumeUrls });
    Object.assign(this, { agentKey: agent.key, agentId: agent.id, webhookSecret: agent.webhookSecret, agent: agent.client });
  }

  async addPerson(name, role, groups = []) {
    const person = { name, role, email: `${name}@example.com`, password: PASSWORD(name) };
    const { stdout } = await this.admin(['person', 'add', person.email, '--role', role,
      ...groups.flatMap((g) => ['--group', g]), '--password-stdin'], `${person.password}\n`);
    person.id = /apr_[0-9a-z]{26}/.exec(stdout)?.[0]; // else known from the first login on
    this.people[name] = person;
    return person;
  }

  addConnection(name, connector, base, secrets) {
    return this.admin(['connection', 'add', name, '--connector', connector, '--base-url', base, '--allow-private',
      '--secrets', '-'], JSON.stringify(secrets));
  }

  // An agent with its key and a client for it.
  async addAgent(name, { owner = 'admin', connections = ['plaid-main', 'crm-main'], resumeUrls = [], allowPrivate = true } = {}) {
    const { stdout, stderr } = await this.admin(['agent', 'add', name, '--owner', `${owner}@example.com`,
      ...connections.flatMap((c) => ['--connection', c]), ...resumeUrls.flatMap((u) => ['--resume-url', u]),
      ...(allowPrivate ? ['--allow-private'] : [])]);
    const key = /csa_[A-Za-z0-9_-]+/.exec(stdout)?.[0];
    assert.ok(key, `agent add printed no key: ${stdout}`);
    return { key, webhookSecret: /whsec_[A-Za-z0-9+/=_-]+/.exec(stdout + stderr)?.[0], client: this.asAgent(key),
      id: /agt_[0-9a-z]{26}/.exec(stdout + stderr)?.[0] };
  }

  asAgent(key) {
    const c = client(this.url, { Authorization: `Bearer ${key}` });
    return { ...c, key, propose: (body, headers) => c.post('/v1/actions', body, headers) };
  }

  // A person signed in: {cookie, csrf, id, get, post, delete, vote}.
  async login(who, { expectStatus = 200, ...more } = {}) {
    const name = who.replace(/@.*/, '');
    const password = this.people[name]?.password ?? PASSWORD(name);
    const email = who.includes('@') ? who : `${who}@example.com`;
    const answer = expect(await request(this.url, 'POST', '/v1/login', { body: { email, password, ...more } }), expectStatus);
    if (answer.status !== 200) return answer;
    const cookie = answer.headers['set-cookie'].map((c) => c.split(';')[0]).join('; ');
    if (this.people[name]) this.people[name].id = answer.body.person.id;
    const c = client(this.url, { Cookie: cookie, 'X-CSRF-Token': answer.body.csrf });
    return { ...c, cookie, csrf: answer.body.csrf, id: answer.body.person.id, email, answer,
      vote: (action, decision, more = {}) => c.post(`/v1/actions/${action.id}/votes`,
        { decision, revision: action.revision, binding: action.binding, ...more }) };
  }

  // A call as a vendor's client would make it; `target` begins with the connection's name.
  proxy(target, body, headers = {}, method = 'POST') {
    return request(this.url, method, `/proxy/${target}`, { body, headers: { Authorization: `Bearer ${this.agentKey}`, ...headers } });
  }

  request(method, target, options) {
    return request(this.url, method, target, options);
  }

  // Bytes over a bare connection; resolves to all that came back until the other side closed, or until
  // `enough` says so of what has come.
  raw(bytes, enough = () => false) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.port, '127.0.0.1');
      let got = '';
      const done = () => { socket.destroy(); resolve(got); };
      socket.setEncoding('latin1');
      socket.on('data', (d) => { got += d; if (enough(got)) done(); });
      socket.on('close', done);
      socket.on('error', (e) => (e.code === 'ECONNRESET' || e.code === 'EPIPE' ? done() : reject(e)));
      socket.write(bytes, 'latin1');
    });
  }

  // --- life of the processes ---

  get pids() {
    const parent = this.parent.pid;
    const children = childrenOf(parent);
    const playing = (part) => children.find((pid) => partOf(pid) === part);
    return { parent, gate: playing('gate'), keeper: playing('keeper'), all: [parent, ...children] };
  }

  kill(which, signal = 'SIGKILL') {
    const pid = this.pids[which];
    assert.ok(pid, `there is no ${which} to signal`);
    process.kill(pid, signal);
    return pid;
  }

  // Waits until everything of this serve is gone.
  async gone(pids) {
    await this.parent.ended;
    await until(() => pids.every((pid) => !alive(pid)), () => `the end of ${pids.filter(alive)}`);
  }

  async restart(env = {}, signal = 'SIGTERM') {
    const pids = this.pids.all;
    if (!this.parent.over) process.kill(this.parent.pid, signal);
    await this.gone(pids);
    await this.serve(env);
  }

  async stop({ killed = false } = {}) {
    try {
      if (this.parent && !this.parent.over) {
        const pids = this.pids.all;
        process.kill(this.parent.pid, 'SIGTERM');
        await this.gone(pids);
      }
      if (this.parent && !killed)
        assert.deepEqual([this.parent.over.code, this.parent.over.signal], [0, null], `serve ended badly: ${this.log().slice(-4000)}`);
      const complaint = COMPLAINTS.exec(this.log());
      assert.equal(complaint, null, complaint && this.log().slice(Math.max(0, complaint.index - 200), complaint.index + 6000));
    } finally {
      if (!this.options.sandbox) await this.sandbox?.stop();
      this.clear();
    }
  }

  async abandon() {
    for (const pid of this.parent ? this.pids.all : []) try { process.kill(pid, 'SIGKILL'); } catch { /* gone */ }
    if (!this.options.sandbox) await this.sandbox?.stop().catch(() => {});
    this.clear();
  }

  clear() {
    if (process.env.CS_TEST_KEEP) {
      fs.writeFileSync(path.join(this.scratch, 'log'), this.log());
      console.error(`kept ${this.scratch}`);
    } else {
      fs.rmSync(this.scratch, { recursive: true, force: true });
    }
  }

  log() {
    return this.logs.map((p) => p.text).join('');
  }

  // --- looking and moving ---

  clock(offsetMs) {
    fs.writeFileSync(`${this.clockFile}.new`, String(Math.round(offsetMs)));
    fs.chmodSync(`${this.clockFile}.new`, 0o644);
    fs.renameSync(`${this.clockFile}.new`, this.clockFile);
    this.offset = offsetMs;
  }

  now() {
    return Date.now() + this.offset;
  }

  get database() {
    const data = path.join(this.dir, 'data');
    const isDatabase = (f) => {
      const fd = fs.openSync(f, 'r');
      const head = Buffer.alloc(15);
      fs.readSync(fd, head, 0, 15, 0);
      fs.closeSync(fd);
      return head.toString() === 'SQLite format 3';
    };
    const found = fs.readdirSync(data).map((n) => path.join(data, n)).find((f) => fs.statSync(f).isFile() && isDatabase(f));
    assert.ok(found, `there is no database in ${data}`);
    return found;
  }

  // Runs SQL in another process; rows as objects. {write: true} for those who try to cheat.
  async sql(text, { write = false } = {}) {
    const r = await run('sqlite3', ['-batch', '-json', '-cmd', '.timeout 10000', ...(write ? [] : ['-readonly']), this.database], { stdin: text });
    assert.equal(r.code, 0, `sqlite3: ${r.stderr}`);
    return r.stdout.trim() ? JSON.parse(r.stdout) : [];
  }

  // How many rows each table has: to see that nothing was stored.
  async rows() {
    const tables = await this.sql("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'");
    const counts = await this.sql(tables.map(({ name }) => `SELECT '${name}' AS t, count(*) AS n FROM "${name}"`).join(' UNION ALL ') + ';');
    return Object.fromEntries(counts.map(({ t, n }) => [t, n]));
  }

  // Any sub-command; `-c FILE` is added unless {config: false}. {code, stdout, stderr}.
  cli(args, stdin = '', { config = true, env = {} } = {}) {
    return run(this.program, config ? [...args, '-c', this.configFile] : args, { stdin, env: this.environment(env), cwd: this.scratch });
  }

  async admin(args, stdin) {
    const r = await this.cli(args, stdin);
    assert.equal(r.code, 0, `countersign ${args.join(' ')}: ${r.code}\n${r.stderr}${r.stdout}`);
    return r;
  }

  // --- what many tests do ---

  // The action as its agent sees it, once `wanted` holds (a status, or a function of the action); fails
  // as soon as it has ended with another status.
  async settled(id, wanted, agent = this.agent) {
    const holds = typeof wanted === 'function' ? wanted : (a) => a.status === wanted;
    let last;
    await until(async () => {
      last = expect(await agent.get(`/v1/actions/${id}`), 200).body;
      if (typeof wanted === 'string' && last.ended_at !== null)
        assert.equal(last.status, wanted, `${id} has ended: ${JSON.stringify(last)}`);
      return holds(last);
    }, () => `${id} to be ${typeof wanted === 'function' ? 'as wanted' : wanted}; it is ${JSON.stringify(last)}`);
    return last;
  }

  // Every audit event so far, oldest first.
  async audit(query = '') {
    if (!this.reader || (await this.reader.get('/v1/me')).status !== 200) this.reader = await this.login('auditor');
    const all = [];
    for (let cursor = ''; ;) {
      const page = expect(await this.reader.get(`/v1/audit?limit=200${query}${cursor}`), 200).body;
      all.push(...page.items);
      if (page.next === null) return all.reverse();
      cursor = `&cursor=${encodeURIComponent(page.next)}`;
    }
  }
}

// --- payloads that many tests use -------------------------------------------------------------------

let serial = 0;
export const unique = (prefix = 'x') => `${prefix}-${process.pid}-${(serial += 1)}`;

// Tier 0, 1 and 2 of the crm connector, tier 1, 2 and 3 of Plaid's.
export const listContacts = () => ({ connection: 'crm-main', method: 'GET', path: '/contacts' });
export const addContact = (more = {}) => ({ connection: 'crm-main', method: 'POST', path: '/contacts',
  body: { name: 'Ann', email: `${unique('ann')}@example.com`, ...more } });
export const sendEmail = (to = `${unique('to')}@example.com`, more = {}) => ({ connection: 'crm-main', method: 'POST', path: '/emails',
  body: { to, subject: 'Hello', text: 'How are you?' }, ...more });
export const authorization = (amount = '500.00', legal_name = 'Anne Charleston') => ({ connection: 'plaid-main', method: 'POST',
  path: '/transfer/authorization/create',
  body: { account_id: ACCOUNT, type: 'credit', network: 'ach', ach_class: 'ppd', amount, user: { legal_name } } });
export const transfer = (authorization_id, description = 'Payment') => ({ connection: 'plaid-main', method: 'POST', path: '/transfer/create',
  body: { account_id: ACCOUNT, authorization_id, description } });

// --- a receiver of webhooks -------------------------------------------------------------------------

// Takes what is POSTed to it; `answers` are the statuses to give, the last one for ever.
export async function startReceiver(...answers) {
  const got = [];
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', (d) => parts.push(d));
    req.on('end', () => {
      const text = Buffer.concat(parts).toString();
      const status = answers.length > 1 ? answers.shift() : answers[0] ?? 204;
      got.push({ method: req.method, path: req.url, headers: req.headers, text, body: parsed(text), status });
      res.writeHead(status).end();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, got, answer: (...next) => answers.splice(0, answers.length, ...next),
    stop: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) };
}
