// What the whole page knows, each thing in one cell, and the hooks that read it.
// It refuses to guess: a cell that has not been loaded holds null, not an empty list.
import { h } from './vendor-preact.js';
import { useCallback, useEffect, useRef, useState } from './vendor-hooks.js';
import htm from './vendor-htm.js';

export const html = htm.bind(h);

export function cell(value) {
  const listeners = new Set();
  return {
    get value() { return value; },
    set(next) {
      value = next;
      for (const listen of [...listeners]) listen(next);
    },
    on(listen) {
      listeners.add(listen);
      return () => listeners.delete(listen);
    },
  };
}

export function useCell(source) {
  const [value, setValue] = useState(source.value);
  useEffect(() => {
    setValue(source.value); // it may have changed between render and effect
    return source.on(setValue);
  }, [source]);
  return value;
}

export const session = cell(null);   // {person, csrf}; null: nobody is signed in
export const waiting = cell(null);   // {items, next}: what waits for this person
export const unseen = cell(null);    // {count, more}: tier 1 notices not yet seen
export const freezes = cell([]);     // freezes in force
export const linked = cell(true);    // is the event stream up?
export const route = cell(parseRoute());
export const said = cell('');        // the last sentence for screen readers

// One polite live region serves the page. Only changes worth interrupting for go there.
export function announce(sentence) {
  said.set('');
  setTimeout(() => said.set(sentence), 50); // an emptied region makes a repeated sentence heard again
}

function parseRoute() {
  const [path, query] = location.hash.replace(/^#/, '').split('?');
  const [name, id] = path.split('/').filter(Boolean);
  return { name: name || 'inbox', id: id || null, query: new URLSearchParams(query || ''), hash: location.hash || '#/' };
}

addEventListener('hashchange', () => route.set(parseRoute()));

export function go(hash) {
  if (location.hash === hash) route.set(parseRoute());
  else location.hash = hash;
}

// Loads with `load` when `deps` change or `reload` is called. Old data stays in sight while new
// data comes, and an answer that has been overtaken by a later call is dropped.
export function useLoad(load, deps) {
  const [state, setState] = useState({ data: null, problem: null, loading: true });
  const turn = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++turn.current;
    try {
      const data = await load();
      if (mine === turn.current) setState({ data, problem: null, loading: false });
    } catch (problem) {
      if (mine === turn.current) setState((old) => ({ data: old.data, problem, loading: false }));
    }
  }, deps);
  const replace = useCallback((data) => {
    turn.current++;
    setState({ data, problem: null, loading: false });
  }, []);
  useEffect(() => {
    setState({ data: null, problem: null, loading: true });
    reload();
    return () => { turn.current++; };
  }, [reload]);
  return { ...state, reload, replace };
}
