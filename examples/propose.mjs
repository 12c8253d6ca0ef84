// The vendor's own client pointed at Countersign: npm install plaid (47 or later), Node 18 or later.
//   COUNTERSIGN_URL=http://127.0.0.1:8480 COUNTERSIGN_KEY=csa_... node examples/propose.mjs
import { Configuration, PlaidApi } from 'plaid';

const { COUNTERSIGN_URL: url, COUNTERSIGN_KEY: key } = process.env;
const plaid = new PlaidApi(new Configuration({
  basePath: `${url}/proxy/plaid-main`, // the connection's name, in place of Plaid's address
  baseOptions: { headers: { 'PLAID-CLIENT-ID': 'countersign', 'PLAID-SECRET': key, Prefer: 'wait=50' } },
}));

const { accounts } = (await plaid.accountsBalanceGet({})).data; // tier 0: comes back at once
console.log(accounts[0].name, accounts[0].balances.available);

const ask = () => plaid.transferAuthorizationCreate({ account_id: accounts[0].account_id, type: 'credit', network: 'ach',
  ach_class: 'ppd', amount: '500.00', user: { legal_name: 'Anne Charleston' } }); // tier 2: one approver
for (let answer; !answer;) { // the identical call joins; once people have decided it has Plaid's answer
  answer = await ask().catch((error) => {
    const { error_code: code, error_message: text } = error.response?.data ?? {};
    if (code !== 'APPROVAL_PENDING') throw new Error(`${code ?? 'not answered'}: ${text ?? error.message}`);
    console.log(code, error.response.headers['countersign-action']);
  });
  if (answer) console.log(answer.data.authorization.decision, answer.data.authorization.id);
}
