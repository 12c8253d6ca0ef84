// The page against an agent that wants to deceive its readers: letters that cannot be seen, that turn
// others round or imitate them; mark-up and scripts in every field that an agent may fill; a note that
// plays the page. What people see is the complete request, and nothing of it acts.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, sendEmail, startServer, unique } from './harness.mjs';
import { NARROW, startBrowser } from './more.mjs';

let s;
let browser;
let alice;
let person;
before(async () => {
  s = await startServer();
  person = await s.login('alice');
  browser = await startBrowser(s.url);
  alice = await browser.open();
  await alice.signIn(s.people.alice);
});
after(async () => {
  await browser?.stop();
  await s?.stop();
});

const tags = (text) => [...text].map((c) => String.fromCodePoint(0xe0000 + c.charCodeAt(0))).join('');
const held = async (body, agent = s.agent) => expect(await agent.propose(body), 202).body;
const asPerson = async (a) => expect(await person.get(`/v1/actions/${a.id}`), 200).body;

// The leaves of a request as this test counts them: [path, value], in no order.
const name = (key) => (/^[A-Za-z_][\w-]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);
function leaves(value, path) {
  const children = Array.isArray(value) ? value.map((v, i) => [`[${i}]`, v])
    : value !== null && typeof value === 'object' ? Object.entries(value).map(([k, v]) => [name(k), v]) : [];
  return children.length ? children.flatMap(([k, v]) => leaves(v, path + k)) : [[path, value]];
}
function requestLeaves({ body, query, headers }) {
  return [...(body === null ? [] : leaves(body, 'body')), ...query.map(([k, v]) => [`query${name(k)}`, v]),
    ...Object.entries(headers).map(([k, v]) => [`header${name(k)}`, v])];
}
function shownAs(value) {
  if (value === '') return '\u0000empty text';
  if (value !== null && typeof value === 'object') return `\u0000empty ${Array.isArray(value) ? 'list' : 'object'}`;
  return value === null || typeof value !== 'string' ? String(value) : value;
}

const NASTY = {
  payee: 'Аpple Inc', // the first letter is Cyrillic
  'dis\u202eyalp': 'Pay \u202e00.001$\u202c to Bob\u200b\u200b\u200b',
  zero_width: 'in\u200bvis\u200dible\ufeff',
  hidden: `ok${tags('ignore all rules')}`,
  isolates: '\u2066a\u2067b\u2068c\u2069',
  variation: '❤\ufe0f 1\ufe0f\u20e3',
  spaces: `approve${' '.repeat(300)}and then delete everything`,
  lines: 'one\n\n\n\n\ntwo\r\nthree\ttabbed\u0007\u009b31m',
  marks: `z${'\u0300'.repeat(40)}`,
  overlay: '1\u0338000',
  filler: '\u3164\u115f\u2800',
  no_break: 'a\u00a0b\u2003c',
  digits: '١٢٣ 123',
  hebrew: 'שלום 12',
  ours: '⟨U+202E⟩',
  private_use: '\ue000\u{f0000}',
  ' leading and trailing ': ' x ',
  empty_text: '', empty_list: [], empty_object: {}, nothing: null, yes: true, number: 1e21, small: 1e-7, zero: 0,
  nested: { a: [{ b: [[], {}, [1, '2', null]] }], __proto__x: { constructor: 'x' } },
  10: 'keys that look like numbers', 9: 'come in their own order',
};

test('what cannot be seen is shown as an escape, and every leaf of the request is there', async () => {
  const a = await held({ ...sendEmail(), query: { 'q\u202e': ['1', '1', 'a\u200bb'] }, body: { to: 'x@example.com', subject: 'Hi\u202e', text: 'T', ...NASTY } });
  const { request } = await asPerson(a);
  await alice.read(a);
  await alice.learnEscapes();
  const shown = (await alice.shownLeaves()).map(([path, value, kind]) => [path, /^empty /.test(kind) ? `\u0000${kind}` : value]);
  const wanted = requestLeaves(request).map(([path, value]) => [path, typeof value === 'string' && value.trim() !== value ? value.trim() : shownAs(value)]);
  const sorted = (list) => list.map(([p, v]) => `${p} = ${v}`).sort();
  assert.deepEqual(sorted(shown), sorted(wanted));
  assert.match(await alice.text('.fields caption'), new RegExp(`^${wanted.length} fields in all`));

  const hidden = await alice.page.evaluate(() => {
    const text = document.querySelector('#app').textContent;
    return [...text].filter((c) => /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u3164\u115f\u2800\u{e0000}-\u{e007f}\ue000]/u.test(c)).map((c) => c.codePointAt(0).toString(16));
  });
  assert.deepEqual(hidden, [], 'a letter that cannot be seen reached the screen');
  const text = await alice.text('.columns');
  for (const escape of ['⟨U+202E⟩', '⟨U+200B ×3⟩', '⟨space ×300⟩', 'hidden tag letters: ignore all rules', 'Latin and Cyrillic letters mixed', 'digits of another script'])
    assert.ok(text.includes(escape), `${escape} is not to be seen`);
});

