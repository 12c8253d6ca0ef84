// Deciding: the panel that votes, and the form that says how an unknown action ended. A vote
// carries the revision and binding of what was on the screen, so the server can refuse one that
// is about something else. Nothing here is done by a single key, and at tier 3 approving takes a
// second step that repeats what is at stake.
import { post } from './api.js';
import { Countdown, Endpoint, given, ProblemBox, Stake, stakeKnown, Tier } from './parts.js';
import { announce, html, session, useCell } from './state.js';
import { Text } from './text.js';
import { useEffect, useRef, useState } from './vendor-hooks.js';

// Refusals that say the action went on without this vote. The page around the panel shows them,
// since the panel itself goes or starts anew.
export const OVERTAKEN = ['already-decided', 'stale-revision', 'expired'];

// Reasons not sent yet, one for each decision: signing in again must not lose them, and what was
// written against an action must not be sent in its favour.
const drafts = new Map();

function useDraft(action, decision) {
  const key = `${action.id} ${decision}`;
  const [text, setText] = useState(drafts.get(key) || '');
  return [text, (next) => { drafts.set(key, next); setText(next); }];
}

const takesTwoSteps = (action) => action.tier !== 2;

function myVote(action) {
  const me = session.value?.person.id;
  return action.votes.find((vote) => vote.person === me && vote.counts)?.decision || null;
}

// Why the approve button is off, or null.
function whyNot(action, { check, allShown, changed }) {
  if (!action.can.approve) return action.can.why || 'You may not approve this.';
  if (check === 'differs') return 'What is shown does not hash to the payload that would be sent.';
  if (check === 'checking') return 'The payload is being checked.';
  if (changed) return 'It changed while you looked: read the changes and confirm that you have seen them.';
  if (!allShown) return 'Not every field has been opened yet.';
  return null;
}

function useVote(action, onDone) {
  const [state, setState] = useState({ busy: false, problem: null });
  const vote = async (decision, reason) => {
    setState({ busy: true, problem: null });
    try {
      const body = { decision, revision: action.revision, binding: action.binding };
      if (reason) body.reason = reason;
      const after = await post(`/v1/actions/${action.id}/votes`, body);
      drafts.delete(`${action.id} ${decision}`);
      setState({ busy: false, problem: null });
      announce(decision === 'approve' ? 'Your approval is recorded.' : 'Your rejection is recorded.');
      onDone(after, null);
    } catch (problem) {
      setState({ busy: false, problem: OVERTAKEN.includes(problem.code) ? null : problem });
      onDone(null, problem);
    }
  };
  return { ...state, vote };
}

function Reason({ id, label, value, onInput, hint, invalid }) {
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <textarea id=${id} rows="3" maxlength="2000" value=${value} onInput=${(e) => onInput(e.target.value)}
      aria-describedby=${`${id}-hint`} aria-invalid=${invalid ? 'true' : null}></textarea>
    <p class="hint" id=${`${id}-hint`}>${invalid && html`<b>A reason is needed. </b>`}${hint}</p>
  </div>`;
}

// Takes the focus when it opens, so that it is read out and a held Enter presses nothing.
function Step({ title, children }) {
  const box = useRef(null);
  useEffect(() => { box.current.focus(); }, []);
  return html`<div class="step" role="group" aria-labelledby="step-title" tabindex="-1" ref=${box}>
    <h3 id="step-title">${title}</h3>${children}</div>`;
}

function Confirm({ action, busy, off, onYes, onBack }) {
  return html`<${Step} title="Approve this?">
    <p class="repeat"><${Stake} action=${action} /></p>
    <p><${Endpoint} action=${action} />. ${action.tier >= 3 && html`<${Tier} action=${action} />`}</p>
    ${!stakeKnown(action) && html`<p class="warn">Countersign could not work out amount and payee. Approve only what you have read.</p>`}
    <div class="buttons">
      <button type="button" onClick=${onBack}>Go back</button>
      <button type="button" class="approve" aria-disabled=${off || busy ? 'true' : null} onClick=${onYes}>
        ${busy ? 'Sending…' : 'Yes, approve exactly this'}</button>
    </div>
    ${off && html`<p class="hint">${off}</p>`}
  <//>`;
}

function Reject({ draft, setDraft, busy, onYes, onBack }) {
  const [missing, setMissing] = useState(false);
  const submit = () => {
    if (!draft.trim()) {
      setMissing(true);
      document.getElementById('reject-reason').focus();
    } else onYes();
  };
  return html`<${Step} title="Reject this?">
    <${Reason} id="reject-reason" label="Why do you reject it?" value=${draft} onInput=${setDraft}
      hint="The agent and the audit log get this." invalid=${missing && !draft.trim()} />
    <div class="buttons">
      <button type="button" onClick=${onBack}>Go back</button>
      <button type="button" class="reject" aria-disabled=${busy ? 'true' : null} onClick=${submit}>${busy ? 'Sending…' : 'Reject'}</button>
    </div>
  <//>`;
}

function approveWords(action, mine) {
  if (mine === 'approve') return 'Approved by you';
  return takesTwoSteps(action) ? 'Approve…' : 'Approve';
}

