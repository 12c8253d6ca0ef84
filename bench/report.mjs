// Turns the lines of a run into ratios: a table for people, result.json for machines.
//   node bench/report.mjs LINES RESULT_JSON
// Fails when a figure is missing or when the sandbox has not seen exactly one effect per cycle; never
// because a figure is low.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

const [linesFile, resultFile] = process.argv.slice(2);
const lines = fs.readFileSync(linesFile, 'utf8').split('\n').filter(Boolean).map((l) => JSON.parse(l));
const runs = new Map(lines.filter((l) => l.per_second !== undefined).map((l) => [l.label ?? l.scenario, l]));
const memory = new Map(lines.filter((l) => l.scenario === 'memory').map((l) => [l.when, l]));

function one(map, name) {
  const found = map.get(name);
  if (!found) throw new Error(`the run has no figures of ${name}`);
  return found;
}
const run = (name) => one(runs, name);
const line = (scenario) => lines.find((l) => l.scenario === scenario);

const number = (x, digits = x < 10 ? 2 : x < 100 ? 1 : 0) =>
  x.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const percent = (x) => `${number(100 * x, 0)} %`;
const times = (x) => `${number(x)} x`;
const ms = (x) => `${number(x)} ms`;
const each = (r) => `${number(r.per_second, 0)}/s, p50 ${ms(r.p50_ms)}, p99 ${ms(r.p99_ms)}, max ${ms(r.max_ms)}`;

// One row: what, the ratio or figure that counts, the goal, what it was made of.
const rows = [];
const row = (what, value, shown, goal, from) => rows.push({ what, value, shown, goal, from });

function durable() {
  const gc = run('group_commit'), propose = run('propose'), cycle = run('cycle'), cycle3 = run('cycle3');
  const rate = propose.per_second / gc.per_second, tail = propose.p99_ms / gc.p99_ms;
  row('propose / bare group commit, rate', rate, percent(rate), '', `${number(propose.per_second, 0)} / ${number(gc.per_second, 0)} per s`);
  row('propose / bare group commit, p99', tail, times(tail), 'under 3 x', `${ms(propose.p99_ms)} / ${ms(gc.p99_ms)}`);
  row('propose, 64 clients', propose.per_second, `${number(propose.per_second, 0)}/s`, 'over 12,000/s', each(propose));
  row('cycle / propose, rate', cycle.per_second / propose.per_second, percent(cycle.per_second / propose.per_second), '', '');
  row('cycle (tier 2, one vote), 64 clients', cycle.per_second, `${number(cycle.per_second, 0)}/s`, 'about 3,500/s', each(cycle));
  row('cycle (tier 3, two votes), 64 clients', cycle3.per_second, `${number(cycle3.per_second, 0)}/s`, 'beside it', each(cycle3));
  for (const [name, r] of [['tier 2', cycle], ['tier 3', cycle3]])
    row(`where the time goes, ${name}`, r.p50_ms, ms(r.p50_ms), '', `p50 of ${name === 'tier 2' ? 'propose, vote, fetch' : 'propose, vote, vote, fetch'}: ${r.steps_p50_ms.map(ms).join(', ')}`);
  row('cycle, 1 client, p50 / fdatasync p50', run('cycle-1').p50_ms / run('fdatasync').p50_ms,
    times(run('cycle-1').p50_ms / run('fdatasync').p50_ms), '', `${ms(run('cycle-1').p50_ms)} / ${ms(run('fdatasync').p50_ms)}`);
}

function passingOn() {
  const added = run('tier0-1').p50_ms - run('upstream-1').p50_ms, sync = run('fdatasync').p50_ms;
  const share = run('tier0-32').per_second / run('bare-32').per_second;
  row('tier 0, 32 clients / bare proxy, rate', share, percent(share), 'at least 30 %',
    `${number(run('tier0-32').per_second, 0)} / ${number(run('bare-32').per_second, 0)} per s`);
  row('tier 0, 1 client: added p50 / (fdatasync p50 + 0.2 ms)', added / (sync + 0.2), times(added / (sync + 0.2)), 'under 1 x',
    `${ms(added)} / ${ms(sync + 0.2)}`);
  row('tier 0, 32 clients', run('tier0-32').per_second, `${number(run('tier0-32').per_second, 0)}/s`, '', each(run('tier0-32')));
  row('page, 32 clients', run('page').per_second, `${number(run('page').per_second, 0)}/s`, '', each(run('page')));
}

