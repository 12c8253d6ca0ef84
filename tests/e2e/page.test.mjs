// The page as people use it: a real Chromium signs in, reads a held action, approves as two people in
// two windows and sees it succeed; rejects; lets one expire. With the keyboard alone, on a telephone,
// kept fresh by events, read out by a screen reader.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MINUTE, addContact, authorization, expect, sendEmail, startServer, transfer, unique, until } from './harness.mjs';
import { NARROW, WIDE, startBrowser } from './more.mjs';

let s;
let browser;
let alice; // windows
let bob;
let person; // alice over HTTP, for what is not to be tried here
before(async () => {
  s = await startServer();
  person = await s.login('alice');
  browser = await startBrowser(s.url);
  alice = await browser.open();
  bob = await browser.open();
});
after(async () => {
  await browser?.stop();
  await s?.stop();
});

const held = async (body) => expect(await s.agent.propose(body), 202).body;

// A transfer that waits for two people: its authorization has been approved and made.
async function heldTransfer(amount = '500.00') {
  const first = await held({ ...authorization(amount), idempotency_key: unique('auth') });
  expect(await person.vote(first, 'approve'), 200);
  const { result } = await s.settled(first.id, 'succeeded');
  const id = result.body.authorization.id;
  return { ...await held(transfer(id)), effect: `transfer:${id}` };
}

test('a wrong password is refused in words, the right one leads to the page that was asked for', async () => {
  const a = await held(sendEmail());
  await alice.page.goto(`${s.url}/#/actions/${a.id}`);
  await alice.page.fill('#email', s.people.alice.email);
  await alice.page.fill('#password', 'wrong horse');
  await alice.page.keyboard.press('Enter');
  await alice.page.waitForSelector('.problem');
  assert.equal(await alice.page.inputValue('#password'), '', 'the password is not left standing');
  await alice.page.fill('#password', s.people.alice.password);
  await alice.page.keyboard.press('Enter');
  await alice.page.waitForSelector('.decision');
  assert.equal(await alice.page.evaluate(() => location.hash), `#/actions/${a.id}`);
  await bob.signIn(s.people.bob);
});

test('two people in two windows approve a transfer; both see it succeed', async () => {
  const a = await heldTransfer();
  for (const who of [alice, bob]) {
    await who.read(a);
    assert.match(await who.text('h1'), /^transfer\.create$/);
    assert.match(await who.text('.summary'), /Tier 3: two approvers/);
    assert.match(await who.text('.columns'), /moves money/);
  }
  await alice.button('Approve…').click();
  assert.match(await alice.text('.step'), /Approve this\?/);
  assert.equal(expect(await s.agent.get(`/v1/actions/${a.id}`), 200).body.approvals.given, 0, 'one press approves nothing at tier 3');
  await alice.button('Yes, approve exactly this').click();
  await alice.says('.votes', /Approved by alice@example\.com/);
  assert.equal(await s.sandbox.effect(a.effect), 0, 'one of two is not enough');
  await bob.says('.votes', /Approved by alice@example\.com/); // without a reload
  await bob.button('Approve…').click();
  await bob.button('Yes, approve exactly this').click();
  for (const who of [alice, bob]) {
    await who.says('aside', /^Succeeded$/);
    assert.match(await who.text('.timeline'), /bob@example\.com/);
  }
  const done = await s.settled(a.id, 'succeeded');
  assert.equal(await s.sandbox.effect(a.effect), 1);
  assert.match(await bob.page.locator('.payload').first().evaluate((d) => { d.open = true; return d.innerText; }), /the same/);
  assert.equal(done.executed_payload_hash, a.payload_hash);
});

test('a rejection needs a reason, ends the action, and the agent is told', async () => {
  const a = await held(sendEmail());
  await alice.read(a);
  await alice.button('Reject…').click();
  await alice.page.locator('.step').getByRole('button', { name: 'Reject', exact: true }).click();
  assert.match(await alice.text('.step'), /A reason is needed/);
  await alice.page.fill('#reject-reason', 'We do not write to strangers');
  await alice.page.locator('.step').getByRole('button', { name: 'Reject', exact: true }).click();
  await alice.says('aside', /^Rejected$/);
  const ended = await s.settled(a.id, 'rejected');
  assert.deepEqual([ended.rejection.reason, ended.outcome], ['We do not write to strangers', 'rejected_by_human']);
  assert.equal((await s.sandbox.requests('/crm/emails')).filter((r) => r.body.includes(a.id)).length, 0);
});

test('two people decide at once: the later one is told who was first', async () => {
  const a = await held(sendEmail());
  await alice.read(a);
  await alice.context.setOffline(true); // alice's window does not hear of it
  expect(await (await s.login('bob')).vote(a, 'reject', { reason: 'no' }), 200);
  await alice.context.setOffline(false);
  if (await alice.button('Approve').count()) await alice.button('Approve').click();
  await alice.says('aside', /^Rejected$/);
  assert.match(await alice.text('aside'), /bob@example\.com/);
});

