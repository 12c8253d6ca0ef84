#!/bin/sh
# Installs what building and testing need and is not there yet: Debian packages, then npm packages.
#   deps.sh build | test | check
# As root it installs; otherwise it uses sudo, or says what to install.
set -eu
cd "$(dirname "$0")/.."
what=${1:-build}
packages="gcc make pkg-config libmicrohttpd-dev libcurl4-openssl-dev libsqlite3-dev libjansson-dev
    libfyaml-dev libsodium-dev ca-certificates"
[ "$what" = build ] || packages="$packages libcmocka-dev chromium sqlite3 python3 libasan8 libubsan1"
[ "$what" != check ] || packages="$packages clang clang-format libclang-rt-14-dev cppcheck"

missing=
for p in $packages; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
node_major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/' || true)
if [ "${node_major:-0}" -lt 18 ]; then
    missing="$missing nodejs npm"
elif ! command -v npm >/dev/null; then
    missing="$missing npm"
fi

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null; then
        as_root=sudo
    else
        echo "Countersign needs these Debian packages; please install them as root and call again:" >&2
        echo "  apt-get update && apt-get install -y$missing" >&2
        exit 1
    fi
    echo "==> installing:$missing"
    $as_root apt-get update -q
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi

# npm: exactly what package-lock.json says. The stamp keeps a second call quick.
stamp=node_modules/.countersign-$what
if [ ! -e "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
    if [ "$what" = build ]; then
        [ -e node_modules/.countersign-test ] && [ node_modules/.countersign-test -nt package-lock.json ] && exit 0
        echo "==> npm ci (page and demo)"
        npm ci --omit=dev --no-audit --no-fund --loglevel=error
    else
        echo "==> npm ci (page, demo and tests)"
        npm ci --no-audit --no-fund --loglevel=error
        touch node_modules/.countersign-test
    fi
    touch "$stamp"
fi