function pending() {
  const fill = runs.get('pending fill');
  if (!fill) return;
  const behind = run('propose behind pending').p50_ms / run('propose').p50_ms;
  const decide = run('cycle behind pending').p50_ms / run('cycle').p50_ms;
  const before = one(memory, 'after tier 0'), after = one(memory, 'after pending');
  const n = `${number(fill.done_in_all, 0)} more pending`;
  row(`propose p50, ${n} / before`, behind, times(behind), 'under 1.5 x', each(run('propose behind pending')));
  row(`cycle p50, ${n} / before`, decide, times(decide), 'under 1.5 x', each(run('cycle behind pending')));
  row('database per pending action', (after.database_kib - before.database_kib) * 1024 / fill.done_in_all,
    `${number((after.database_kib - before.database_kib) * 1024 / fill.done_in_all, 0)} bytes`, 'under 2,500 bytes', 'with the WAL; coarse for small runs');
  row('back after kill -9 of gate', line('back').ms, ms(line('back').ms), 'under 1 s', '');
}

function memories() {
  for (const part of ['gate', 'keeper']) {
    const all = [...memory.values()].map((m) => m[`${part}_kib`] / 1024);
    const most = Math.max(...all);
    row(`${part}, most anonymous memory seen`, most, `${number(most)} MiB`, 'under 100 MB', all.map((m) => number(m)).join(' -> '));
  }
}

function micro() {
  const { us } = line('micro');
  const ratio = (what, a, b, goal = '') => row(what, us[a] / us[b], times(us[a] / us[b]), goal, `${us[a]} us / ${us[b]} us`);
  ratio('canonical form and hash / SHA-256 alone', 'canon_hash', 'sha256_alone');
  ratio('strict reading / jansson reading', 'json_read', 'jansson_read');
  ratio('request built / jansson read and written', 'request_build', 'jansson_write');
  row('verdict, conf/policy.yaml', us.policy_verdict, `${us.policy_verdict} us`, '', '');
  row('verdict, 200 rules of which 20 match', us.policy_verdict_200, `${us.policy_verdict_200} us`, 'under 20 us', '');
}

function checkEffects() {
  const seen = line('effects').effects.total, made = ['cycle', 'cycle3', 'cycle-1'].reduce((n, name) => n + run(name).done_in_all, 0);
  if (seen !== made + 1) throw new Error(`${made} cycles and one contact made ${seen} effects`); // the contact is what tier 0 reads
  return made;
}

function machine() {
  const git = (...args) => { try { return execFileSync('git', args, { encoding: 'utf8' }).trim(); } catch { return 'unknown'; } };
  return { cores: os.availableParallelism?.() ?? os.cpus().length, cpu: os.cpus()[0]?.model, memory_mib: Math.round(os.totalmem() / 2 ** 20),
    kernel: `${os.type()} ${os.release()}`, load_average: os.loadavg(), commit: git('describe', '--always', '--dirty') };
}

const errors = [...runs.values()].reduce((n, r) => n + r.errors, 0);
const cycles = checkEffects();
durable();
passingOn();
pending();
memories();
micro();
const where = machine();
fs.writeFileSync(resultFile, `${JSON.stringify({ at: new Date().toISOString(), machine: where,
  command: `BENCH_SECONDS=${process.env.BENCH_SECONDS ?? 5} BENCH_PENDING=${process.env.BENCH_PENDING ?? 20000} make bench`, ratios: rows, lines }, null, 1)}\n`);

const widths = ['what', 'shown', 'goal'].map((k) => Math.max(...rows.map((r) => r[k].length), k.length));
console.log(`${where.cores} cores (${where.cpu}), ${where.memory_mib} MiB, ${where.kernel}, load ${where.load_average[0].toFixed(1)}, commit ${where.commit}\n`);
console.log(`${'what'.padEnd(widths[0])}  ${'figure'.padStart(widths[1])}  ${'goal'.padEnd(widths[2])}  made of`);
for (const r of rows) console.log(`${r.what.padEnd(widths[0])}  ${r.shown.padStart(widths[1])}  ${r.goal.padEnd(widths[2])}  ${r.from}`.trimEnd());
console.log(`\nfdatasync alone: p50 ${ms(run('fdatasync').p50_ms)}, p99 ${ms(run('fdatasync').p99_ms)}; ${number(cycles, 0)} cycles made exactly as many effects; ${errors} wrong answers`);
const silent = [...runs.values()].filter((r) => r.longest_silence_ms > 1000);
for (const r of silent) console.log(`nothing ended for ${ms(r.longest_silence_ms)} in ${r.label}`);
console.log(`all figures: ${resultFile}`);
