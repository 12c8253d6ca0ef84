#!/bin/bash
# Runs the tests and says in one line what came of them; exit 1 if anything failed.
#   tests/run.sh [unit|scenario|e2e|attack|crash ...] [BUILD_DIR]     default: all there are, build/test
# unit: the cmocka programs in BUILD_DIR/unit. The others: node --test over tests/KIND, two files at a
# time. CS_SHARED names the folder with specifications and vectors
# (default ../shared); tests that want it skip with a message where it is absent.
# A kind that has no test at all is a failure: a run of nothing must not look like success.
set -u
cd "$(dirname "$0")/.." || exit 1

build=build/test
kinds=()
for arg in "$@"; do
    case $arg in
    unit | scenario | e2e | attack | crash) kinds+=("$arg") ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) if [ -d "$arg" ]; then build=${arg%/}; else echo "tests/run.sh: neither a kind of test nor a folder: $arg" >&2; exit 2; fi ;;
    esac
done
if [ ${#kinds[@]} -eq 0 ]; then
    kinds=(unit)
    for kind in scenario e2e attack crash; do [ ! -d tests/$kind ] || kinds+=("$kind"); done
fi

export CS_BIN=$PWD/$build SANDBOX=${SANDBOX:-$build/sandbox} CS_SHARED=${CS_SHARED:-$PWD/../shared}
case $build in /*) CS_BIN=$build ;; esac
[ -d "$CS_SHARED" ] || echo "tests that need $CS_SHARED will be skipped: it is not there"

out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
passed=0 failed=0 skipped=0
summaries=()
bad=()

# The number behind the last "WORD" that node's reporter prints, as in "# pass 12".
figure() { sed -n "s/^[^a-z]*$2 \([0-9][0-9]*\)\$/\1/p" "$1" | tail -n 1; }

run_unit() {
    local program log n programs=0 ok=0 not_ok=0 skip=0
    for program in "$build"/unit/test_*; do
        [ -x "$program" ] && [ -f "$program" ] || continue
        programs=$((programs + 1))
        log=$out/${program##*/}
        CMOCKA_MESSAGE_OUTPUT=STDOUT "$program" >"$log" 2>&1
        local code=$?
        n=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | awk '{s += $1} END {print s + 0}')
        local f s
        f=$(sed -n 's/^\[  FAILED  \] .*: \([0-9]*\) test.*/\1/p' "$log" | awk '{s += $1} END {print s + 0}')
        s=$(grep -c '^\[  SKIPPED \] [a-z]' "$log")
        if [ $code -ne 0 ]; then
            [ "$f" -gt 0 ] || f=1 # it crashed, or a sanitizer ended it
            bad+=("$program")
            cat "$log"
        fi
        printf '  unit  %-28s %s\n' "${program##*/}" "$(sed -n 's/^\[==========\] \(.* run\.\)$/\1/p' "$log" | tail -n 1) $n passed, $f failed, $s skipped (exit $code)"
        ok=$((ok + n)) not_ok=$((not_ok + f)) skip=$((skip + s))
    done
    if [ $programs -eq 0 ]; then
        echo "  unit  there is no program in $build/unit: make VARIANT=test unit-build" >&2
        bad+=(unit)
        not_ok=1
    fi
    summaries+=("unit: cmocka, $programs programs: $ok passed, $not_ok failed, $skip skipped")
    passed=$((passed + ok)) failed=$((failed + not_ok)) skipped=$((skipped + skip))
}

run_node() {
    local kind=$1 log=$out/$1 files
    # shellcheck disable=SC2206
    files=(tests/$kind/*.test.mjs)
    if [ ! -f "${files[0]}" ]; then
        echo "  $kind  there is no test in tests/$kind" >&2
        bad+=("$kind")
        failed=$((failed + 1))
        summaries+=("$kind: no test")
        return
    fi
    # Two files at a time where node can be told so (from 20 on).
    local limit=()
    node --test-concurrency=2 -e 0 2>/dev/null && limit=(--test-concurrency=2)
    echo "  $kind"
    node --test "${limit[@]}" --test-reporter=spec --test-reporter-destination=stdout \
        --test-reporter=tap --test-reporter-destination="$log" "${files[@]}"
    local code=$? ok not_ok skip
    ok=$(figure "$log" pass) not_ok=$(figure "$log" fail) skip=$(figure "$log" skipped)
    if [ $code -ne 0 ]; then
        [ "${not_ok:-0}" -gt 0 ] || not_ok=1
        bad+=("$kind")
    fi
    summaries+=("$kind: node --test, ${#files[@]} files: ${ok:-0} passed, ${not_ok:-0} failed, ${skip:-0} skipped")
    passed=$((passed + ${ok:-0})) failed=$((failed + ${not_ok:-0})) skipped=$((skipped + ${skip:-0}))
}

for kind in "${kinds[@]}"; do
    if [ "$kind" = unit ]; then run_unit; else run_node "$kind"; fi
done

echo
printf '%s\n' "${summaries[@]}"
[ ${#bad[@]} -eq 0 ] || printf 'failed in: %s\n' "${bad[*]}"
echo "total: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ ${#bad[@]} -eq 0 ]
