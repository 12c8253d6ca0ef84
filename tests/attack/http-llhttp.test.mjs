// The request cases of llhttp (Node's parser) against ours. For each, llhttp's verdict is in its file;
// what differs is listed here, by name and with the reason, in both directions: a difference that is
// not listed fails, and so does a listed one that is no longer there.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { SHARED, startServer } from '../e2e/harness.mjs';
import { exchange, statuses } from './http-wire.mjs';

const FOLDER = path.join(SHARED, 'vectors/llhttp/test/request');
const skip = fs.existsSync(FOLDER) ? false : `no vectors in ${FOLDER}`;

let s;
before(async () => { if (!skip) s = await startServer({ empty: true, config: { limits: { request_time: '1s' } } }); });
after(async () => { await s?.stop(); });

// As llhttp's own runner reads an ```http block.
function bytesOf(block) {
  return block.replace(/\n$/, '')
    .replace(/\\(\r\n|\r|\n)/g, '')
    .replace(/\r\n|\r|\n/g, '\r\n')
    .replace(/\\r/g, '\r').replace(/\\n/g, '\n').replace(/\\t/g, '\t').replace(/\\f/g, '\f')
    .replace(/\\x([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

// Only cases for the strict parser of requests; lenient ones are about switches that we do not have.
function* cases() {
  for (const file of fs.readdirSync(FOLDER).sort()) {
    const text = fs.readFileSync(path.join(FOLDER, file), 'utf8');
    const blocks = text.matchAll(/^#+ (.+)\n(?:(?!^#)[^])*?<!-- meta=(\{.*\}) -->\n```http\n((?:(?!```)[^])*)```(?:(?!```)[^])*```log\n((?:(?!```)[^])*)```/gm);
    const seen = new Map();
    for (const [, title, meta, http, log] of blocks) {
      const { type, mode } = JSON.parse(meta);
      if (type !== 'request' || mode === 'lenient') continue;
      const n = (seen.get(title) ?? 0) + 1;
      seen.set(title, n);
      const code = Number(/error code=(\d+)/.exec(log)?.[1] ?? 0);
      // 21 to 23 are pauses (an upgrade, a callback that asked for it): no verdict against the bytes
      yield { name: `${file}: ${title}${n > 1 ? ` (${n})` : ''}`, bytes: bytesOf(http), refuse: code > 0 && (code < 21 || code > 23) };
    }
  }
}

// Most cases have no Host, which would hide what they are about.
function withHost(bytes) {
  return /^host *:/im.test(bytes) ? bytes : bytes.replace(/^(\S+ \S+ HTTP\/1\.1)(\r?\n)/gm, '$1$2Host: x$2');
}

const REFUSALS = new Set([400, 413, 414, 431, 501, 505]);

// By the last answer. 'waits': it never became a whole request, and was ended by the clock.
async function verdict(bytes) {
  const last = statuses(await exchange(s.port, withHost(bytes))).at(-1);
  if (last === undefined || last === 408) return 'waits';
  return REFUSALS.has(last) ? 'refused' : 'taken';
}

// llhttp refuses, we take.
const BEHIND_CLOSE = 'what follows a request that ends its connection is never read, and never answered';
const ANY_METHOD = 'any token may be a method; one that is not known gets 404 or 405 and does nothing';
const WE_TAKE = {
  'connection.md: CRLF between requests, explicit `close`': BEHIND_CLOSE,
  'connection.md: CRLF between requests, explicit `close` followed by tab': BEHIND_CLOSE,
  'connection.md: No restart when keep-alive is off (1.0)': BEHIND_CLOSE,
  'invalid.md: HTTP protocol and ANNOUNCE method': ANY_METHOD,
  'invalid.md: Invalid method': ANY_METHOD,
  'transfer-encoding.md: No extension after semicolon': 'libmicrohttpd skips chunk extensions unseen; the size is read the same',
};

// llhttp takes, we refuse: stricter on purpose.
const ORIGIN_FORM = 'only the origin form of a target is taken, without a fragment';
const HTTP_ONLY = 'only HTTP/1.1 and HTTP/1.0 are spoken';
const ONE_CODING = 'the only transfer coding taken is chunked, alone';
const BARE_NUMBER = 'libmicrohttpd takes no white space behind the number';
const WE_REFUSE = {
  'content-length.md: Spaces in `Content-Length` (surrounding)': BARE_NUMBER,
  'content-length.md: Tabs in `Content-Length` (surrounding)': BARE_NUMBER,
  'method.md: ANNOUNCE request with RTSP': HTTP_ONLY,
  'method.md: CONNECT request': ORIGIN_FORM,
  'method.md: CONNECT request with CAPS': ORIGIN_FORM,
  'method.md: CONNECT with body': ORIGIN_FORM,
  'method.md: M-SEARCH request': ORIGIN_FORM,
  'method.md: OPTIONS request with RTSP': HTTP_ONLY,
  'method.md: PRI request HTTP2': ORIGIN_FORM,
  'method.md: SOURCE request with ICE': HTTP_ONLY,
  'sample.md: No HTTP version': HTTP_ONLY,
  'transfer-encoding.md: POST with `chunked` as last transfer-encoding': ONE_CODING,
  'transfer-encoding.md: POST with `chunked` as last transfer-encoding (multiple headers)': ONE_CODING,
  'uri.md: Fragment in URI': ORIGIN_FORM,
  'uri.md: Host terminated by a query string': ORIGIN_FORM,
  'uri.md: Underscore in hostname': ORIGIN_FORM,
  'uri.md: `host:port` and basic auth': ORIGIN_FORM,
  'uri.md: `host:port` terminated by a query string': ORIGIN_FORM,
  'uri.md: `host:port` terminated by a space': ORIGIN_FORM,
};

test('every case of llhttp has the verdict that is written here', { skip, timeout: 600_000 }, async () => {
  const all = [...cases()];
  assert.ok(all.length > 100, `only ${all.length} cases were found`);
  const taken = [];
  const refused = [];
  await Promise.all(all.map(async (c) => {
    const ours = await verdict(c.bytes);
    if (c.refuse && ours === 'taken') taken.push(c.name);
    if (!c.refuse && ours === 'refused') refused.push(c.name);
  }));
  assert.deepEqual({ taken: taken.sort(), refused: refused.sort() },
    { taken: Object.keys(WE_TAKE).sort(), refused: Object.keys(WE_REFUSE).sort() });
});