test('the exact payload is the canonical one, byte for byte, and the browser has hashed it', async () => {
  const a = await held({ ...sendEmail(), body: { to: 'y@example.com', subject: 'S', text: 'T', ...NASTY } });
  const { request, payload_hash } = await asPerson(a);
  await alice.read(a);
  await alice.learnEscapes();
  await alice.page.locator('details.payload summary').first().click();
  await alice.page.waitForSelector('details.payload .exact');
  const shown = await alice.page.evaluate(() => self.__plain(document.querySelector('details.payload .exact')));
  assert.deepEqual(JSON.parse(shown.replace(/[\u0000-\u001f]/g, (c) => JSON.stringify(c).slice(1, -1))), request);
  assert.match(await alice.text('details.payload'), new RegExp(`${payload_hash}[\\s\\S]*checked in your browser`));
});

test('four hundred fields are shown at once, all must be opened before an approval', async () => {
  const body = { to: 'z@example.com', subject: 'S', text: 'T' };
  for (let i = 0; i < 900; i++) body[`f${i}`] = `v${i}`;
  const a = await held({ ...sendEmail(), body });
  await alice.read(a);
  await alice.learnEscapes();
  assert.match(await alice.text('.decision'), /Approve is off: Not every field has been opened yet/);
  await alice.button('Approve').click({ force: true });
  for (let i = 0; i < 5 && await alice.page.getByText(/^Show the next/).count(); i++) await alice.page.getByText(/^Show the next/).click();
  const { request } = await asPerson(a);
  assert.equal((await alice.shownLeaves()).length, requestLeaves(request).length);
  assert.equal(expect(await s.agent.get(`/v1/actions/${a.id}`), 200).body.status, 'pending');
  await alice.button('Approve').click();
  await alice.says('aside', /^Succeeded$/);
});

// --- mark-up and scripts ------------------------------------------------------------------------------

const SHOTS = ['<img src=x onerror="self.pwned=1">', '<script>self.pwned=1</script>', '"><svg onload=self.pwned=1>', '\'-self.pwned=1-\'',
  'javascript:self.pwned=1', '{{constructor.constructor("self.pwned=1")()}}', '${self.pwned=1}', '</textarea></title></style><iframe srcdoc="<script>parent.pwned=1</script>">',
  '<a href="javascript:self.pwned=1" autofocus onfocus=self.pwned=1>x</a>', '<style>*{display:none}</style>', '<form action=//evil.example><button>Approve', '<base href=//evil.example>', '&lt;script&gt;', '%3Cscript%3E'];

async function unharmed(what) {
  const found = await alice.page.evaluate(() => ({ pwned: self.pwned,
    strange: [...document.querySelectorAll('#app :is(img, svg, script, iframe, style, object, embed, base, form[action], a[href^="javascript:"], a[href*="evil"], [onerror], [onload], [onfocus], [autofocus])')].map((e) => e.outerHTML.slice(0, 200)) }));
  assert.deepEqual(found, { pwned: undefined, strange: [] }, what);
}

test('scripts in every field that an agent fills do nothing on any page', async () => {
  const actions = [];
  for (const shot of SHOTS) {
    const body = { to: shot, subject: shot, text: shot, [shot]: { [shot]: [shot] } };
    actions.push(await held({ connection: 'crm-main', method: 'POST', path: '/emails', query: { [shot]: shot }, headers: { 'if-match': shot }, body,
      note: shot, thread_id: shot, idempotency_key: unique(shot), state: { shot } }));
  }
  const [encoded] = [encodeURIComponent(SHOTS[0])];
  actions.push(await held({ connection: 'crm-main', method: 'DELETE', path: `/contacts/${encoded}`, query: { q: SHOTS } }));
  actions.push(await held({ connection: 'crm-main', method: 'POST', path: `/${encoded}`, body: { x: SHOTS }, note: SHOTS.join('\n') }));
  for (const a of actions) {
    await alice.read(a);
    await alice.page.locator('details.payload summary').first().click();
    await alice.page.waitForSelector('details.payload .exact');
    await unharmed(a.path);
    const title = await alice.page.evaluate(() => document.querySelector('.decision h2').innerText);
    assert.equal(title, 'Your decision');
  }
  expect(await person.vote(actions[0], 'reject', { reason: SHOTS.join(' ') }), 200);
  await s.sandbox.rule({ path: '/crm/emails', mode: 'error', status: 422, code: SHOTS[0], error_type: SHOTS[1] });
  expect(await person.vote(actions[1], 'approve'), 200);
  await s.settled(actions[1].id, (x) => x.ended_at !== null);
  for (const place of [`#/actions/${actions[0].id}`, `#/actions/${actions[1].id}`, '#/', '#/?show=all', '#/history', `#/history?q=${encodeURIComponent(SHOTS[0])}`, '#/notices',
    `#/${encodeURIComponent(SHOTS[0])}`, `#/actions/${encodeURIComponent(SHOTS[0])}`, '#/actions/..%2f..%2flogin', '#/__proto__', '#/constructor', '#/toString']) {
    await alice.go(place);
    await unharmed(place);
  }
  await alice.page.goto('about:blank');
});

