// What has been decided, newest first, with a search that the server does. The search stands in
// the address, so that going back comes back to it.
import { getPages } from './api.js';
import { calm, useLive } from './live.js';
import { Endpoint, Loading, More, Proposer, Stake, stakeKnown, Status, When } from './parts.js';
import { go, html, route, useCell, useLoad } from './state.js';
import { useEffect, useMemo, useState } from './vendor-hooks.js';

function Search({ query }) {
  const [text, setText] = useState(query);
  useEffect(() => setText(query), [query]);
  const submit = (event) => {
    event.preventDefault();
    go(text.trim() ? `#/history?q=${encodeURIComponent(text.trim())}` : '#/history');
  };
  return html`<form role="search" class="search" onSubmit=${submit}>
    <label for="q">Operation, connection, agent, id or status</label>
    <div class="search-line">
      <input id="q" type="search" data-search value=${text} onInput=${(e) => setText(e.target.value)} autocomplete="off" spellcheck=${false} />
    <button class="primary">Search</button></div>
  </form>`;
}

const Row = ({ action }) => html`<li class="card row">
  <div class="row-main">
    <a href=${`#/actions/${action.id}`} data-row><${Endpoint} action=${action} /></a>
    ${stakeKnown(action) && html`<div><${Stake} action=${action} /></div>`}
    <div class="quiet"><${Proposer} action=${action} /></div>
  </div>
  <div class="row-side"><${Status} status=${action.status} />
    <span class="quiet"><${When} at=${action.ended_at || action.decided_at || action.proposed_at} /></span></div>
</li>`;

export function History() {
  const query = useCell(route).query.get('q') || '';
  const wanted = useMemo(() => ({ count: 1 }), [query]);
  const path = `/v1/reviews?scope=decided${query ? `&q=${encodeURIComponent(query)}` : ''}`;
  const { data, problem, reload } = useLoad(() => getPages(path, wanted.count), [path]);
  const again = useMemo(() => calm(reload, 3000), [reload]);
  useLive((news) => { if (news.kind !== 'notice') again(); }, [again]);
  const more = () => { wanted.count = data.items.length + 1; reload(); };
  return html`<h1 tabindex="-1">History</h1><${Search} query=${query} />
    ${!data ? html`<${Loading} what="history" problem=${problem} reload=${reload} />` : html`
      <p class="quiet" role="status">${data.items.length}${data.next ? '+' : ''} ${data.items.length === 1 ? 'action' : 'actions'}${query ? ' found' : ''}</p>
      <ul class="rows" aria-label="Decided actions, newest first">${data.items.map((action) => html`<${Row} key=${action.id} action=${action} />`)}</ul>
      <${More} next=${data.next} onMore=${more} />`}`;
}
