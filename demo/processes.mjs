// The programs that the demo starts, each known by its pid, all ended with it whatever happens.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const KEPT_LINES = 40;
const PATIENCE_MS = 5000;
const running = new Set();

// Starts a program. onLine gets every line of its output; the last ones are kept in `tail`.
export function start(name, file, args, { env, onLine, input = '' } = {}) {
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const program = { name, child, tail: [], over: false };

  program.ended = new Promise((resolve, reject) => {
    child.once('error', (error) => {
      running.delete(program);
      reject(new Error(`${name} could not be started (${error.code ?? error.message}): ${file}`));
    });
    child.once('close', (code, signal) => {
      running.delete(program);
      program.over = true;
      resolve({ code, signal });
    });
  });
  program.ended.catch(() => {}); // whoever awaits it sees it
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (text) => {
      program.tail.push(text);
      if (program.tail.length > KEPT_LINES) program.tail.shift();
      onLine?.(text, stream === child.stdout);
    });
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(input);
  running.add(program);
  return program;
}

function failure(what, { code, signal }, { tail }) {
  return Object.assign(new Error(`${what} (${signal ?? `exit ${code}`})`), { tail });
}

// Runs a program to its end and answers what it printed; fails if it failed.
export async function run(name, file, args, options = {}) {
  const out = [];
  const program = start(name, file, args, { ...options, onLine: (text, isOut) => isOut && out.push(text) });
  const { code, signal } = await program.ended;
  if (code !== 0) throw failure(`${name} failed`, { code, signal }, program);
  return out.join('\n');
}

// The first line of output that fits; fails if the program ends before.
export function firstLine(name, file, args, pattern) {
  return new Promise((resolve, reject) => {
    const program = start(name, file, args, {
      onLine: (text) => {
        const found = text.match(pattern);
        if (found) resolve({ program, found });
      },
    });
    program.ended.then(
      (end) => reject(failure(`${name} ended too early`, end, program)),
      reject);
  });
}

// Ends every program still running, the last started first; by force if asking does not help.
export async function endAll() {
  for (const program of [...running].reverse()) {
    program.child.kill('SIGTERM');
    const timer = setTimeout(() => program.child.kill('SIGKILL'), PATIENCE_MS);
    if (!program.over) await once(program.child, 'close').catch(() => {});
    clearTimeout(timer);
  }
}

// For process.on('exit'), which cannot wait.
export function killAll() {
  for (const program of running) program.child.kill('SIGKILL');
}