function Choice({ action, off, mine, draft, setDraft, busy, onApprove, onReject }) {
  const lead = action.can.approve || action.can.reject ? 'Approve is off' : 'You cannot vote';
  const why = off && html`<p class="why" id="why-not">${lead}: <${Text} value=${off} /></p>`;
  return html`
    ${mine && html`<p class="voted">You ${mine === 'approve' ? 'approved' : 'rejected'} this. You may still change your mind until it is decided.</p>`}
    ${action.can.approve && html`<${Reason} id="approve-reason" label="Reason for approving (optional)"
      value=${draft} onInput=${setDraft} hint="Kept in the audit log." />`}
    <div class="buttons">
      <button type="button" class="approve" aria-disabled=${off || busy || mine === 'approve' ? 'true' : null}
        aria-describedby=${off ? 'why-not' : null} onClick=${onApprove}>${busy ? 'Sending…' : approveWords(action, mine)}</button>
      <button type="button" class="reject" aria-disabled=${action.can.reject && !busy ? null : 'true'}
        aria-describedby=${action.can.reject ? null : 'why-not'} onClick=${onReject}>Reject…</button>
    </div>
    ${why}`;
}

function Hint({ problem }) {
  if (!problem) return null;
  if (problem.code === 'step-up-required') {
    return html`<p>This page cannot take that proof. Signing in again may be enough: <a href="#/sign-in">sign in again</a>.</p>`;
  }
  if (problem.code === 'csrf') return html`<p>Your session was renewed, perhaps by another tab. Please decide again.</p>`;
  return null;
}

// `guard` is {check, allShown, changed}; the parent gives the panel a key with the revision in
// it, so that a step half taken never outlives what it was about.
export function Decision({ action, guard, onDone }) {
  const [step, setStep] = useState('choose');
  const [reason, setReason] = useDraft(action, 'approve');
  const [against, setAgainst] = useDraft(action, 'reject');
  const { busy, problem, vote } = useVote(action, onDone);
  useCell(session);
  const panel = useRef(null);
  const off = whyNot(action, guard);
  const mine = myVote(action);
  const back = () => { setStep('choose'); panel.current.focus(); };
  const send = (decision) => async () => {
    if (busy || (decision === 'approve' && off)) return;
    panel.current.focus(); // the pressed button is about to go
    setStep('choose');
    await vote(decision, (decision === 'approve' ? reason : against).trim());
  };
  const approve = () => {
    if (off || busy || mine === 'approve') return;
    if (takesTwoSteps(action)) setStep('confirm');
    else send('approve')();
  };
  const reject = () => { if (action.can.reject && !busy) setStep('reject'); };
  return html`<section class="card decision" aria-labelledby="decision-title">
    <h2 id="decision-title" tabindex="-1" ref=${panel}>Your decision</h2>
    <p class="clock"><${Countdown} until=${action.decide_by} /> <span class="quiet">${given(action)}</span></p>
    <${ProblemBox} problem=${problem}><${Hint} problem=${problem} /><//>
    ${step === 'choose' && html`<${Choice} ...${{ action, off, mine, busy }} draft=${reason} setDraft=${setReason}
      onApprove=${approve} onReject=${reject} />`}
    ${step === 'confirm' && html`<${Confirm} action=${action} busy=${busy} off=${off} onYes=${send('approve')} onBack=${back} />`}
    ${step === 'reject' && html`<${Reject} draft=${against} setDraft=${setAgainst} busy=${busy} onYes=${send('reject')} onBack=${back} />`}
  </section>`;
}

// For an action whose request left and whose answer was lost: a person looked and says what happened.
export function Reconcile({ action, onDone }) {
  const [outcome, setOutcome] = useState('');
  const [evidence, setEvidence] = useState('');
  const [state, setState] = useState({ busy: false, problem: null, missing: false });
  const submit = async (event) => {
    event.preventDefault();
    if (state.busy) return;
    if (!outcome || !evidence.trim()) return setState({ ...state, missing: true });
    setState({ busy: true, problem: null, missing: false });
    try {
      const after = await post(`/v1/actions/${action.id}/reconcile`, { outcome, evidence: evidence.trim() });
      announce('The outcome is recorded.');
      onDone(after, null);
    } catch (problem) {
      setState({ busy: false, problem, missing: false });
      onDone(null, problem);
    }
  };
  const radio = (value, text) => html`<label class="radio"><input type="radio" name="outcome" value=${value}
    checked=${outcome === value} onChange=${() => setOutcome(value)} /> ${text}</label>`;
  return html`<section class="card decision" aria-labelledby="reconcile-title">
    <h2 id="reconcile-title" tabindex="-1">What happened?</h2>
    <p>The request was sent and no answer came back. Countersign will not send it again. Look at the provider, then say what you found.</p>
    <${ProblemBox} problem=${state.problem} />
    <form onSubmit=${submit} noValidate>
      <fieldset><legend>At the provider, it</legend>
        ${radio('succeeded', 'took effect (succeeded)')}${radio('failed', 'had no effect (failed)')}</fieldset>
      <div class="field"><label for="evidence">What shows that?</label>
        <textarea id="evidence" rows="3" maxlength="4000" value=${evidence} onInput=${(e) => setEvidence(e.target.value)}
          aria-describedby="evidence-hint"></textarea>
        <p class="hint" id="evidence-hint">For example the provider's id of the transfer, or where you looked. Kept in the audit log.</p></div>
      ${state.missing && html`<p class="warn" role="alert">Choose one of the two and say what shows it.</p>`}
      <div class="buttons"><button class="primary" aria-disabled=${state.busy ? 'true' : null}>${state.busy ? 'Sending…' : 'Record the outcome'}</button></div>
    </form>
  </section>`;
}
