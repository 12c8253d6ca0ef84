// Small pieces that several pages share: badges, times, problems, the line that says what is at
// stake. Colour is never the only sign: each badge has words and a mark.
import { html } from './state.js';
import { useNow } from './live.js';
import { Text } from './text.js';

const COUNT = ['no', 'one', 'two', 'three', 'four', 'five', 'six'];
const countWord = (n) => COUNT[n] || String(n);

function tierWords({ tier, approvals }) {
  const needed = approvals?.required || tier - 1;
  if (tier === 0) return 'Tier 0: runs at once';
  if (tier === 1) return 'Tier 1: runs, people are told';
  return `Tier ${tier}: ${countWord(needed)} ${needed === 1 ? 'approver' : 'approvers'}`;
}

export const Tier = ({ action }) => html`<span class="badge tier${action.tier}">${tierWords(action)}</span>`;

const STATUS = {
  pending: ['◔', 'Waiting for a decision'],
  approved: ['✓', 'Approved, not sent yet'],
  sending: ['→', 'Being sent'],
  blocked: ['!', 'Blocked: the connection must be signed in again'],
  succeeded: ['✓', 'Succeeded'],
  failed: ['✕', 'Failed'],
  rejected: ['✕', 'Rejected'],
  expired: ['◕', 'Expired'],
  cancelled: ['–', 'Cancelled'],
  declined: ['✕', 'Declined by the provider'],
  denied: ['✕', 'Denied by policy'],
  unknown: ['?', 'Outcome unknown: a person must find out'],
};

export const statusWords = (status) => (STATUS[status] || ['?', status])[1];

export function Status({ status }) {
  const [mark, text] = STATUS[status] || ['?', status];
  return html`<span class=${`badge status ${status}`}><span aria-hidden="true">${mark} </span>${text}</span>`;
}

const timeWords = (iso) => new Date(iso).toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium' });

export const When = ({ at }) => (at ? html`<time datetime=${at} title=${at}>${timeWords(at)}</time>` : html`<span>–</span>`);

function leftWords(ms) {
  if (ms <= 0) return 'time is up';
  const s = Math.floor(ms / 1000);
  const [d, hours, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d > 0) return `${d} d ${hours} h left`;
  if (hours > 0) return `${hours} h ${String(m).padStart(2, '0')} min left`;
  return `${m} min ${String(s % 60).padStart(2, '0')} s left`;
}

// A timer to look at. It is not announced each second; the action page speaks at a few thresholds.
export function Countdown({ until }) {
  const left = Date.parse(until) - useNow();
  const pressing = left < 15 * 60000;
  return html`<span class=${`countdown${pressing ? ' pressing' : ''}`} role="timer">${pressing && html`<span aria-hidden="true">! </span>`}${leftWords(left)}</span>`;
}

// Amount and currency exactly as in the payload.
export function moneyWords(impact) {
  if (!impact || impact.amount === null || impact.amount === undefined) return null;
  return `${impact.amount} ${impact.currency || '(currency not given)'}`;
}

const noImpact = (impact) => !impact || (moneyWords(impact) === null && !impact.payee && (impact.rows === null || impact.rows === undefined));

// What is at stake, in one line: what the confirmation repeats and the inbox leads with.
export function Stake({ action }) {
  const { impact } = action;
  if (noImpact(impact)) return html`<span class="unknown-stake">Amount and payee not known: read every field</span>`;
  const rows = impact.rows ?? null;
  return html`<span class="stake">
    ${moneyWords(impact) && html`<b class="money"><${Text} value=${moneyWords(impact)} /></b>`}
    ${impact.payee && html`<span class="payee"> ${moneyWords(impact) ? 'to' : 'For'} <b><${Text} value=${impact.payee} /></b></span>`}
    ${rows !== null && html`<span class="rows"> ${moneyWords(impact) || impact.payee ? '· ' : ''}<b>${String(rows)}</b> ${rows === 1 ? 'record' : 'records'}</span>`}
  </span>`;
}

export const stakeKnown = (action) => !noImpact(action.impact);

// What it is, where, from whom.
export const Endpoint = ({ action }) => html`<b><${Text} value=${action.operation} /></b> on <${Text} value=${action.connection} />`;

export const Proposer = ({ action }) => html`<span>agent <${Text} value=${action.agent_name || action.agent || 'unnamed'} />${
  action.owner ? html` (owner <${Text} value=${action.owner} />)` : ''}</span>`;

export function given({ approvals }) {
  if (!approvals || !approvals.required) return '';
  const groups = (approvals.quorum || []).filter((part) => part.group).map((part) => `${part.count} of ${part.group}`);
  return `${approvals.given} of ${approvals.required} approvals given${groups.length ? ` (needs ${groups.join(', ')})` : ''}`;
}

export function ProblemBox({ problem, children }) {
  if (!problem) return null;
  return html`<div class="problem" role="alert">
    <p><b><${Text} value=${problem.title || 'Something went wrong'} /></b></p>
    ${problem.detail && html`<p><${Text} value=${problem.detail} lines /></p>`}
    ${children}
  </div>`;
}

export function Loading({ what, problem, reload }) {
  if (!problem) return html`<p class="quiet" aria-busy="true">Loading ${what}…</p>`;
  return html`<${ProblemBox} problem=${problem}><button type="button" onClick=${reload}>Try again</button><//>`;
}

export const More = ({ next, onMore }) => (next ? html`<p><button type="button" onClick=${onMore}>Show more</button></p>` : null);

export const person = (who) => (who && typeof who === 'object' ? who.email || who.person : who) || 'somebody';
