// One action: what is at stake first, then why it was held, the complete request, the agent's
// words fenced off, the decision, the votes and what has happened. When the action becomes
// another revision under the reader's eyes, the page says what changed and asks to be read again.
import { get, now } from './api.js';
import { Decision, OVERTAKEN, Reconcile } from './decision.js';
import { calm, useLive } from './live.js';
import { Countdown, Endpoint, Loading, person, ProblemBox, Proposer, Stake, Status, statusWords, Tier, When } from './parts.js';
import { accounts, ChangeTable, changes, Exact, Fields, Payload, useHashCheck } from './request.js';
import { announce, html, route, session, useCell, useLoad, waiting } from './state.js';
import { Text } from './text.js';
import { useEffect, useMemo, useRef, useState } from './vendor-hooks.js';

function Summary({ action }) {
  const masked = accounts(action.request);
  return html`<section class="card summary" aria-labelledby="stake-title">
    <h2 id="stake-title" class="visually-hidden">What is at stake</h2>
    <p class="big"><${Stake} action=${action} /></p>
    ${masked.length > 0 && html`<dl class="facts">${masked.slice(0, 6).map((account) => html`<div>
      <dt><${Text} value=${account.path} /></dt><dd><${Text} value=${account.masked} /></dd></div>`)}</dl>`}
    ${masked.length > 6 && html`<p class="warn">and ${masked.length - 6} more accounts in the request below</p>`}
    <p class="badges"><${Tier} action=${action} /> <${Status} status=${action.status} />
      ${action.impact?.external && html` <span class="badge outside">Reaches people outside</span>`}
      ${action.revision > 1 && html` <span class="badge">Revision ${action.revision}</span>`}</p>
    ${action.status === 'pending' && html`<p><${Countdown} until=${action.decide_by} />
      <span class="quiet"> to decide, until <${When} at=${action.decide_by} /></span></p>`}
    <p><${Endpoint} action=${action} />, proposed by <${Proposer} action=${action} />, <${When} at=${action.proposed_at} /></p>
    ${action.attempt_of && html`<p>A later try of <a href=${`#/actions/${action.attempt_of}`}>${action.attempt_of}</a>.</p>`}
  </section>`;
}

const Why = ({ reasons }) => html`<section class="card" aria-labelledby="why-title">
  <h2 id="why-title">Why this tier</h2>
  ${reasons.length === 0 ? html`<p>No rule was recorded.</p>` : html`<ul class="reasons">${reasons.map((reason) => html`<li>
    <b><${Text} value=${reason.effect} /></b>: <${Text} value=${reason.text} /> <span class="quiet">(<${Text} value=${reason.rule} />)</span></li>`)}</ul>`}
</section>`;

const Diff = ({ list }) => html`<section class="card" aria-labelledby="diff-title">
  <h2 id="diff-title">Before and after</h2><${ChangeTable} list=${list} caption=${`${list.length} changed`} /></section>`;

const Note = ({ note }) => html`<section class="note" aria-labelledby="note-title">
  <h2 id="note-title">Written by the agent, not verified</h2>
  <p><${Text} value=${note} lines /></p>
</section>`;

function Votes({ votes }) {
  return html`<section class="card" aria-labelledby="votes-title"><h2 id="votes-title">Votes so far (${votes.length})</h2>
    ${votes.length === 0 && html`<p class="quiet">Nobody has voted yet.</p>`}
    <ul class="votes">${votes.map((vote) => html`<li>
      <b class=${vote.decision}>${vote.decision === 'approve' ? '✓ Approved' : '✕ Rejected'}</b> by <${Text} value=${person(vote)} />, <${When} at=${vote.at} />
      ${!vote.counts && html`<div class="warn">Does not count${vote.why_not ? html`: <${Text} value=${vote.why_not} />` : ''}</div>`}
      ${vote.reason && html`<div class="said">“<${Text} value=${vote.reason} lines />”</div>`}</li>`)}</ul>
  </section>`;
}

const HAPPENED = {
  'action.proposed': 'Proposed', 'action.held': 'Held for people to decide', 'action.denied': 'Denied by policy',
  'action.revised': 'Changed: a new revision', 'vote.cast': 'Voted', 'vote.refused': 'A vote was refused',
  'action.approved': 'Approved: enough votes', 'action.rejected': 'Rejected', 'action.expired': 'Expired: the time ran out',
  'action.cancelled': 'Cancelled', 'action.sending': 'About to be sent', 'action.blocked': 'Blocked',
  'action.ended': 'Ended', 'action.unknown': 'The answer was lost', 'action.reconciled': 'A person said how it ended',
  'action.delivered': 'The agent was told',
};

