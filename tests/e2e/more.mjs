// A real Chromium for the tests of the page. Every page made here watches itself: an error in the
// console, a violated content security policy, a request to anybody but Countersign, or a dialog that
// a script opened makes `clean()` fail.
//   CS_CHROMIUM   the browser (default /usr/bin/chromium)
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const PATIENCE_MS = 60_000; // a sanitized server and a browser on a busy machine

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 360, height: 740 };

export async function startBrowser(url) {
  const browser = await chromium.launch({ executablePath: process.env.CS_CHROMIUM ?? '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--no-first-run'] });
  const windows = [];
  return {
    // A window of its own: its own cookies, as another person's computer would have.
    async open({ viewport = WIDE, ...more } = {}) {
      const context = await browser.newContext({ viewport, locale: 'en-GB', timezoneId: 'UTC', ...more });
      context.setDefaultTimeout(PATIENCE_MS);
      const window = new Window(url, context, await context.newPage());
      await window.watch();
      windows.push(window);
      return window;
    },
    clean: () => windows.forEach((w) => w.clean()),
    stop: () => browser.close(),
  };
}

// What the browser itself writes down when the server says no or is away; the page tells the person.
const REFUSAL = /^Failed to load resource: (the server responded with a status of 4\d\d|net::ERR_(INTERNET_DISCONNECTED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_(REFUSED|RESET)|EMPTY_RESPONSE))/;

class Window {
  constructor(url, context, page) {
    Object.assign(this, { url, context, page, wrong: [] });
  }

  async watch() {
    const { page, wrong, url } = this;
    await page.exposeFunction('__violated', (what) => { wrong.push(`content security policy: ${what}`); });
    await page.addInitScript(() => addEventListener('securitypolicyviolation',
      (e) => self.__violated(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`)));
    page.on('console', (m) => { if (m.type() === 'error' && !REFUSAL.test(m.text())) wrong.push(`console: ${m.text()}`); });
    page.on('pageerror', (e) => wrong.push(`uncaught: ${e.stack}`));
    page.on('dialog', (d) => { wrong.push(`dialog: ${d.message()}`); d.dismiss().catch(() => {}); });
    page.on('request', (r) => { if (new URL(r.url()).origin !== url) wrong.push(`somebody else is asked: ${r.url()}`); });
  }

  clean() {
    assert.deepEqual(this.wrong, []);
  }

  async go(hash) {
    await this.page.goto(`${this.url}/${hash}`);
    await this.settled();
  }

  // The page has a heading and waits for nothing.
  settled() {
    return this.page.waitForFunction(() => document.querySelector('h1') && !document.querySelector('[aria-busy]') && !document.querySelector('.boot'));
  }

  async signIn({ email, password }, hash = '#/') {
    await this.page.goto(`${this.url}/${hash}`);
    await this.page.fill('#email', email);
    await this.page.fill('#password', password);
    await this.page.keyboard.press('Enter');
    await this.page.waitForSelector('header.top');
    await this.settled();
  }

  // Opens an action and waits until it may be decided about (or cannot be any more).
  async read(action) {
    await this.go(`#/actions/${action.id}`);
    await this.page.waitForFunction((id) => document.querySelector('.id')?.textContent === id && document.querySelector('.decision'), action.id);
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  says(selector, pattern) {
    return this.page.waitForFunction(([where, source]) => new RegExp(source, 'm').test(document.querySelector(where)?.innerText ?? ''), [selector, pattern.source]);
  }

  text(selector) {
    return this.page.locator(selector).innerText();
  }

  // Tab until the focus is on what has this accessible text; fails when a whole round did not meet it.
  async tabTo(name) {
    for (let i = 0; i < 120; i++) {
      await this.page.keyboard.press('Tab');
      const here = await this.page.evaluate(() => (document.activeElement.innerText || document.activeElement.id || '').trim());
      if (here === name) return;
    }
    throw new Error(`no Tab leads to "${name}"`);
  }

  async sideways() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  }

  async accessible(what) {
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate((rules) => self.axe.run(document, { runOnly: rules }), RULES);
    assert.deepEqual(violations.map((v) => `${what}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join(' | ')}`), []);
  }

  // Every leaf that the table shows, as [path, value], with escapes turned back into what they stand for.
  shownLeaves() {
    return this.page.evaluate(() => [...document.querySelectorAll('.fields:not(.changes) tbody tr')].filter((row) => row.querySelector('td')).map((row) => {
      const value = row.querySelector('td').cloneNode(true);
      const kind = value.querySelector('.kind')?.textContent ?? 'text';
      value.querySelectorAll('.kind').forEach((e) => e.remove());
      return [self.__plain(row.querySelector('th')), self.__plain(value).trim() || '', kind];
    }));
  }

  // A reader of the page's escapes that shares no code with the page.
  async learnEscapes() {
    await this.page.evaluate(() => {
      self.__plain = (element) => {
        const copy = element.cloneNode(true);
        copy.querySelectorAll('.oddnote').forEach((e) => e.remove());
        copy.querySelectorAll('.escape').forEach((e) => {
          const code = /^⟨U\+([0-9A-F]+)(?: ×(\d+))?⟩$/.exec(e.textContent);
          const space = /^⟨space(?: ×(\d+))?⟩$/.exec(e.textContent);
          if (!code && !space) throw new Error(`an escape that says ${e.textContent}`);
          // a shown new line is followed by a real one, which stands for nothing
          if (code?.[1] === '000A' && e.nextSibling?.nodeType === Node.TEXT_NODE) e.nextSibling.data = e.nextSibling.data.replace(/^\n/, '');
          e.textContent = code ? String.fromCodePoint(parseInt(code[1], 16)).repeat(Number(code[2] ?? 1)) : ' '.repeat(Number(space[1] ?? 1));
        });
        return copy.textContent;
      };
    });
  }
}
