// Signing in, and coming back to the page that asked for it.
import { signIn, takeNext } from './api.js';
import { ProblemBox } from './parts.js';
import { go, html, route, useCell } from './state.js';
import { useState } from './vendor-hooks.js';

export function SignIn() {
  const ended = useCell(route).query.has('ended');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [state, setState] = useState({ busy: false, problem: null });
  const submit = async (event) => {
    event.preventDefault();
    if (state.busy) return;
    setState({ busy: true, problem: null });
    try {
      await signIn(email.trim(), password);
      go(takeNext());
    } catch (problem) {
      setPassword('');
      setState({ busy: false, problem });
    }
  };
  return html`<main id="main" class="signin"><h1 tabindex="-1">Sign in to Countersign</h1>
    ${ended && !state.problem && html`<p class="warn" role="status">Your session ended. Sign in to come back to where you were.</p>`}
    <${ProblemBox} problem=${state.problem} />
    <form onSubmit=${submit} class="card">
      <div class="field"><label for="email">Email</label>
        <input id="email" type="email" autocomplete="username" required value=${email} onInput=${(e) => setEmail(e.target.value)} /></div>
      <div class="field"><label for="password">Password</label>
        <input id="password" type="password" autocomplete="current-password" required value=${password} onInput=${(e) => setPassword(e.target.value)} /></div>
      <div class="buttons"><button class="primary" aria-disabled=${state.busy ? 'true' : null}>${state.busy ? 'Signing in…' : 'Sign in'}</button></div>
    </form></main>`;
}
