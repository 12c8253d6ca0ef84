// The one way to talk to Countersign: same origin, JSON, and every refusal thrown as a Problem
// that carries the server's own words. It keeps nothing but the session and the server's clock.
import { go, session } from './state.js';

const URN = 'urn:countersign:';
const NEXT = 'countersign.next';
let clockAhead = 0; // the server's clock minus ours, in milliseconds

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || 'Something went wrong');
    this.status = status;
    this.code = String(body.type || '').startsWith(URN) ? body.type.slice(URN.length) : '';
    this.title = body.title || `The server answered ${status}`;
    this.detail = body.detail || '';
    this.body = body;
  }
}

// Deadlines are the server's, so they are counted by the server's clock.
export const now = () => Date.now() + clockAhead;

function noteClock(response) {
  const theirs = Date.parse(response.headers.get('date') || '');
  if (Number.isNaN(theirs)) return;
  const ahead = theirs - Date.now();
  clockAhead = Math.abs(ahead) > 2000 ? ahead : 0; // Date has whole seconds: less is no skew
}

async function send(method, path, body) {
  const headers = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (method !== 'GET' && session.value) headers['x-csrf-token'] = session.value.csrf;
  try {
    return await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin', cache: 'no-store', redirect: 'error',
    });
  } catch {
    throw new Problem({ type: `${URN}offline`, title: 'Countersign cannot be reached',
      detail: method === 'GET' ? 'What you see may be out of date.'
        : 'No answer came back, so it is not known whether this arrived. The same decision sent twice counts once.' }, 0);
  }
}

async function read(response) {
  const text = await response.text();
  if (!text) return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem({ title: 'The answer could not be read',
      detail: `Status ${response.status}, but not JSON. A proxy may stand in between.` }, response.status);
  }
}

export async function request(method, path, body) {
  const response = await send(method, path, body);
  noteClock(response);
  const answer = await read(response);
  if (response.ok) return answer;
  const problem = new Problem(answer, response.status);
  if (response.status === 401 && problem.code !== 'step-up-required' && path !== '/v1/login') sessionEnded();
  if (problem.code === 'csrf') await renewSession();
  throw problem;
}

export const get = (path) => request('GET', path);
export const post = (path, body) => request('POST', path, body);

export async function loadSession() {
  session.set(await get('/v1/me'));
}

// Another tab may have signed in anew: take over its token, so that trying again works.
async function renewSession() {
  try { await loadSession(); } catch { /* sessionEnded has been called where it ended */ }
}

export async function signIn(email, password) {
  session.set(await post('/v1/login', { email, password }));
}

// Throws where the server did not end the session: saying "signed out" would then be untrue.
export async function signOut() {
  await post('/v1/logout', {});
  sessionStorage.removeItem(NEXT);
  session.set(null);
  go('#/sign-in');
}

// Keeps the place, so that signing in comes back to it.
export function sessionEnded() {
  const ended = session.value !== null;
  if (!location.hash.startsWith('#/sign-in')) {
    sessionStorage.setItem(NEXT, location.hash || '#/');
    go(ended ? '#/sign-in?ended=1' : '#/sign-in');
  }
  if (ended) session.set(null);
}

export function takeNext() {
  const next = sessionStorage.getItem(NEXT) || '#/';
  sessionStorage.removeItem(NEXT);
  return next.startsWith('#/') && !next.startsWith('#/sign-in') ? next : '#/';
}

// A list as long as it was before, however many pages that takes.
export async function getPages(path, atLeast) {
  const glue = path.includes('?') ? '&' : '?';
  const items = [];
  let next = null;
  do {
    const page = await get(`${path}${glue}limit=50${next ? `&cursor=${encodeURIComponent(next)}` : ''}`);
    items.push(...page.items);
    next = page.next || null;
  } while (next && items.length < atLeast);
  return { items, next };
}
