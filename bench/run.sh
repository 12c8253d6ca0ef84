#!/bin/bash
# Measures Countersign next to references in one run, and prints ratios: absolute figures of a shared
# machine say little. A server, a sandbox and a bare proxy of its own, in a scratch folder on the disk
# of the build folder; ended by process id and removed whatever happens. No figure makes it fail,
# a wrong answer or a count of effects that does not match does. What is measured: docs/BENCH.md.
#   BENCH_SECONDS   for each scenario (default 5)
#   BENCH_PENDING   actions left pending in the last part (default 20000; 0 leaves it out)
#   BENCH_BIN       countersign and sandbox (default build/release)
#   BENCH_TOOLS     load, group_commit, bare_proxy, micro (default build/bench)
#   BENCH_OUT       where result.json and the scratch folder go (default build/bench)
#   BENCH_KEEP=1    keeps the scratch folder
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${BENCH_SECONDS:-5} pending=${BENCH_PENDING:-20000}
bin=${BENCH_BIN:-build/release} tools=${BENCH_TOOLS:-build/bench} out=${BENCH_OUT:-build/bench}
mkdir -p "$out"
scratch=$(mktemp -d "$(realpath "$out")/scratch.XXXXXX")
chmod 755 "$scratch" # keeper may run under an account of its own
config=$scratch/c/countersign.yaml lines=$scratch/lines
cs=$bin/countersign
pids=()
failed=() # scenarios with wrong answers: the rest is still measured, the run fails

end_all() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    if [ -n "${BENCH_KEEP:-}" ]; then echo "kept $scratch"; else rm -rf "$scratch"; fi
}
trap end_all EXIT
trap 'exit 1' INT TERM

die() {
    echo "bench: $*" >&2
    tail -n 20 "$scratch"/*.log >&2 2>/dev/null || true
    exit 1
}

# A port that nobody listens on now, below those that the kernel gives to outgoing connections.
free_port() {
    local port
    for _ in {1..100}; do
        port=$((11000 + RANDOM % 20000))
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    die "no free port"
}

# Waits until a command succeeds: await WHAT COMMAND...
await() {
    local what=$1
    shift
    for _ in {1..1200}; do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.05
    done
    die "waited in vain for $what"
}

get() { node -e 'fetch(process.argv[1]).then(async (r) => { process.stdout.write(await r.text()); process.exitCode = r.ok ? 0 : 1; }, () => { process.exitCode = 1; })' "$1"; }
listening() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# --- the programs ------------------------------------------------------------------------------

secret=bench-provider-secret
start_sandbox() {
    sandbox_port=$(free_port)
    "$bin/sandbox" --port "$sandbox_port" --secret "$secret" >"$scratch/sandbox.log" 2>&1 &
    pids+=($!)
    await "the sandbox" listening "$sandbox_port"
    node -e 'const [url, secret] = process.argv.slice(1);
        fetch(url, { method: "POST", headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
          body: JSON.stringify({ email: "ada@example.com", name: "Ada Example", phone: "+3212345678", note: "n".repeat(300) }) })
          .then((r) => { process.exitCode = r.status === 201 ? 0 : 1; });' \
        "http://127.0.0.1:$sandbox_port/crm/contacts" "$secret" || die "the sandbox takes no contact"
}

start_bare_proxy() {
    bare_port=$(free_port)
    "$tools/bare_proxy" "$bare_port" "http://127.0.0.1:$sandbox_port/crm" "$secret" >"$scratch/bare.log" 2>&1 &
    pids+=($!)
    await "the bare proxy" listening "$bare_port"
}

configure() {
    "$cs" init "$scratch/c" >/dev/null
    port=$(free_port)
    sed -i -e "s|^listen:.*|listen: 127.0.0.1:$port|" -e "s|^public_url:.*|public_url: http://127.0.0.1:$port|" "$config"
    printf 'limits:\n  pending_per_agent: 100000000\n' >>"$config"
    # tier 3 for the same call through another connection, so that the second vote is all that differs
    sed -i 's|^rules: \[\]|rules:\n  - {name: strict, match: {connection: crm-strict}, tier: 3}|' "$scratch/c/policy.yaml"
    "$cs" check -c "$config" >/dev/null || die "the configuration is refused"
}

start_server() {
    "$cs" serve -c "$config" >>"$scratch/serve.log" 2>&1 &
    server=$!
    pids+=("$server")
    await "the server" get "http://127.0.0.1:$port/readyz"
}

populate() {
    local name
    for name in ada ben owner; do
        echo "password-of-$name-1" | "$cs" person add "$name@example.com" --role approver --password-stdin -c "$config" >/dev/null
        echo "$name@example.com password-of-$name-1" >>"$scratch/people"
    done
    for name in crm-main crm-strict; do
        echo "{\"token\":\"$secret\"}" | "$cs" connection add "$name" --connector crm \
            --base-url "http://127.0.0.1:$sandbox_port/crm" --allow-private --secrets - -c "$config" >/dev/null
    done
    agent=$("$cs" agent add bench --owner owner@example.com --connection crm-main --connection crm-strict \
        --allow-private -c "$config" 2>>"$scratch/cli.log" | grep -o 'csa_[A-Za-z0-9_-]*' | head -n 1)
    [ -n "$agent" ] || die "no agent key"
}

# --- measuring ---------------------------------------------------------------------------------

part() { # the process id of serve's child that plays the part
    local pid
    for pid in $(cat "/proc/$server/task/$server/children"); do
        if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q "^[^ ]* $1"; then echo "$pid"; fi
    done
}

memory() { awk '/^RssAnon/ { print $2 }' "/proc/$(part "$1")/status"; }
database() { du -kc "$scratch"/c/data/*.db* "$scratch"/c/data/*.sqlite* 2>/dev/null | tail -n 1 | cut -f 1; }

# Says at which point gate, keeper and database stand: KiB.
note() {
    echo "{\"scenario\":\"memory\",\"when\":\"$1\",\"gate_kib\":$(memory gate),\"keeper_kib\":$(memory keeper),\"database_kib\":$(database)}" >>"$lines"
}

# load SCENARIO CLIENTS [MORE...]: runs it and keeps its line, with a label of its own
load() {
    local label=$1 scenario=$2 clients=$3 line command
    shift 3
    command="load $scenario --clients $clients --seconds $seconds ${*//$agent/KEY}"
    printf '  %s\n' "$label" >&2
    line=$("$tools/load" "$scenario" --clients "$clients" --seconds "$seconds" "$@") || failed+=("$label")
    [ -n "$line" ] || die "$label gave no figures"
    echo "{\"label\":\"$label\",\"command\":\"$command\",${line#\{}" >>"$lines"
}