test('an approver may not approve for her own agent, and the page says why', async () => {
  const { client } = await s.addAgent(unique('hers'), { owner: 'alice' });
  const a = expect(await client.propose(sendEmail()), 202).body;
  await alice.read(a);
  assert.match(await alice.text('.decision'), /you own the agent/i);
  assert.equal(await alice.button('Approve').getAttribute('aria-disabled'), 'true');
  await alice.button('Approve').click({ force: true });
  await bob.read(a);
  await bob.button('Approve').click();
  await bob.says('aside', /^Succeeded$/);
  assert.equal((await s.audit(`&action=${a.id}&type=vote.cast`)).length, 1);
});

test('a new action appears in an inbox that is open, and the title counts it', async () => {
  await bob.go('#/');
  await bob.page.waitForSelector('.rows, .empty');
  const a = await held(sendEmail());
  await bob.page.waitForSelector(`[data-row][href="#/actions/${a.id}"]`);
  await bob.page.waitForFunction(() => /^\(\d+\) Inbox/.test(document.title));
  expect(await person.vote(a, 'reject', { reason: 'only a test' }), 200);
  await bob.page.waitForSelector(`[data-row][href="#/actions/${a.id}"]`, { state: 'detached' });
});

test('after a restart of gate the page finds back by itself', async () => {
  await bob.go('#/');
  const old = s.kill('gate');
  await until(() => s.pids.gate && s.pids.gate !== old, 'another gate');
  await s.ready();
  const a = await held(sendEmail());
  await bob.page.waitForSelector(`[data-row][href="#/actions/${a.id}"]`);
  await bob.page.waitForFunction(() => document.querySelector('.offline').innerText === '');
});

test('tier 1 stands among the notices until somebody has seen it', async () => {
  const a = (await s.agent.propose(addContact())).body;
  await s.settled(a.id, 'succeeded');
  await alice.go('#/notices');
  const row = alice.page.locator('tr', { has: alice.page.locator(`a[href="#/actions/${a.id}"]`) });
  assert.match(await row.innerText(), /bot[\s\S]*contacts\.create[\s\S]*Success[\s\S]*Not seen/);
  await row.getByRole('button', { name: /Mark as seen/ }).click();
  await alice.page.waitForFunction((id) => /Seen by you/.test(document.querySelector(`a[href="#/actions/${id}"]`).closest('tr').innerText), a.id);
  await bob.go('#/notices');
  assert.match(await bob.page.locator('tr', { has: bob.page.locator(`a[href="#/actions/${a.id}"]`) }).innerText(), /Seen by alice@example\.com/);
});

test('history: the server searches, the search stands in the address', async () => {
  const a = await held(sendEmail());
  expect(await person.vote(a, 'reject', { reason: 'only a test' }), 200);
  await alice.go('#/history');
  await alice.page.fill('#q', a.id);
  await alice.page.keyboard.press('Enter');
  await alice.says('main', /^1 action found/);
  assert.match(alice.page.url(), new RegExp(`q=${a.id}`));
  assert.equal(await alice.page.locator('[data-row]').getAttribute('href'), `#/actions/${a.id}`);
  await alice.page.fill('#q', 'nothing-is-called-so');
  await alice.page.keyboard.press('Enter');
  await alice.says('main', /^0 actions found/);
});

test('freeze from the page: nothing is sent until it is released', async () => {
  const body = sendEmail();
  const a = await held(body);
  await alice.go('#/');
  await alice.button('Freeze…').click();
  await alice.page.fill('#freeze-reason', 'something is odd');
  await alice.page.getByRole('dialog').getByRole('button', { name: 'Freeze', exact: true }).click();
  await alice.says('.freezes', /Frozen: everything/);
  expect(await person.vote(a, 'approve'), 200);
  assert.equal((await s.settled(a.id, 'approved')).status, 'approved');
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 0);
  await alice.button('Release…').click();
  await alice.button('Yes, release').click();
  await s.settled(a.id, 'succeeded');
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
  await alice.page.waitForFunction(() => !document.querySelector('.freezes'));
});

test('an unknown outcome is settled by a person on the page', async () => {
  await s.sandbox.rule({ path: '/crm/emails', mode: 'drop_after' });
  const a = await held(sendEmail());
  expect(await person.vote(a, 'approve'), 200);
  await s.settled(a.id, 'unknown');
  await alice.go('#/?show=all');
  await alice.says('main', /Needs a person/);
  await alice.read(a);
  await alice.page.getByLabel('took effect (succeeded)').check();
  await alice.page.fill('#evidence', 'the mail is in the outbox');
  await alice.button('Record the outcome').click();
  await alice.says('aside', /^Succeeded$/);
  await s.settled(a.id, 'succeeded');
});