// The server's text may end in ": outcome"; that part is kept.
function happened({ type, text }) {
  if (!Object.hasOwn(HAPPENED, type)) return text;
  const [, detail] = /: ([^:]*)$/.exec(text) || [];
  return detail ? `${HAPPENED[type]}: ${detail}` : HAPPENED[type];
}

const Timeline = ({ events }) => html`<section class="card" aria-labelledby="timeline-title"><h2 id="timeline-title">Timeline</h2>
  <ol class="timeline">${events.map((event) => html`<li key=${event.seq}><${When} at=${event.at} />
    <div><${Text} value=${happened(event)} />${event.who ? html` <span class="quiet">(<${Text} value=${person(event.who)} />)</span>` : ''}</div></li>`)}</ol>
</section>`;

function Result({ result }) {
  const content = result.body_omitted ? html`<p>The answer is too large to keep (${result.body_bytes} bytes).</p>`
    : html`<pre>${'body' in result ? html`<${Exact} value=${result.body} />` : html`<${Text} value=${result.text ?? result.base64 ?? ''} lines />`}</pre>`;
  return html`<details class="payload"><summary>The provider's answer: status ${result.status}</summary>${content}</details>`;
}

// How an action that is no longer open to votes stands.
function Standing({ action }) {
  const reject = action.rejection;
  const url = action.reauth && /^https:\/\//.test(action.reauth.url) ? action.reauth.url : null;
  return html`<section class="card decision" aria-labelledby="standing-title"><h2 id="standing-title" tabindex="-1">${statusWords(action.status)}</h2>
    ${reject && html`<p>Rejected by <${Text} value=${rejecter(action)} />${reject.reason ? html`: “<${Text} value=${reject.reason} lines />”` : ''}</p>`}
    ${action.error_code && html`<p>Error code: <code><${Text} value=${action.error_code} /></code></p>`}
    ${action.reauth && html`<p>The connection's owner must sign in at the provider (<${Text} value=${action.reauth.reason} />).
      ${url && html` <a href=${url} target="_blank" rel="noopener noreferrer">${url}</a>`}</p>`}
    ${action.decided_at && html`<p class="quiet">Decided <${When} at=${action.decided_at} /></p>`}
    ${action.ended_at && html`<p class="quiet">Ended <${When} at=${action.ended_at} /></p>`}
    ${action.status === 'approved' && html`<p class="quiet">Must be sent by <${When} at=${action.execute_by} /></p>`}
  </section>`;
}

function rejecter({ rejection, votes }) {
  const vote = votes.find((one) => one.person === rejection.by);
  return vote ? person(vote) : rejection.by_email || rejection.by;
}

// What the reader has read, against what is there now. A change of tier, deadline or quorum is
// as much a change as one of the payload: the approval is about all of them.
function revisionChanges(seen, action) {
  const about = (a) => ({ tier: a.tier, 'decide by': a.decide_by, 'execute by': a.execute_by, quorum: a.approvals?.quorum ?? null });
  const [before, after] = [about(seen), about(action)];
  const frame = Object.keys(before).filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .map((key) => ({ path: key, before: before[key], after: after[key] }));
  return [...changes(seen.request, action.request), ...frame];
}

function useSeen(action) {
  const [seen, setSeen] = useState(null);
  useEffect(() => { if (action && (!seen || seen.id !== action.id)) setSeen(action); }, [action]);
  const changed = Boolean(action && seen && seen.id === action.id && seen.binding !== action.binding);
  return { seen, changed, accept: () => setSeen(action) };
}

function Changed({ seen, action, onSeen }) {
  const list = revisionChanges(seen, action);
  const title = useRef(null);
  useEffect(() => { if (document.activeElement?.tagName !== 'TEXTAREA') title.current.focus(); }, [action.binding]);
  return html`<section class="problem" role="alert" aria-labelledby="changed-title">
    <h2 id="changed-title" tabindex="-1" ref=${title}>This changed while you looked</h2>
    <p>You were reading revision ${seen.revision}; this is revision ${action.revision}. Earlier votes are void.</p>
    ${list.length ? html`<${ChangeTable} list=${list} caption="What changed" />` : html`<p>The request is the same; policy or people changed.</p>`}
    <div class="buttons"><button type="button" class="primary" onClick=${onSeen}>I have seen the changes</button></div>
  </section>`;
}

const THRESHOLDS = [[3600, 'One hour'], [900, '15 minutes'], [300, '5 minutes'], [60, 'One minute']];