reference() {
    printf '  group_commit\n' >&2
    "$tools/group_commit" "$scratch/records" 64 "$seconds" >>"$lines" || die "group_commit failed"
}

durable() {
    reference
    load propose propose 64 --port "$port" --agent "$agent"
    note "after propose"
    load cycle cycle 64 --port "$port" --agent "$agent" --people "$scratch/people"
    load cycle3 cycle3 64 --port "$port" --agent "$agent" --people "$scratch/people" --connection crm-strict
    load cycle-1 cycle 1 --port "$port" --agent "$agent" --people "$scratch/people"
    note "after cycles"
    echo "{\"scenario\":\"effects\",\"effects\":$(get "http://127.0.0.1:$sandbox_port/_control/effects?brief=1")}" >>"$lines"
}

passing_on() {
    local c
    for c in 1 32; do
        load "upstream-$c" upstream "$c" --port "$sandbox_port" --secret "$secret"
        load "bare-$c" bare "$c" --port "$bare_port"
        load "tier0-$c" tier0 "$c" --port "$port" --agent "$agent"
    done
    load page page 32 --port "$port"
    note "after tier 0"
}

# How propose and decide fare behind many pending actions, and how soon gate is back after kill -9.
many_pending() {
    local before after
    load "pending fill" propose 64 --port "$port" --agent "$agent" --seconds 600 --warm-up 0 --limit "$pending"
    note "after pending"
    load "propose behind pending" propose 64 --port "$port" --agent "$agent"
    load "cycle behind pending" cycle 64 --port "$port" --agent "$agent" --people "$scratch/people"
    before=$(date +%s%N)
    kill -9 "$(part gate)"
    until "$tools/load" page --clients 1 --seconds 0.001 --warm-up 0 --limit 1 --port "$port" >/dev/null 2>&1; do
        [ $(($(date +%s%N) - before)) -lt 60000000000 ] || die "gate did not come back"
        sleep 0.01
    done
    after=$(date +%s%N)
    echo "{\"scenario\":\"back\",\"ms\":$(((after - before) / 1000000))}" >>"$lines"
}

main() {
    echo "bench: $seconds s each" >&2
    start_sandbox
    start_bare_proxy
    configure
    start_server
    populate
    "$tools/micro" connectors conf/policy.yaml >>"$lines" || die "micro failed"
    note start
    durable
    passing_on
    if [ "$pending" -gt 0 ]; then many_pending; fi
    note end
    kill -0 "$server" 2>/dev/null || die "the server has ended"
    node bench/report.mjs "$lines" "$out/result.json"
    [ ${#failed[@]} -eq 0 ] || die "wrong answers in: ${failed[*]}"
}

main
