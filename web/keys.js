// The keyboard: moving, searching, help. No key decides anything. Single keys can be turned off
// for those who speak to their computer or slip (WCAG 2.1.4).
import { go, html } from './state.js';
import { useEffect, useRef, useState } from './vendor-hooks.js';

const OFF = 'countersign.keys.off';
const KEYS = [
  ['j', 'Next row', () => move(1)],
  ['k', 'Row before', () => move(-1)],
  ['u', 'Back to the inbox', () => go('#/')],
  ['/', 'Search the history', search],
];

const inField = (element) => element.closest('input, textarea, select, [contenteditable], dialog');

function move(by) {
  const rows = [...document.querySelectorAll('[data-row]')];
  const here = rows.indexOf(document.activeElement);
  const next = here < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, here + by));
  rows[next]?.focus();
}

function search() {
  const field = document.querySelector('[data-search]');
  if (field) field.focus();
  else go('#/history?focus=1');
}

function useKeys(openHelp) {
  useEffect(() => {
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.repeat && event.key === '?') return;
      if (localStorage.getItem(OFF) || inField(event.target)) return;
      const known = KEYS.find(([key]) => key === event.key);
      if (known) known[2]();
      else if (event.key === '?') openHelp();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

export function Keys() {
  const dialog = useRef(null);
  const [off, setOff] = useState(Boolean(localStorage.getItem(OFF)));
  const open = () => { if (!dialog.current.open) dialog.current.showModal(); };
  useKeys(open);
  const toggle = (event) => {
    if (event.target.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, '1');
    setOff(!event.target.checked);
  };
  return html`<button type="button" onClick=${open}>Keys</button>
    <dialog ref=${dialog} aria-labelledby="keys-title"><h2 id="keys-title">Keys</h2>
      <dl class="keys">${[...KEYS, ['Enter', 'Open the row'], ['?', 'This list']].map(([key, text]) => html`<div>
        <dt><kbd>${key}</kbd></dt><dd>${text}</dd></div>`)}</dl>
      <p>No key approves or rejects: that takes the buttons.</p>
      <p><label class="radio"><input type="checkbox" checked=${!off} onChange=${toggle} /> Single keys are on</label></p>
      <div class="buttons"><button type="button" class="primary" onClick=${() => dialog.current.close()}>Close</button></div>
    </dialog>`;
}
