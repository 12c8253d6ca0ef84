// What waits: for this person (kept fresh by the application, since the title counts it), or
// everything open in the workspace. Nothing can be decided here; a row only opens its action.
import { getPages } from './api.js';
import { calm, useLive } from './live.js';
import { Countdown, Endpoint, given, Loading, moneyWords, More, Proposer, Stake, stakeKnown, Status, Tier } from './parts.js';
import { html, route, useCell, useLoad, waiting } from './state.js';
import { Text } from './text.js';
import { useEffect, useMemo } from './vendor-hooks.js';

let opened = null; // the row last opened: coming back puts the focus on it

function urgentFirst(items) {
  return [...items].sort((a, b) => (a.decide_by < b.decide_by ? -1 : a.decide_by > b.decide_by ? 1 : b.tier - a.tier));
}

function Row({ action }) {
  const href = `#/actions/${action.id}`;
  const cannot = action.status === 'pending' && action.can && !action.can.approve && action.can.why;
  return html`<li class="card row">
    <div class="row-main">
      <a href=${href} data-row onClick=${() => { opened = href; }}>
        ${!moneyWords(action.impact) && html`<b><${Text} value=${action.operation} />: </b>`}${stakeKnown(action)
          ? html`<${Stake} action=${action} />` : html`<code>${action.method} <${Text} value=${action.path} /></code>`}</a>
      <div><${Endpoint} action=${action} />, <${Proposer} action=${action} /></div>
      ${cannot && html`<div class="quiet">You cannot approve this: <${Text} value=${action.can.why} /></div>`}
    </div>
    <div class="row-side">
      <${Tier} action=${action} />
      ${action.status === 'pending'
        ? html`<${Countdown} until=${action.decide_by} /><span class="quiet">${given(action)}</span>`
        : html`<${Status} status=${action.status} />`}
      ${action.impact?.external && html`<span class="badge outside">Reaches people outside</span>`}
    </div>
  </li>`;
}

const List = ({ items, label }) => html`<ul class="rows" aria-label=${label}>
  ${items.map((action) => html`<${Row} key=${action.id} action=${action} />`)}</ul>`;

function useReturnFocus(ready) {
  useEffect(() => {
    if (!ready || !opened) return;
    document.querySelector(`[data-row][href="${CSS.escape(opened)}"]`)?.focus();
    opened = null;
  }, [ready]);
}

function Mine({ onMore }) {
  const list = useCell(waiting);
  useReturnFocus(Boolean(list));
  if (!list || !list.items) return html`<${Loading} what="your inbox" problem=${list?.problem} reload=${onMore} />`;
  if (list.items.length === 0) return html`<p class="empty">Nothing waits for you.</p>`;
  return html`<${List} items=${urgentFirst(list.items)} label="Waiting for you, most urgent first" />
    <${More} next=${list.next} onMore=${onMore} />`;
}

const PARTS = [
  ['Waiting for a decision', ['pending']],
  ['Needs a person', ['unknown', 'blocked']],
  ['On the way', ['approved', 'sending']],
];

function Everything() {
  const wanted = useMemo(() => ({ count: 1 }), []);
  const { data, problem, reload } = useLoad(() => getPages('/v1/reviews?scope=all', wanted.count), []);
  const again = useMemo(() => calm(reload), [reload]);
  useLive((news) => { if (news.kind !== 'notice') again(); }, [again]);
  useReturnFocus(Boolean(data));
  if (!data) return html`<${Loading} what="all open actions" problem=${problem} reload=${reload} />`;
  const parts = PARTS.map(([title, states]) => [title, urgentFirst(data.items.filter((a) => states.includes(a.status)))])
    .filter(([, items]) => items.length > 0);
  const more = () => { wanted.count = data.items.length + 1; reload(); };
  return html`${parts.length === 0 && html`<p class="empty">Nothing is open.</p>`}
    ${parts.map(([title, items]) => html`<section key=${title}>
      <h2>${title} (${items.length}${data.next ? '+' : ''})</h2><${List} items=${items} label=${title} /></section>`)}
    <${More} next=${data.next} onMore=${more} />`;
}

export function Inbox({ onMore }) {
  const all = useCell(route).query.get('show') === 'all';
  return html`<h1 tabindex="-1">Inbox</h1>
    <nav class="tabs" aria-label="Which actions">
      <a href="#/" aria-current=${all ? null : 'page'}>Waiting for you</a>
      <a href="#/?show=all" aria-current=${all ? 'page' : null}>All open</a>
    </nav>
    ${all ? html`<${Everything} />` : html`<${Mine} onMore=${onMore} />`}`;
}
