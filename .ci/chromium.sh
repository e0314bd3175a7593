#!/usr/bin/env bash
# Makes sure of /usr/bin/chromium, which tests/browser drives: Debian's package, where it may be installed.
# Never fails: without it those tests are skipped, and say why.
set -uo pipefail

go_on() {
    echo "No Chromium: $1. The browser tests will be skipped (apt-get install chromium)."
    exit 0
}

[ -x /usr/bin/chromium ] && exit 0
command -v apt-get >/dev/null || go_on "this system has no apt-get"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || go_on "installing it needs root, or sudo without a password"
    as_root=(sudo -n)
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=30 "$@" >/dev/null 2>&1
}

install() { apt install -y --no-install-recommends chromium fonts-liberation; }

echo "Installing Chromium for the browser tests."
install || { apt update && install; } || go_on "apt-get could not install it"
[ -x /usr/bin/chromium ] || go_on "the package brought no /usr/bin/chromium"
