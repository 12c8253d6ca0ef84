// News from the server: one event stream for all tabs of a browser (HTTP/1.1 allows six
// connections to a host, and a reviewer opens ten tabs), a shared one-second clock, and `calm`.
// Events only say that something changed; what changed is always fetched, so a lost event
// costs time and never truth.
import { get, now, sessionEnded } from './api.js';
import { linked, session } from './state.js';
import { useEffect, useState } from './vendor-hooks.js';

const KINDS = ['action', 'notice', 'freeze'];
const listeners = new Set();
const channel = 'BroadcastChannel' in self ? new BroadcastChannel('countersign') : null;
let stream = null;
let leading = false;
let retry = 0;

function tell(message) {
  if (message.up !== undefined) linked.set(message.up);
  if (message.kind) for (const listen of [...listeners]) listen(message);
}

function tellAll(message) {
  tell(message);
  if (channel) channel.postMessage(message);
}

// `missed`: events may have passed by since the last stream.
function connect(missed = false) {
  clearTimeout(retry);
  if (!session.value || !leading) return;
  if (stream) stream.close();
  const mine = stream = new EventSource('/v1/events');
  let before = linked.value && !missed;
  mine.onopen = () => {
    if (!before) tellAll({ up: true, kind: 'refresh' }); // what happened meanwhile is unknown
    else tellAll({ up: true });
    before = true;
  };
  mine.onerror = () => {
    before = false;
    tellAll({ up: false });
    if (mine === stream && mine.readyState === EventSource.CLOSED) reconnect();
  };
  for (const kind of KINDS) {
    mine.addEventListener(kind, (event) => tellAll({ kind, id: idOf(event.data) }));
  }
}

// The browser does not try again after an HTTP error. The probe tells an ended session from a
// server that is starting.
function reconnect() {
  retry = setTimeout(async () => {
    try {
      await get('/v1/me');
    } catch (problem) {
      if (problem.status === 401) return sessionEnded();
    }
    connect();
  }, 2000 + Math.random() * 3000);
}

function idOf(data) {
  try {
    const parsed = JSON.parse(data);
    return parsed.id || parsed.action || null;
  } catch {
    return null;
  }
}

// The tab that holds the lock has the stream; when it closes, the next one takes over.
// Without locks (plain http on another host than localhost) each tab has its own.
export function startLive() {
  const asked = Date.now();
  const lead = () => {
    leading = true;
    connect(Date.now() - asked > 1000); // another tab led until now
    return new Promise(() => {});
  };
  if (channel && navigator.locks) {
    channel.onmessage = (event) => tell(event.data);
    navigator.locks.request('countersign.events', lead);
  } else {
    lead();
  }
  session.on((value) => {
    if (value) connect();
    else if (stream) stream.close();
  });
  addEventListener('online', () => connect(true));
}

export function useLive(listen, deps) {
  useEffect(() => {
    listeners.add(listen);
    return () => listeners.delete(listen);
  }, deps);
}

// Runs `work` soon, then at most once in `gap`, and never loses the last call.
export function calm(work, gap = 1500) {
  let last = 0;
  let timer = 0;
  const call = () => {
    if (timer) return;
    timer = setTimeout(() => { timer = 0; last = Date.now(); work(); }, Math.max(150, last + gap - Date.now()));
  };
  call.stop = () => clearTimeout(timer);
  return call;
}

const tickers = new Set();
setInterval(() => { for (const tick of [...tickers]) tick(now()); }, 1000);

export function useNow() {
  const [time, setTime] = useState(now());
  useEffect(() => {
    tickers.add(setTime);
    return () => tickers.delete(setTime);
  }, []);
  return time;
}
