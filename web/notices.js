// Tier 1: what ran without asking and has to be looked at afterwards. Who, what, when, how it
// ended, seen or not. Marking as seen says that a person has looked; it decides nothing.
import { getPages, post } from './api.js';
import { calm, useLive } from './live.js';
import { Loading, More, person, ProblemBox, When } from './parts.js';
import { announce, html, session, useLoad } from './state.js';
import { Text } from './text.js';
import { useMemo, useState } from './vendor-hooks.js';

const OUTCOME = { success: '✓ Success', error: '✕ Error', in_doubt: '? In doubt', declined_by_provider: '✕ Declined by the provider' };

function seer(by) {
  const { id } = session.value.person;
  return by.id === id ? 'you' : person(by);
}

function Seen({ notice, onSeen }) {
  if (notice.seen) return html`<span class="quiet">✓ Seen${notice.seen_by ? html` by <${Text} value=${seer(notice.seen_by)} />` : ''}</span>`;
  if (session.value?.person.role === 'auditor') return html`<b>Not seen</b>`;
  return html`<b class="notseen">Not seen</b> <button type="button" onClick=${() => onSeen(notice)}>Mark as seen
    <span class="visually-hidden">: <${Text} value=${notice.operation} />, <${Text} value=${notice.agent_name} /></span></button>`;
}

function Row({ notice, onSeen }) {
  return html`<tr class=${notice.seen ? null : 'new'}>
    <td data-label="Who"><${Text} value=${notice.agent_name || notice.agent} /></td>
    <td data-label="What"><a href=${`#/actions/${notice.action}`} data-row><${Text} value=${notice.operation} /></a> on <${Text} value=${notice.connection} /></td>
    <td data-label="When"><${When} at=${notice.at} /></td>
    <td data-label="Outcome">${OUTCOME[notice.outcome] || html`<${Text} value=${notice.outcome || 'not yet known'} />`}</td>
    <td data-label="Seen"><${Seen} notice=${notice} onSeen=${onSeen} /></td>
  </tr>`;
}

export function Notices({ onChange }) {
  const wanted = useMemo(() => ({ count: 1 }), []);
  const { data, problem, reload } = useLoad(() => getPages('/v1/notices', wanted.count), []);
  const [refused, setRefused] = useState(null);
  const again = useMemo(() => calm(reload), [reload]);
  useLive((news) => { if (news.kind !== 'action') again(); }, [again]);
  const seen = async (notice) => {
    try {
      await post(`/v1/notices/${encodeURIComponent(notice.action)}/seen`, {});
      setRefused(null);
      announce('Marked as seen.');
      document.querySelector('h1').focus(); // the button is about to go
    } catch (why) { setRefused(why); }
    await reload();
    onChange();
  };
  const more = () => { wanted.count = data.items.length + 1; reload(); };
  return html`<h1 tabindex="-1">Notices</h1>
    <p class="quiet">Tier 1: these ran at once, and people are told afterwards.</p>
    <${ProblemBox} problem=${refused} />
    ${!data ? html`<${Loading} what="notices" problem=${problem} reload=${reload} />`
      : data.items.length === 0 ? html`<p class="empty">No notices.</p>` : html`
        <table class="list"><caption class="visually-hidden">Tier 1 actions, newest first</caption>
          <thead><tr>${['Who', 'What', 'When', 'Outcome', 'Seen'].map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
          <tbody>${data.items.map((notice) => html`<${Row} key=${notice.action} notice=${notice} onSeen=${seen} />`)}</tbody></table>
        <${More} next=${data.next} onMore=${more} />`}`;
}
