// `make demo`: the main job from end to end in a scratch folder. Starts a make-believe Plaid and
// Countersign, makes people, a connection and an agent, and lets the agent ask for money.
// --auto plays the people's part too, checks what came of it, and exits 0 or 1.
import { randomInt } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Person } from './people.mjs';
import { endAll, firstLine, killAll, run, start } from './processes.mjs';
import { bold, box, dim, green, line, red, step, table, title } from './screen.mjs';

const USAGE = 'usage: node demo/demo.mjs [--port N] [--auto] [--bin-dir DIR]';
const READY_MS = 20_000;
const HERE = dirname(fileURLToPath(import.meta.url));

function readOptions() {
  try {
    const { values } = parseArgs({ options: {
      port: { type: 'string', default: '8480' },
      auto: { type: 'boolean', default: false },
      'bin-dir': { type: 'string', default: join(HERE, '..', 'build', 'release') },
      help: { type: 'boolean', default: false } } });
    if (!/^\d{1,5}$/.test(values.port) || Number(values.port) < 1 || Number(values.port) > 65535)
      throw new Error('--port wants a number from 1 to 65535');
    return values;
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

const options = readOptions();
if (options.help) {
  console.log(USAGE);
  process.exit(0);
}
const url = `http://127.0.0.1:${options.port}`;
const countersign = join(options['bin-dir'], 'countersign');
const sandbox = join(options['bin-dir'], 'sandbox');
const scratch = mkdtempSync(join(tmpdir(), 'countersign-demo-'));
const config = join(scratch, 'countersign', 'countersign.yaml');
let server;

// Readable aloud, 60 bits.
function password() {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789';
  const part = () => Array.from({ length: 4 }, () => letters[randomInt(letters.length)]).join('');
  return `${part()}-${part()}-${part()}`;
}

const people = [
  { email: 'ada@example.com', role: 'approver', group: 'finance' },
  { email: 'ben@example.com', role: 'approver', group: 'finance' },
  { email: 'olga@example.com', role: 'admin' },
  { email: 'ivy@example.com', role: 'auditor' },
].map((person) => ({ ...person, password: password() }));
const provider = { client_id: 'demo-client', secret: password(), access_token: `access-sandbox-${password()}` };

function checkInstalled() {
  for (const file of [countersign, sandbox])
    if (!existsSync(file)) throw new Error(`${file} is not built yet: run make build`);
  try {
    createRequire(import.meta.url).resolve('plaid');
  } catch {
    throw new Error('the official plaid client is not installed yet: run npm install');
  }
}

async function startSandbox() {
  const args = ['--port', '0', '--client-id', provider.client_id, '--secret', provider.secret,
    '--access-token', provider.access_token];
  const { found } = await firstLine('the sandbox', sandbox, args, /listening on (http:\S+)/);
  step('Sandbox', `a make-believe Plaid at ${found[1]}`);
  return found[1];
}

// init writes a configuration that works; only its address may have to change.
function setAddress() {
  let text = readFileSync(config, 'utf8');
  const set = (key, value) => {
    const setting = new RegExp(`^#?\\s*${key}:.*$`, 'm');
    text = setting.test(text) ? text.replace(setting, `${key}: ${value}`) : `${text}\n${key}: ${value}\n`;
  };
  set('listen', `127.0.0.1:${options.port}`);
  set('public_url', url);
  writeFileSync(config, text);
}

async function ready() {
  for (const until = Date.now() + READY_MS; Date.now() < until && !server.over; await sleep(100)) {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1000) }).catch(() => null);
    if (answer?.ok && !server.over) return;
  }
  throw new Error(server.over ? 'Countersign ended while starting'
    : `Countersign was not ready within ${READY_MS / 1000} s`);
}

async function startCountersign() {
  await run('countersign init', countersign, ['init', dirname(config)]);
  setAddress();
  server = start('countersign serve', countersign, ['serve', '-c', config]);
  await ready();
  server.ended.then(({ code, signal }) =>
    finish(new Error(`Countersign ended by itself (${signal ?? `exit ${code}`})`)), finish);
  step('Countersign', `${url}, SQLite in ${scratch}`);
}

function admin(args, input) {
  return run(`countersign ${args.slice(0, 2).join(' ')}`, countersign, [...args, '-c', config], { input });
}

async function makePeople() {
  for (const { email, role, group, password: secret } of people)
    await admin(['person', 'add', email, '--role', role, ...(group ? ['--group', group] : []), '--password-stdin'],
      `${secret}\n`);
  step('People', 'two approvers, an admin, an auditor');
}

async function makeConnection(base) {
  await admin(['connection', 'add', 'plaid-main', '--connector', 'plaid', '--base-url', base, '--allow-private',
    '--secrets', '-'], JSON.stringify(provider));
  step('Connection', 'plaid-main; its secrets are with Countersign, not with the agent');
}

// The owner may not approve what the agent asks for, so it is the admin.
async function makeAgent() {
  const printed = await admin(['agent', 'add', 'treasury-bot', '--owner', 'olga@example.com', '--connection', 'plaid-main']);
  const key = printed.match(/csa_\S+/)?.[0];
  if (!key) throw new Error(`countersign agent add printed no key: ${printed}`);
  step('Agent', 'treasury-bot, owned by olga@example.com, with a key of its own');
  return key;
}

