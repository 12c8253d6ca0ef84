// An agent that wants to pay $500, written as for Plaid itself: the official client, two lines of
// it pointed at Countersign. It holds no Plaid credentials, and no access_token: Countersign adds
// them to what people have approved.
//   COUNTERSIGN_URL=http://127.0.0.1:8480 COUNTERSIGN_KEY=csa_... node demo/agent.mjs
import { setTimeout as sleep } from 'node:timers/promises';
import { Configuration, PlaidApi } from 'plaid';

const { COUNTERSIGN_URL: url, COUNTERSIGN_KEY: key } = process.env;
const plaid = new PlaidApi(new Configuration({
  basePath: `${url}/proxy/plaid-main`,
  baseOptions: { headers: { 'PLAID-CLIENT-ID': 'countersign', 'PLAID-SECRET': key } },
}));

const say = (what, text) => console.log(`${what.padEnd(14)} ${text}`);
const money = (amount) => Number(amount).toLocaleString('en-US', { style: 'currency', currency: 'USD' });

// Makes the identical call until people have decided; the gateway sees that it is the same one.
async function decided(what, call) {
  for (let options = {}; ; options = { headers: { Prefer: 'wait=25' } }) {
    try {
      return (await call(options)).data;
    } catch (error) {
      const { data, headers } = error.response ?? {};
      if (data?.error_code !== 'APPROVAL_PENDING') throw error;
      if (options.headers) {
        await sleep(1000);
        continue;
      }
      say(what, `held: ${data.error_code}: ${data.error_message}`);
      say('', `${url}/#/actions/${headers['countersign-action']}`);
    }
  }
}

async function main() {
  const { accounts } = (await plaid.accountsBalanceGet({})).data;
  const [account] = accounts;
  say('balance', `${account.name} ...${account.mask} has ${money(account.balances.available)} (came back at once)`);

  const identity = (await plaid.identityGet({})).data;
  say('identity', `owned by ${identity.accounts[0].owners[0].names[0]} (came back at once; people are notified)`);

  const { authorization } = await decided('authorization', (options) => plaid.transferAuthorizationCreate({
    account_id: account.account_id, type: 'credit', network: 'ach', ach_class: 'ppd', amount: '500.00',
    user: { legal_name: 'Anne Charleston' },
  }, options));
  say('authorization', `Plaid answers: ${authorization.decision}, ${authorization.id}`);
  if (authorization.decision !== 'approved') throw new Error(`Plaid's decision is ${authorization.decision}`);

  const { transfer } = await decided('transfer', (options) => plaid.transferCreate({
    account_id: account.account_id, authorization_id: authorization.id, amount: '500.00', description: 'Invoice 22',
  }, options));
  say('transfer', `Plaid answers: ${transfer.status}, ${money(transfer.amount)} to ${transfer.user.legal_name}, ${transfer.id}`);
}

main().catch((error) => {
  const refusal = error.response?.data;
  say('ended', refusal?.error_code ? `${refusal.error_code}: ${refusal.error_message}` : error.message);
  process.exitCode = /^(APPROVAL_|POLICY_DENIED)/.test(refusal?.error_code) ? 3 : 1; // 3: people or the policy said no
});