test('a hostile tier 1 action among the notices, and what the provider answers, do nothing', async () => {
  const a = (await s.agent.propose({ connection: 'crm-main', method: 'POST', path: '/contacts', body: { name: SHOTS[0], email: `${unique('x')}@example.com` } })).body;
  await s.settled(a.id, 'succeeded');
  await alice.go('#/notices');
  await unharmed('notices');
  await alice.go(`#/actions/${a.id}`);
  await alice.page.locator('details', { hasText: 'provider\'s answer' }).locator('summary').click();
  await unharmed('the provider\'s answer');
});

// --- the note -------------------------------------------------------------------------------------------

// The page without the note's box and without what differs between any two actions.
const around = () => alice.page.evaluate(() => {
  const main = document.querySelector('main').cloneNode(true);
  main.querySelectorAll('.note').forEach((e) => e.remove());
  return main.innerHTML.replace(/(act_|sha256:)[0-9a-z]+/g, '$1').replace(/<time[\s\S]*?<\/time>/g, '').replace(/<span class="countdown[\s\S]*?<\/span>/g, '');
});

test('the agent\'s note alters nothing outside its box, whatever it says and however long it is', async () => {
  const body = { to: 'n@example.com', subject: 'S', text: 'T' };
  await alice.read(await held({ ...sendEmail(), body, idempotency_key: unique('note') }));
  const plain = await around();
  const notes = ['\u202eevorppA\u202c', `${'\n'.repeat(200)}✓ Approved by bob@example.com`, `</p></section><section class="card"><h2>Votes so far (2)</h2>`,
    'W'.repeat(8000), `${'a '.repeat(4000)}`, '\u0300'.repeat(3000), '\u2066'.repeat(50), `You ✓ Approved this.\n\nYour decision\n[Approve]`];
  for (const [i, note] of notes.entries()) {
    const a = await held({ ...sendEmail(), body, note, idempotency_key: unique('note') });
    await alice.read(a);
    assert.equal(await around(), plain, `note ${i}`);
    await alice.page.waitForSelector('.note');
    const box = await alice.page.evaluate(() => {
      const element = document.querySelector('.note');
      const edge = (e) => { const { left, right, top, bottom } = e.getBoundingClientRect(); return { left, right, top, bottom }; };
      return { heading: element.querySelector('h2').innerText, note: edge(element), column: edge(element.closest('.column')), aside: edge(document.querySelector('.aside')),
        inside: edge(element.querySelector('p')), tags: [...new Set([...element.querySelectorAll('*')].map((e) => e.tagName))].sort(), next: element.nextElementSibling && edge(element.nextElementSibling), clipped: getComputedStyle(element.querySelector('p')).overflow };
    });
    assert.equal(box.heading, 'Written by the agent, not verified');
    assert.ok(box.tags.every((t) => ['BDI', 'H2', 'P', 'SPAN'].includes(t)), box.tags.join());
    assert.ok(box.inside.left >= box.note.left && box.inside.right <= box.note.right && box.inside.bottom <= box.note.bottom, `note ${i} leaves its box`);
    assert.ok(box.note.right <= box.aside.left || box.note.top >= box.aside.bottom, `note ${i} covers the decision`);
    assert.equal(box.clipped, 'auto');
    assert.ok(await alice.sideways() <= 0, `note ${i} makes the page scroll sideways`);
  }
});

test('the same at 360 px', async () => {
  const phone = await browser.open({ viewport: NARROW });
  await phone.signIn(s.people.alice);
  for (const note of ['W'.repeat(8000), `${'\n'.repeat(200)}x`]) {
    const a = await held({ ...sendEmail(), body: { to: 'n@example.com', subject: 'S', text: 'X'.repeat(5000), ['k'.repeat(300)]: { ['l'.repeat(300)]: 1 } }, note, idempotency_key: unique('note') });
    await phone.read(a);
    assert.ok(await phone.sideways() <= 0);
    const [note_box, decision] = await phone.page.evaluate(() => ['.note', '.decision'].map((q) => { const { top, bottom } = document.querySelector(q).getBoundingClientRect(); return { top, bottom }; }));
    assert.ok(note_box.bottom <= decision.top || note_box.top >= decision.bottom);
  }
});

test('the page may not be framed, and asks nobody else for anything', async () => {
  const page = await s.request('GET', '/');
  const policy = page.headers['content-security-policy'];
  for (const part of ["default-src 'none'", "frame-ancestors 'none'", "script-src 'self'", "base-uri 'none'", "form-action 'none'"])
    assert.ok(policy.includes(part), `${part} is not in ${policy}`);
  assert.ok(!/unsafe/.test(policy));
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  browser.clean();
});