function showPeople() {
  box([
    `Open  ${url}`,
    '',
    ...people.map((p) => `${p.role.padEnd(9)} ${p.email.padEnd(17)} ${p.password}`),
    '',
    'The authorization needs one approver, the transfer both:',
    options.auto ? 'here this script signs in as them.' : 'sign in as ada, and as ben in a private window.',
  ]);
}

function startAgent(key) {
  step('The agent', `runs demo/agent.mjs: the official plaid client, pointed at ${url}/proxy/plaid-main`);
  return start('the agent', process.execPath, [join(HERE, 'agent.mjs')], {
    env: { COUNTERSIGN_URL: url, COUNTERSIGN_KEY: key }, onLine: (text) => line(text) });
}

// Votes as ada and ben for as long as the agent runs.
async function playPeople(agent) {
  const approvers = people.filter((p) => p.role === 'approver').map((p) => new Person(url, p));
  for (const person of approvers) await person.signIn();
  while (!agent.over) {
    for (const person of approvers)
      for (const action of await person.approveAll())
        line(green(`${person.name.padEnd(14)} approves ${action.operation} (tier ${action.tier}), ` +
          `revision ${action.revision}, ${action.payload_hash.slice(0, 19)}...`));
    await sleep(100);
  }
}

// What the provider, not Countersign, says has happened.
async function checkTransfers(base, agent, expected) {
  const transfers = await (await fetch(`${base}/_control/transfers`)).json();
  if (transfers.length !== expected) throw new Error(`the sandbox has ${transfers.length} transfers, not ${expected}`);
  if (expected && !agent.tail.some((text) => text.includes(transfers[0].id)))
    throw new Error('the agent was not told of the transfer that the sandbox has');
  step('Checked', `the sandbox has ${expected ? 'exactly one transfer' : 'no transfer'}`);
}

function checkAudit(events) {
  const ended = events.find((e) => e.type === 'action.ended' && e.operation === 'transfer.create');
  if (ended?.outcome !== 'success') throw new Error('the audit log does not say that the transfer succeeded');
  if (!ended.payload_hash || ended.payload_hash !== ended.executed_payload_hash)
    throw new Error('the audit log does not say that what was sent is what was approved');
  const votes = events.filter((e) => e.type === 'vote.cast' && e.action_id === ended.action_id);
  const voters = new Set(votes.flatMap((e) => e.approver_ids ?? e.approver_id));
  if (voters.size < 2) throw new Error('the audit log does not show two people approving the transfer');
}

async function showAudit() {
  const auditor = new Person(url, people.find((p) => p.role === 'auditor'));
  await auditor.signIn();
  const events = await auditor.audit();
  step('Audit log', `${events.length} events, as the auditor sees them:`);
  table([
    ['seq', (e) => e.seq],
    ['time', (e) => e.timestamp.slice(11, 23)],
    ['event', (e) => e.type],
    ['operation', (e) => e.operation],
    ['tier', (e) => (e.operation ? e.risk_tier : '')],
    ['approvers', (e) => e.approver_ids?.length || ''],
    ['outcome', (e) => e.outcome],
    ['payload', (e) => e.payload_hash?.slice(7, 15)],
  ], events);
  checkAudit(events);
}

async function main() {
  title('Countersign: an agent asks, people decide');
  checkInstalled();
  const base = await startSandbox();
  await startCountersign();
  await makePeople();
  await makeConnection(base);
  const agent_key = await makeAgent();
  showPeople();
  const agent = startAgent(agent_key);
  if (options.auto) await playPeople(agent);
  const { code } = await agent.ended;
  if (code !== 0 && (options.auto || code !== 3)) throw new Error('the agent did not get its transfer');
  if (code === 3) line('People said no, so nothing was sent.');
  await checkTransfers(base, agent, code === 0 ? 1 : 0);
  if (options.auto) {
    await showAudit();
    return;
  }
  line(`Sign in as ivy to read the audit log at ${url}. Ctrl-C ends the demo.`);
  await new Promise(() => {});
}

function explain(error) {
  console.error(`\n${red('The demo failed:')} ${error.message}`);
  const indented = (lines) => lines.map((text) => `    ${text}`).join('\n');
  if (error.tail?.length) console.error(indented(error.tail));
  if (server?.tail.length) console.error(`\n${bold("The end of Countersign's log:")}\n${dim(indented(server.tail))}`);
}

// The one way out: once, with everything ended and cleared away.
let finishing = false;
async function finish(error, code = error ? 1 : 0) {
  if (finishing) return;
  finishing = true;
  if (error) explain(error);
  await endAll();
  process.exit(code);
}

process.on('exit', () => {
  killAll();
  rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    console.log('\n    Ending...');
    finish(null, options.auto ? 1 : 0);
  });
process.on('uncaughtException', finish);
process.on('unhandledRejection', finish);

main().then(() => finish(), finish);