// Speaks when a threshold is crossed, and asks the server again when the time is up.
function useDeadline(action, reload) {
  useEffect(() => {
    if (action?.status !== 'pending') return undefined;
    const end = Date.parse(action.decide_by);
    const timers = THRESHOLDS.map(([seconds, words]) => [end - seconds * 1000 - now(), () => announce(`${words} left to decide.`)]);
    timers.push([end - now() + 1500, () => { announce('The time to decide is up.'); reload(); }]);
    const ids = timers.filter(([wait]) => wait > 0 && wait < 2 ** 31).map(([wait, act]) => setTimeout(act, wait));
    return () => ids.forEach(clearTimeout);
  }, [action?.id, action?.status, action?.decide_by]);
}

function useSpokenStatus(action) {
  const last = useRef(null);
  useEffect(() => {
    if (!action) return;
    if (last.current?.id === action.id && last.current.status !== action.status) announce(`Now: ${statusWords(action.status)}.`);
    last.current = { id: action.id, status: action.status };
  }, [action?.id, action?.status]);
}

function Aside({ action, guard, onDone, refused }) {
  return html`<aside class="aside" aria-label="Decision">
    ${refused && html`<${ProblemBox} problem=${refused} />`}
    ${action.status === 'pending' && html`<${Decision} key=${action.binding} action=${action} guard=${guard} onDone=${onDone} />`}
    ${action.status === 'unknown' && session.value?.person.role !== 'auditor' && html`<${Reconcile} action=${action} onDone=${onDone} />`}
    ${action.status !== 'pending' && html`<${Standing} action=${action} />`}
    <${NextUp} action=${action} />
    <${Votes} votes=${action.votes} />
  </aside>`;
}

function NextUp({ action }) {
  const rest = (useCell(waiting)?.items || []).filter((other) => other.id !== action.id);
  const done = action.status !== 'pending' || action.votes.some((vote) => vote.person === session.value?.person.id);
  if (!done) return null;
  const more = rest.length > 0 && `: ${rest.length} more ${rest.length === 1 ? 'waits' : 'wait'} for you`;
  return html`<p><a href="#/">Back to the inbox${more}</a></p>`;
}

export function Action() {
  const { id } = useCell(route);
  const { data, problem, reload, replace } = useLoad(() => get(`/v1/actions/${encodeURIComponent(id)}`), [id]);
  const action = data?.id === id ? data : null; // never another action's words under this address
  const [refused, setRefused] = useState(null);
  const again = useMemo(() => calm(reload, 500), [reload]);
  useLive((news) => { if (news.kind === 'refresh' || news.id === id) again(); }, [again, id]);
  useEffect(() => setRefused(null), [id]);
  useDeadline(action, reload);
  useSpokenStatus(action);
  const onDone = (after, why) => {
    if (route.value.id !== id) return; // the answer to a vote came after its person had gone on to another
    setRefused(why && OVERTAKEN.includes(why.code) ? why : null);
    if (after?.request) replace(after);
    else reload();
  };
  // One heading before and after loading: it has the focus.
  return html`<h1 tabindex="-1">${action ? html`<${Text} value=${action.operation} />` : 'Action'}</h1>
    ${action ? html`<${Page} key=${action.id} ...${{ action, problem, refused, onDone, reload }} />`
      : html`<${Loading} what="the action" problem=${problem} reload=${reload} />`}`;
}

function Page({ action, problem, refused, onDone, reload }) {
  const { seen, changed, accept } = useSeen(action);
  const [shown, setShown] = useState(null);
  const check = useHashCheck(action);
  const guard = { check, changed, allShown: shown === action.payload_hash };
  return html`<p class="quiet id">${action.id}</p>
    ${problem && html`<${ProblemBox} problem=${problem}><button type="button" onClick=${reload}>Try again</button><//>`}
    ${changed && html`<${Changed} seen=${seen} action=${action} onSeen=${accept} />`}
    <div class="columns">
      <div class="column">
        <${Summary} action=${action} />
        <${Why} reasons=${action.reasons} />
        ${action.diff?.length > 0 && html`<${Diff} list=${action.diff} />`}
        <section class="card" aria-labelledby="request-title"><h2 id="request-title">The complete request</h2>
          <${Fields} key=${action.payload_hash} request=${action.request} onAllShown=${() => setShown(action.payload_hash)} />
          <${Payload} action=${action} check=${check} /></section>
        ${action.note && html`<${Note} note=${action.note} />`}
        ${action.result && html`<section class="card" aria-label="Result"><${Result} result=${action.result} /></section>`}
      </div>
      <${Aside} ...${{ action, guard, onDone, refused }} />
      <div class="column"><${Timeline} events=${action.timeline} /></div>
    </div>`;
}
