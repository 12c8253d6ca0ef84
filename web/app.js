// The reviewer's page: starts, keeps the counts and freezes fresh, and shows the page that the
// address names. It decides nothing and stores nothing but the place to come back to.
import { Action } from './action.js';
import { get, getPages, loadSession, signOut } from './api.js';
import { FreezeBanner, FreezeButton, loadFreezes } from './freeze.js';
import { History } from './history.js';
import { Inbox } from './inbox.js';
import { Keys } from './keys.js';
import { calm, startLive, useLive } from './live.js';
import { Notices } from './notices.js';
import { announce, freezes, html, linked, route, said, session, unseen, useCell, waiting } from './state.js';
import { Loading, ProblemBox } from './parts.js';
import { SignIn } from './signin.js';
import { Text } from './text.js';
import { useEffect, useMemo, useState } from './vendor-hooks.js';
import { render } from './vendor-preact.js';

const TITLES = { inbox: 'Inbox', actions: 'Action', history: 'History', notices: 'Notices' };

async function loadWaiting(more) {
  const before = waiting.value?.items?.length || 0;
  try {
    const list = await getPages('/v1/reviews?scope=mine', more ? before + 1 : before);
    if (waiting.value?.items && list.items.length > before) announce(`${list.items.length} actions wait for you.`);
    waiting.set(list);
  } catch (problem) {
    if (!waiting.value?.items) waiting.set({ problem });
  }
}

async function loadUnseen() {
  const page = await get('/v1/notices?limit=50');
  const count = page.items.filter((notice) => !notice.seen).length;
  unseen.set({ count, more: Boolean(page.next) && count === page.items.length });
}

const quietly = (work) => work().catch(() => {}); // a count that cannot be had is not worth an alarm

function refresh(kind) {
  if (kind !== 'notice') loadWaiting();
  if (kind !== 'action') quietly(loadUnseen);
  if (kind !== 'action' && kind !== 'notice') quietly(loadFreezes);
}

function useFresh() {
  const calls = useMemo(() => {
    const call = (kind) => calm(() => refresh(kind));
    return { action: call('action'), notice: call('notice'), rest: call('rest') };
  }, []);
  useEffect(() => {
    refresh('rest');
    const timer = setInterval(() => { if (!document.hidden) calls.rest(); }, 60000); // freezes send no event
    return () => { clearInterval(timer); Object.values(calls).forEach((call) => call.stop()); };
  }, []);
  useLive((news) => (calls[news.kind] || calls.rest)(), []);
}

const counted = (list) => (list?.items ? `${list.items.length}${list.next ? '+' : ''}` : '');

function useTitle(name, list) {
  useEffect(() => {
    const count = counted(list);
    const title = Object.hasOwn(TITLES, name) ? `${TITLES[name]} – Countersign` : 'Countersign';
    document.title = `${count && count !== '0' ? `(${count}) ` : ''}${title}`;
  }, [name, list]);
}

let arriving = true; // the browser itself reads out a page it has just loaded

// After a change of page the reading place is its heading, as after a real page load; but what
// has taken the focus inside the page keeps it.
function useHeading(hash, query) {
  useEffect(() => {
    const first = arriving;
    arriving = false;
    if (first || document.activeElement?.closest('main *')) return;
    scrollTo(0, 0);
    document.querySelector(query.has('focus') ? '[data-search]' : 'h1')?.focus({ preventScroll: true });
  }, [hash]);
}

function NavLink({ name, href, current, count, children }) {
  return html`<a href=${href} aria-current=${name === current ? 'page' : null}>${children}${
    count && count !== '0' ? html` <span class="count">${count}</span>` : ''}</a>`;
}

function Header({ current }) {
  const list = useCell(waiting);
  const notices = useCell(unseen);
  const who = useCell(session);
  const [problem, setProblem] = useState(null);
  if (!who) return null; // signing out: this header is about to go
  const { person } = who;
  const leave = () => signOut().catch(setProblem);
  const skip = (event) => { event.preventDefault(); document.getElementById('main').focus(); };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <span class="brand">Countersign</span>
      <nav aria-label="Pages">
        <${NavLink} name="inbox" href="#/" current=${current} count=${counted(list)}>Inbox<//>
        <${NavLink} name="notices" href="#/notices" current=${current} count=${notices ? `${notices.count}${notices.more ? '+' : ''}` : ''}>Notices<//>
        <${NavLink} name="history" href="#/history" current=${current}>History<//>
      </nav>
      <div class="tools"><span class="who"><${Text} value=${person.email} /> (${person.role})</span>
        <${FreezeButton} /><${Keys} /><button type="button" onClick=${leave}>Sign out</button></div>
    </header>
    <${ProblemBox} problem=${problem} />`;
}

function Offline() {
  const up = useCell(linked);
  return html`<p class="offline" role="status">${up ? '' : 'Reconnecting… what you see may be out of date.'}</p>`;
}

const PAGES = {
  inbox: () => html`<${Inbox} onMore=${() => loadWaiting(true)} />`,
  actions: () => html`<${Action} />`,
  history: () => html`<${History} />`,
  notices: () => html`<${Notices} onChange=${() => quietly(loadUnseen)} />`,
};

function SignedIn() {
  const { name, hash, query } = useCell(route);
  useFresh();
  useTitle(name, useCell(waiting));
  useHeading(hash, query);
  const page = Object.hasOwn(PAGES, name) ? PAGES[name] : (() => html`<h1 tabindex="-1">There is no such page</h1><p><a href="#/">To the inbox</a></p>`);
  return html`<${Header} current=${name} /><${FreezeBanner} /><${Offline} />
    <main id="main" tabindex="-1">${page()}</main>`;
}

function App() {
  const who = useCell(session);
  const { name } = useCell(route);
  const spoken = useCell(said);
  return html`${who && name !== 'sign-in' ? html`<${SignedIn} key=${who.person.id} />` : html`<${SignIn} />`}
    <div class="visually-hidden" aria-live="polite" role="status">${spoken}</div>`;
}

const forget = () => { waiting.set(null); unseen.set(null); freezes.set([]); };

async function start() {
  const root = document.getElementById('app');
  try {
    await loadSession();
  } catch (problem) {
    if (problem.status !== 401) return show(root, html`<main class="boot"><h1>Countersign</h1><${Loading} problem=${problem} reload=${start} /></main>`);
  }
  show(root, html`<${App} />`);
  session.on((value) => { if (!value) forget(); });
  return startLive();
}

function show(root, page) {
  const seat = document.createElement('div');
  root.replaceChildren(seat);
  render(page, seat);
}

start();
