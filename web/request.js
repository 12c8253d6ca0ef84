// An action's request as a person must see it: every leaf with its path, what moves money or
// reaches people first; the exact canonical payload; and the check that what is shown hashes to
// what will be sent. Numbers are shown as the canonical payload spells them, never rounded.
import { useEffect, useMemo, useState } from './vendor-hooks.js';
import { html } from './state.js';
import { Text } from './text.js';

const ROWS_AT_ONCE = 400; // a browser stays quick; the rest is opened by hand, and must be

// RFC 8785. JSON.parse keeps every number exactly, since the server sends canonical ones, but
// JavaScript moves keys that look like indexes to the front: sorting puts them back.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
}

async function payloadHash(request) {
  const bytes = new TextEncoder().encode(canonical(request));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `sha256:${[...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

// 'same', 'differs', or 'unchecked' where the browser offers no hashing (plain http).
export function useHashCheck(action) {
  const [check, setCheck] = useState({ key: '', result: 'checking' });
  const key = `${action.id} ${action.revision} ${action.payload_hash}`;
  useEffect(() => {
    let stale = false;
    const settle = (result) => { if (!stale) setCheck({ key, result }); };
    if (!self.crypto?.subtle) settle('unchecked');
    else payloadHash(action.request).then((hash) => settle(hash === action.payload_hash ? 'same' : 'differs'), () => settle('differs'));
    return () => { stale = true; };
  }, [key]);
  return check.key === key ? check.result : 'checking';
}

const step = (key) => (/^[A-Za-z_][\w-]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);

function walk(value, path, names, out) {
  if (value !== null && typeof value === 'object') {
    const keys = Object.keys(value).sort();
    if (Array.isArray(value)) value.forEach((item, i) => walk(item, `${path}[${i}]`, names, out));
    else for (const key of keys) walk(value[key], path + step(key), [...names, key], out);
    if (keys.length > 0) return;
  }
  out.push({ path, names, value });
}

const isForm = (body) => body && typeof body === 'object' && Object.keys(body).join() === 'form' && Array.isArray(body.form)
  && body.form.every((pair) => Array.isArray(pair) && pair.length === 2);

// Every leaf of body, query and headers: {path, names, value}.
export function leaves(request) {
  const out = [];
  const pairs = (list, where) => list.forEach(([name, value]) => walk(value, where + step(name), [name], out));
  if (isForm(request.body)) pairs(request.body.form, 'form');
  else if (request.body !== null) walk(request.body, 'body', [], out);
  pairs(request.query, 'query');
  pairs(Object.entries(request.headers), 'header');
  return out;
}

const words = (...lines) => new Set(lines.join(' ').split(' '));
const GROUPS = [
  ['Money', words('amount amounts total subtotal price currency fee fees cost balance sum value unit cents',
    'tax discount refund credit debit payment salary budget rate')],
  ['Who and where to', words(
    'payee recipient recipients to cc bcc email emails account accounts iban bic swift',
    'routing counterparty destination beneficiary legal payer user users contact channel channels phone',
    'address addresses url urls uri webhook domain host owner customer vendor member members',
    'invitee attendees transfer receiver audience name')],
  ['Permissions', words(
    'role roles scope scopes permission permissions access grant grants admin profile group groups policy',
    'password secret token key visibility public sharing share privilege privileges security mfa')],
  ['How many and how far', words('count ids limit quantity qty all force delete deleted purge',
    'recursive where filter query sql cascade overwrite bulk batch records rows number')],
];

const split = (name) => name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase().split(/[^\p{L}\p{Nd}]+/u);

// The field's own name decides; failing that, the nearest name above it.
function groupOf(leaf) {
  for (const name of [...leaf.names].reverse()) {
    const found = GROUPS.find(([, known]) => split(name).some((part) => known.has(part)));
    if (found) return found[0];
  }
  return null;
}

function grouped(request) {
  const all = leaves(request).map((leaf) => ({ ...leaf, group: groupOf(leaf) }));
  const first = GROUPS.map(([title]) => ({ title, rows: all.filter((leaf) => leaf.group === title) }));
  const rest = { title: 'Everything else', rows: all.filter((leaf) => leaf.group === null) };
  return { groups: [...first, rest].filter((group) => group.rows.length > 0), count: all.length };
}

// What differs between two requests: [{path, before, after}], undefined where a field is missing.
export function changes(before, after) {
  const numbered = (request) => {
    const seen = new Map();
    const list = [['method', request.method], ['path', request.path], ...leaves(request).map((leaf) => [leaf.path, leaf.value])];
    return new Map(list.map(([path, value]) => {
      const n = (seen.get(path) || 0) + 1; // a query may name a field twice
      seen.set(path, n);
      return [n > 1 ? `${path} (${n})` : path, value];
    }));
  };
  const old = numbered(before);
  const young = numbered(after);
  return [...new Set([...old.keys(), ...young.keys()])]
    .map((path) => ({ path, before: old.get(path), after: young.get(path) }))
    .filter((change) => canonicalOr(change.before) !== canonicalOr(change.after));
}

const canonicalOr = (value) => (value === undefined ? '' : canonical(value));

const ACCOUNT = new Set(['account', 'accounts', 'iban', 'counterparty']);
const NOT_ACCOUNT = new Set(['type', 'name', 'class', 'subtype', 'status']);
const mask = (text) => (text.length > 4 ? `••••${text.slice(-4)}` : '••••');

// Account fields, masked to the last four, for the summary; the table below has them in full.
export function accounts(request) {
  return leaves(request).flatMap(({ names, value, path }) => {
    const parts = names.length ? split(names[names.length - 1]) : [];
    const fits = parts.some((part) => ACCOUNT.has(part)) && !parts.some((part) => NOT_ACCOUNT.has(part));
    return fits && typeof value === 'string' && value ? [{ path, masked: mask(value) }] : [];
  });
}

function Value({ value }) {
  if (value === undefined) return html`<span class="kind">not there</span>`;
  if (value === '') return html`<span class="kind">empty text</span>`;
  if (typeof value === 'string') return html`<${Text} value=${value} />`;
  if (value === null) return html`<code>null</code>`;
  if (typeof value === 'object') {
    if (Object.keys(value).length > 0) return html`<${Exact} value=${value} />`;
    return html`<span class="kind">empty ${Array.isArray(value) ? 'list' : 'object'}</span>`;
  }
  return html`<code>${String(value)}</code> <span class="kind">${typeof value === 'number' ? 'number' : 'yes/no'}</span>`;
}

// The canonical text, each string in it isolated so that no letter can move a bracket.
export function Exact({ value }) {
  const parts = canonical(value).split(/("[^"\\]*(?:\\.[^"\\]*)*")/);
  return html`<code class="exact">${parts.map((part, i) => (i % 2 ? html`<${Text} value=${part} />` : part))}</code>`;
}

function Group({ title, rows, all }) {
  return html`<tbody>
    <tr><th scope="rowgroup" colspan="2" class="group">
      ${title}: ${all} ${all === 1 ? 'field' : 'fields'}${rows.length < all && `, ${rows.length} shown`}</th></tr>
    ${rows.map((row) => html`<tr><th scope="row"><${Text} value=${row.path} /></th><td><${Value} value=${row.value} /></td></tr>`)}
  </tbody>`;
}

function upTo(groups, limit) {
  let left = limit;
  return groups.map((group) => {
    const rows = group.rows.slice(0, left);
    left -= rows.length;
    return { ...group, rows, all: group.rows.length };
  }).filter((group) => group.rows.length > 0);
}

// `onAllShown` is called once every field has been opened: no vote before that.
export function Fields({ request, onAllShown }) {
  const [limit, setLimit] = useState(ROWS_AT_ONCE);
  const { groups, count } = useMemo(() => grouped(request), [request]);
  const hidden = Math.max(0, count - limit);
  useEffect(() => { if (hidden === 0) onAllShown(); }, [hidden]);
  return html`
    <p class="endpoint"><code class="method">${request.method}</code> <code><${Text} value=${request.path} /></code></p>
    ${count === 0 && html`<p>No body, no query, no headers.</p>`}
    ${isBinary(request.body) && html`<p class="warn"><b>Not understood:</b> the body is no JSON and no form. It is shown as base64 text.</p>`}
    ${count > 0 && html`<table class="fields">
      <caption>${count} ${count === 1 ? 'field' : 'fields'} in all; those about money, people and permissions first</caption>
      <colgroup><col /><col /></colgroup>
      ${upTo(groups, limit).map((group) => html`<${Group} ...${group} />`)}
    </table>`}
    ${hidden > 0 && html`<p class="warn"><b>${hidden} of ${count} fields are not shown yet.</b> All must be opened before a decision.
      <button type="button" onClick=${() => setLimit(limit + ROWS_AT_ONCE)}>Show the next ${Math.min(hidden, ROWS_AT_ONCE)}</button></p>`}`;
}

const isBinary = (body) => body && typeof body === 'object' && Object.keys(body).join() === 'base64';

export function ChangeTable({ list, caption }) {
  return html`<table class="fields changes">
    <caption>${caption}</caption>
    <colgroup><col /><col /><col /></colgroup>
    <thead><tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
    <tbody>${list.map((change) => html`<tr>
      <th scope="row"><${Text} value=${change.path} /></th>
      <td><span class="small">Before: </span><${Value} value=${change.before} /></td>
      <td><span class="small">After: </span><${Value} value=${change.after} /></td></tr>`)}</tbody>
  </table>`;
}

const HASH_WORDS = {
  same: '✓ What you see here hashes to this value: checked in your browser.',
  differs: '✕ What you see here does NOT hash to this value. Do not approve; tell an administrator.',
  unchecked: 'Not checked in this browser: that needs https.',
  checking: 'Being checked…',
};

export function Payload({ action, check }) {
  const [open, setOpen] = useState(false); // a megabyte is not laid out until somebody asks
  return html`<details class="payload" onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>Exact payload</summary>
    <p class="hint">These bytes are hashed, approved and sent. Only what cannot be seen is replaced, by ⟨…⟩.</p>
    <pre>${open && html`<${Exact} value=${action.request} />`}</pre>
    <p class="hash">Payload hash <code>${action.payload_hash}</code></p>
    ${action.executed_payload_hash && html`<p class="hash">Sent payload's hash <code>${action.executed_payload_hash}</code>
      ${action.executed_payload_hash === action.payload_hash ? ' ✓ the same' : ' ✕ DIFFERENT'}</p>`}
    <p class=${check === 'differs' ? 'warn' : 'hint'}>${HASH_WORDS[check]}</p>
  </details>`;
}
