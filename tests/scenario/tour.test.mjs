// What the pages for people say is so: docs/TOUR.md names what exists, links lead somewhere, commands
// and make targets are there, and the README's examples do what it says, against a whole Countersign.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, expect, startServer, until } from '../e2e/harness.mjs';

const read = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');
const PAGES = ['README.md', ...fs.readdirSync(path.join(ROOT, 'docs')).filter((n) => n.endsWith('.md')).map((n) => `docs/${n}`)];
const MINE = ['README.md', 'docs/OPERATIONS.md', 'docs/SECURITY.md'];

let s;
let alice;
before(async () => {
  s = await startServer();
  alice = await s.login('alice');
});
after(() => s?.stop());

function run(program, args, env = {}) {
  return new Promise((resolve) => {
    execFile(program, args, { cwd: ROOT, env: { ...process.env, ...env }, timeout: 120_000 },
      (error, stdout, stderr) => resolve({ code: error ? error.code ?? 1 : 0, stdout, stderr }));
  });
}

// The blocks of a page in one language, without their fences.
const blocks = (page, language) => [...read(page).matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'gm'))].map((m) => m[1]);

// As GitHub makes a heading into an anchor.
const anchors = (page) => [...read(page).matchAll(/^#+ (.+)$/gm)]
  .map(([, heading]) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));

test('docs/TOUR.md names only files and functions that exist', async () => {
  const { code, stdout } = await run('python3', ['tools/lint.py', '--tour']);
  assert.equal(code, 0, stdout);
});

test('links within the pages lead somewhere', () => {
  const broken = [];
  for (const page of PAGES)
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [file, anchor] = target.split('#');
      const at = file ? path.join(path.dirname(page), file) : page;
      if (!fs.existsSync(path.join(ROOT, at)) || (anchor && !anchors(at).includes(anchor))) broken.push(`${page}: ${target}`);
    }
  assert.deepEqual(broken, []);
});

test('test files that the pages name exist', () => {
  const named = MINE.flatMap((page) => [...read(page).matchAll(/`((?:tests|src|conf|connectors|examples)\/[\w./-]+\.\w+)`/g)].map((m) => m[1]));
  assert.ok(named.length > 30, `only ${named.length}`);
  assert.deepEqual(named.filter((file) => !fs.existsSync(path.join(ROOT, file))), []);
});

test('commands, options and make targets that the pages name exist', () => {
  const usages = [...read('src/cli/command.def').matchAll(/^COMMAND\("([^"]+)", \w+, "([^"]+)"/gm)];
  const known = new Map(usages.map(([, name, usage]) => [name, usage]));
  const wrong = [];
  let seen = 0;
  for (const page of MINE) {
    const text = read(page).replaceAll('\\\n', ' ');
    const code = [...text.matchAll(/^ {4}.*$|`[^`\n]+`/gm)].map(([c]) => c.replace(/ #.*/, '')).join('\n');
    for (const [, words] of code.matchAll(/(?<![\w/-])countersign (?=((?:--)?[a-z][^\n`|;]*))/g)) {
      const [first, second] = words.trim().split(/\s+/);
      if (['countersign', '--help'].includes(first)) continue; // `sudo -u countersign countersign ...`
      const usage = known.get(`${first} ${second}`) ?? known.get(first);
      if (!usage) wrong.push(`${page}: countersign ${words}`);
      for (const [option] of words.matchAll(/(?<= )--[a-z-]+/g))
        if (!usage?.includes(option)) wrong.push(`${page}: countersign ${first} has no ${option}`);
      seen += 1;
    }
    for (const [, target] of text.matchAll(/(?:^ {4}|&& |sudo |`)make (?:-\S+ )?([a-z]+)/gm))
      if (!new RegExp(`^(${target}:|.PHONY:.*\\b${target}\\b)`, 'm').test(read('Makefile'))) wrong.push(`${page}: make ${target}`);
  }
  assert.ok(seen >= 12, `only ${seen} commands`);
  assert.deepEqual(wrong, []);
});

test("the README's examples are those in examples/", () => {
  const [python] = blocks('README.md', 'python');
  assert.ok(read('examples/propose.py').endsWith(python), 'examples/propose.py differs');
  assert.ok(python.trim().split('\n').length <= 20);
  const [script] = blocks('README.md', 'js');
  assert.ok(read('examples/propose.mjs').includes(script), 'examples/propose.mjs differs');
});

// Starts an example, has Alice approve what it proposes, gives what it printed.
async function approved(program, file, operation) {
  const running = run(program, [path.join('examples', file)], { COUNTERSIGN_URL: s.url, COUNTERSIGN_KEY: s.agentKey });
  const action = await until(async () => {
    const { items } = expect(await alice.get('/v1/reviews'), 200).body;
    return items.find((item) => item.operation === operation);
  }, `${operation} to be held`);
  expect(await alice.vote(action, 'approve'), 200);
  const { code, stdout, stderr } = await running;
  assert.equal(code, 0, stderr);
  return { stdout, action };
}

test("the README's Python example: held, approved, sent once", async () => {
  const { stdout, action } = await approved('python3', 'propose.py', 'emails.send');
  assert.match(stdout, new RegExp(`^pending \\S+/#/actions/${action.id}\nsucceeded success \\{'status': 202`));
  const effects = await (await fetch(`${s.sandbox.url}/_control/effects`)).json();
  assert.equal(effects.by_key['email:ann@example.com'], 1);
});

test("the vendor's client pointed at Countersign: the same", async () => {
  const { stdout } = await approved(process.execPath, 'propose.mjs', 'transfer.authorization.create');
  assert.match(stdout, /^Plaid Checking 12480\.55\n(?:APPROVAL_PENDING act_\w+\n)*approved \S+\n$/);
});