test('with the keyboard alone: sign in, find, read, approve', async () => {
  const body = sendEmail();
  const a = await held(body);
  const carol = await browser.open();
  const keys = carol.page.keyboard;
  await carol.page.goto(`${s.url}/`);
  await carol.page.waitForSelector('#email');
  await carol.tabTo('email');
  await keys.type(s.people.carol.email);
  await keys.press('Tab');
  await keys.type(s.people.carol.password);
  await keys.press('Enter');
  await carol.page.waitForSelector(`[data-row][href="#/actions/${a.id}"]`);
  for (let i = 0; i < 50; i++) {
    await keys.press('j');
    if (await carol.page.evaluate(() => document.activeElement.getAttribute('href')) === `#/actions/${a.id}`) break;
  }
  await keys.press('Enter');
  await carol.page.waitForSelector('.decision');
  assert.equal(await carol.page.evaluate(() => document.activeElement.tagName), 'H1', 'reading begins at the heading');
  await carol.says('.decision', /Approve/);
  await carol.tabTo('Approve');
  await keys.press('Enter');
  await carol.says('aside', /^Succeeded$/);
  assert.equal(await s.sandbox.effect(`email:${body.body.to}`), 1);
  await keys.press('u');
  await carol.page.waitForFunction(() => document.querySelector('h1').innerText === 'Inbox');
  await carol.tabTo('Sign out');
  await keys.press('Enter');
  await carol.page.waitForSelector('#email');
});

test('no single key, held down or not, decides anything', async () => {
  const a = await heldTransfer();
  await alice.read(a);
  await alice.button('Approve…').focus();
  for (let i = 0; i < 8; i++) await alice.page.keyboard.press('Enter');
  for (const key of 'aryAYjk') await alice.page.keyboard.press(key);
  assert.equal(expect(await s.agent.get(`/v1/actions/${a.id}`), 200).body.approvals.given, 0);
});

test('an ended session leads to sign-in and back to the same place', async () => {
  const a = await held(sendEmail());
  await bob.read(a);
  const cookie = (await bob.context.cookies()).map((c) => `${c.name}=${c.value}`).join('; ');
  const me = expect(await s.request('GET', '/v1/me', { headers: { Cookie: cookie } }), 200).body;
  expect(await s.request('POST', '/v1/logout', { headers: { Cookie: cookie, 'X-CSRF-Token': me.csrf }, body: {} }), 200);
  await bob.button('Approve').click();
  await bob.page.waitForSelector('#email');
  await bob.says('main', /Your session ended/);
  assert.equal(await bob.page.locator('header.top').count(), 0);
  await bob.page.fill('#email', s.people.bob.email);
  await bob.page.fill('#password', s.people.bob.password);
  await bob.page.keyboard.press('Enter');
  await bob.page.waitForSelector('.decision');
  assert.equal(await bob.page.evaluate(() => location.hash), `#/actions/${a.id}`);
  assert.equal(expect(await s.agent.get(`/v1/actions/${a.id}`), 200).body.status, 'pending', 'the vote without a session is none');
});

test('on a telephone nothing runs out of sight, in light and in dark; a screen reader finds no fault', async () => {
  const a = await heldTransfer('1234567.89'.slice(-8));
  const done = (await s.agent.propose(addContact())).body;
  await s.settled(done.id, 'succeeded');
  const places = ['#/', '#/?show=all', `#/actions/${a.id}`, `#/actions/${done.id}`, '#/history', '#/notices', '#/there-is-no-such-page'];
  for (const [viewport, colorScheme] of [[WIDE, 'light'], [NARROW, 'dark'], [WIDE, 'dark'], [NARROW, 'light']]) {
    const window = await browser.open({ viewport, colorScheme });
    const what = (place) => `${place} ${viewport.width} ${colorScheme}`;
    await window.page.goto(s.url);
    await window.page.waitForSelector('#email');
    await window.accessible(what('sign-in'));
    await window.signIn(s.people.alice);
    for (const place of places) {
      await window.go(place);
      assert.ok(await window.sideways() <= 0, `${what(place)} scrolls sideways by ${await window.sideways()}`);
      await window.accessible(what(place));
    }
    await window.read(a);
    await window.button('Approve…').click();
    assert.ok(await window.sideways() <= 0);
    await window.accessible(what('confirm'));
    await window.button('Go back').click();
    await window.button('Freeze…').click();
    await window.accessible(what('freeze'));
    await window.page.keyboard.press('Escape');
    await window.context.close();
  }
});

test('one that nobody decides expires under the reader\'s eyes, and cannot be approved after that', async () => {
  const a = await heldTransfer();
  await alice.read(a);
  s.clock(s.offset + 56 * MINUTE);
  await alice.says('aside', /^Expired$/);
  assert.equal(await alice.button('Approve…').count(), 0);
  assert.equal((await s.settled(a.id, 'expired')).outcome, 'expired');
  assert.equal(await s.sandbox.effect(a.effect), 0);
});

test('no window had an error, a violated policy, or a request to anybody else', () => browser.clean());
