// The people's part over HTTP: sign in, look, vote, read the audit log. What a browser would do.

export class Person {
  constructor(url, { email, password, role }) {
    Object.assign(this, { url, email, password, role, voted: new Set() });
  }

  get name() {
    return this.email.split('@')[0];
  }

  async call(method, path, body) {
    const headers = { 'Content-Type': 'application/json' };
    if (this.cookie) headers.Cookie = this.cookie;
    if (this.csrf) headers['X-CSRF-Token'] = this.csrf;
    const answer = await fetch(`${this.url}${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    let data;
    try { data = text ? JSON.parse(text) : null; } catch { data = { detail: text.slice(0, 300) }; }
    if (answer.ok) return { data, answer };
    const why = `${answer.status} ${data?.type ?? ''} ${data?.detail ?? ''}`.trim();
    throw Object.assign(new Error(`${method} ${path} as ${this.email}: ${why}`), { status: answer.status });
  }

  async signIn() {
    const { data, answer } = await this.call('POST', '/v1/login', { email: this.email, password: this.password });
    this.cookie = answer.headers.getSetCookie().map((c) => c.split(';')[0]).join('; ');
    this.csrf = data.csrf;
  }

  // Approves what waits for this person; answers what was approved. Somebody else may be quicker.
  async approveAll() {
    const approved = [];
    const { data } = await this.call('GET', '/v1/reviews');
    for (const { id } of data.items) {
      const { data: action } = await this.call('GET', `/v1/actions/${id}`);
      const vote = `${id}.${action.revision}`;
      if (!action.can?.approve || this.voted.has(vote)) continue;
      try {
        await this.call('POST', `/v1/actions/${id}/votes`,
          { decision: 'approve', revision: action.revision, binding: action.binding, reason: 'seen in the demo' });
      } catch (error) {
        if (error.status !== 409) throw error;
        continue;
      }
      this.voted.add(vote);
      approved.push(action);
    }
    return approved;
  }

  // The whole audit log, oldest first.
  async audit() {
    const events = [];
    for (let cursor = ''; cursor !== null;) {
      const { data } = await this.call('GET', `/v1/audit?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      events.push(...data.items);
      cursor = data.next ?? null;
    }
    return events.reverse();
  }
}
