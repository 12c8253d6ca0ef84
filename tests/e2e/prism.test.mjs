// Plaid's own specification, served by Prism, behind Countersign: the official client's requests are
// well-formed after Countersign has put the credentials in, and its answers come back unharmed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Configuration, PlaidApi } from 'plaid';
import { ACCOUNT, PROVIDER, ROOT, SHARED, expect, freePort, startServer, until } from './harness.mjs';

const SPEC = path.join(SHARED, 'specs', 'plaid-2020-09-14.yml');
const PRISM = path.join(ROOT, 'node_modules', '.bin', 'prism');
const skip = !fs.existsSync(SPEC) ? `there is no ${SPEC}` : !fs.existsSync(PRISM) && 'prism is not installed (npm install)';

let s;
let prism;
let plaid;
let people;
before(async () => {
  if (skip) return;
  const port = await freePort();
  prism = spawn(process.execPath, [fs.realpathSync(PRISM), 'mock', '-h', '127.0.0.1', '-p', String(port), SPEC], { stdio: ['ignore', 'pipe', 'pipe'] });
  prism.ended = new Promise((resolve) => prism.once('exit', resolve));
  let said = '';
  for (const stream of [prism.stdout, prism.stderr]) stream.setEncoding('utf8').on('data', (d) => { said = (said + d).slice(-20_000); });
  s = await startServer();
  await s.addConnection('plaid-prism', 'plaid', `http://127.0.0.1:${port}`, PROVIDER);
  const { key } = await s.addAgent('prism-bot', { connections: ['plaid-prism'] });
  s.prismAgent = s.asAgent(key);
  plaid = new PlaidApi(new Configuration({ basePath: `${s.url}/proxy/plaid-prism`,
    baseOptions: { headers: { 'PLAID-CLIENT-ID': 'countersign', 'PLAID-SECRET': key } } }));
  people = [await s.login('alice'), await s.login('bob')];
  await until(() => /is listening/.test(said), () => `prism: ${said}`, 120_000);
});
after(async () => {
  if (prism) {
    process.kill(prism.pid, 'SIGTERM');
    await prism.ended;
  }
  await s?.stop();
});

const access_token = 'access-agent-made';
const user = { legal_name: 'Anne Charleston' };
const CALLS = {
  accountsBalanceGet: [0, { access_token }, (d) => d.accounts.length > 0],
  transactionsSync: [0, { access_token, count: 5 }, (d) => typeof d.next_cursor === 'string'],
  itemGet: [0, { access_token }, (d) => typeof d.item.item_id === 'string'],
  transferGet: [0, { transfer_id: '460cbe92-2dcc-8eae-5ad6-b37d0ec90fd9' }, (d) => typeof d.transfer.id === 'string'],
  identityGet: [1, { access_token }, (d) => d.accounts[0].owners.length > 0],
  authGet: [1, { access_token }, (d) => d.numbers.ach.length > 0],
  linkTokenCreate: [1, { client_name: 'Countersign', language: 'en', country_codes: ['US'], user: { client_user_id: 'u-1' } }, (d) => typeof d.link_token === 'string'],
  transferAuthorizationCreate: [2, { access_token, account_id: ACCOUNT, type: 'credit', network: 'ach', ach_class: 'ppd', amount: '12.34', user },
    (d) => typeof d.authorization.decision === 'string'],
  transferCancel: [2, { transfer_id: '123004561' }, (d) => typeof d.request_id === 'string'],
  // Another authorization than the example above, which was made in 2020 and so is long past its hour.
  transferCreate: [3, { access_token, account_id: ACCOUNT, authorization_id: '3e5a1f04-9f5c-4d5c-8a52-0f3a1f9b7d11', description: 'payment' },
    (d) => typeof d.transfer.id === 'string'],
};

for (const [name, [tier, body, holds]] of Object.entries(CALLS)) {
  test(`${name}: tier ${tier}${tier > 1 ? ', approved' : ''}, 200 by the specification`, { skip }, async () => {
    if (tier > 1) {
      const error = await plaid[name](body).then(() => assert.fail('it should be held'), (e) => e);
      assert.equal(error.response?.data?.error_code, 'APPROVAL_PENDING', error.stack);
      const id = error.response.headers['countersign-action'];
      const held = expect(await s.prismAgent.get(`/v1/actions/${id}`), 200).body;
      assert.equal(held.tier, tier);
      for (const person of people.slice(0, tier - 1)) expect(await person.vote(held, 'approve'), 200);
      await s.settled(id, (a) => a.ended_at !== null, s.prismAgent);
    }
    const { status, data, headers } = await plaid[name](body).catch((e) => assert.fail(`${e.response?.status} ${JSON.stringify(e.response?.data)}`));
    assert.equal(status, 200);
    assert.ok(holds(data), JSON.stringify(data).slice(0, 500));
    const a = expect(await s.prismAgent.get(`/v1/actions/${headers['countersign-action']}`), 200).body;
    assert.ok(['succeeded', 'declined'].includes(a.status), a.status);
    assert.equal(a.tier, tier);
    assert.equal(a.executed_payload_hash, a.payload_hash);
  });
}
