#!/usr/bin/env bash
# Runs every fuzz target for SECONDS each, from the small corpora in tests/vectors and, where they are
# there, the public ones beside the repository. What it finds is left in build/fuzz/found.
#   run.sh SECONDS
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
shared=${CS_SHARED:-../shared}
found=build/fuzz/found
mkdir -p "$found"
failed=0
for target in build/fuzz/fuzz_*; do
    name=${target##*/fuzz_}
    [ -x "$target" ] && [ -f "$target" ] || continue
    case $target in *.d) continue ;; esac
    work=build/fuzz/corpus-$name
    mkdir -p "$work"
    seeds=()
    for dir in "tests/vectors/$name" connectors conf; do [ -d "$dir" ] && seeds+=("$dir"); done
    [ "$name" = json ] && [ -d "$shared/vectors/JSONTestSuite/test_parsing" ] && seeds+=("$shared/vectors/JSONTestSuite/test_parsing")
    printf '==> fuzz %s for %s s\n' "$name" "$seconds"
    if ! "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$found/$name-" "$work" "${seeds[@]}" >"build/fuzz/$name.log" 2>&1; then
        tail -n 40 "build/fuzz/$name.log"
        failed=1
    fi
    grep -E 'number_of_executed_units|average_exec' "build/fuzz/$name.log" || true
done
[ "$failed" = 0 ] && echo "fuzz: nothing found" || echo "fuzz: see $found"
exit "$failed"
