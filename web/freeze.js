// Stopping everything, or one agent, connection or operation: the banner that says what is
// frozen, and the dialog that freezes. Releasing takes a second step, since what was approved
// meanwhile is then sent.
import { get, post, request } from './api.js';
import { person, ProblemBox, When } from './parts.js';
import { announce, freezes, html, session, useCell } from './state.js';
import { Text } from './text.js';
import { useEffect, useRef, useState } from './vendor-hooks.js';

export async function loadFreezes() {
  const answer = await get('/v1/freeze');
  freezes.set(answer.items || []);
}

const mayFreeze = () => ['admin', 'approver'].includes(session.value?.person.role);

function scopeWords(scope) {
  if (scope.workspace) return 'everything';
  const [kind, name] = Object.entries(scope)[0] || ['', ''];
  return `${kind} ${name}`;
}

function Frozen({ freeze }) {
  const [sure, setSure] = useState(false);
  const [problem, setProblem] = useState(null);
  const release = async () => {
    try {
      await request('DELETE', `/v1/freeze/${encodeURIComponent(freeze.id)}`);
      announce('Released.');
      document.getElementById('main').focus();
    } catch (why) { setProblem(why); }
    await loadFreezes().catch(() => {});
  };
  return html`<div class="freeze">
    <p><b>Frozen: <${Text} value=${scopeWords(freeze.scope)} />.</b> Nothing of it is sent.
      ${freeze.reason && html` “<${Text} value=${freeze.reason} />”`}
      ${freeze.set_by && html` <span>By <${Text} value=${person(freeze.set_by)} />, <${When} at=${freeze.set_at} />.</span>`}</p>
    ${mayFreeze() && (sure
      ? html`<p>Approved actions that wait will be sent.
          ${' '}<button type="button" onClick=${() => setSure(false)}>Keep frozen</button>
          ${' '}<button type="button" class="primary" onClick=${release}>Yes, release</button></p>`
      : html`<p><button type="button" onClick=${() => setSure(true)}>Release…</button></p>`)}
    <${ProblemBox} problem=${problem} />
  </div>`;
}

export function FreezeBanner() {
  const list = useCell(freezes);
  if (list.length === 0) return null;
  return html`<section aria-label="Freezes in force" class="freezes">${list.map((freeze) => html`<${Frozen} key=${freeze.id} freeze=${freeze} />`)}</section>`;
}

const SCOPES = [
  ['workspace', 'Everything'], ['agent', 'One agent (its id, agt_…)'],
  ['connection', 'One connection (its name)'], ['operation', 'One operation (its name)'],
];

function FreezeForm({ onDone }) {
  const [kind, setKind] = useState('workspace');
  const [name, setName] = useState('');
  const [reason, setReason] = useState('');
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    if (!reason.trim() || (kind !== 'workspace' && !name.trim())) {
      return setProblem({ title: 'Something is missing', detail: 'Say what to freeze, and why.' });
    }
    try {
      await post('/v1/freeze', { scope: { [kind]: kind === 'workspace' ? true : name.trim() }, reason: reason.trim() });
      announce('Frozen.');
      onDone();
    } catch (why) { setProblem(why); }
    return loadFreezes().catch(() => {});
  };
  return html`<form onSubmit=${submit} noValidate>
    <p>Nothing of the scope is sent until it is released. Approved actions wait; they are not lost.</p>
    <${ProblemBox} problem=${problem} />
    <div class="field"><label for="freeze-kind">What to freeze</label>
      <select id="freeze-kind" value=${kind} onChange=${(e) => setKind(e.target.value)}>
        ${SCOPES.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select></div>
    ${kind !== 'workspace' && html`<div class="field"><label for="freeze-name">Which ${kind}</label>
      <input id="freeze-name" value=${name} onInput=${(e) => setName(e.target.value)} autocomplete="off" spellcheck=${false} /></div>`}
    <div class="field"><label for="freeze-reason">Why</label>
      <input id="freeze-reason" value=${reason} onInput=${(e) => setReason(e.target.value)} autocomplete="off" /></div>
    <div class="buttons"><button type="button" onClick=${onDone}>Go back</button><button class="reject">Freeze</button></div>
  </form>`;
}

export function FreezeButton() {
  const [open, setOpen] = useState(false);
  const dialog = useRef(null);
  useEffect(() => {
    if (open && !dialog.current.open) dialog.current.showModal();
    if (!open && dialog.current?.open) dialog.current.close();
  }, [open]);
  if (!mayFreeze()) return null;
  return html`<button type="button" onClick=${() => setOpen(true)}>Freeze…</button>
    <dialog ref=${dialog} aria-labelledby="freeze-title" onClose=${() => setOpen(false)}>
      <h2 id="freeze-title">Freeze</h2>${open && html`<${FreezeForm} onDone=${() => setOpen(false)} />`}</dialog>`;
}
