# What the `check` scripts of the examples share: start the program on a free port, compare answers, clean up.
# `cargo xtask ci` runs each of them; by hand: `ISOPOD_BIN=…/isopod examples/hello/check`.

set -euo pipefail
cd "$(dirname "$0")"

temporary=$(mktemp -d)
log=$temporary/log
server=

# Stops what was started, whichever way the script ends.
finish() {
  if [[ -n $server ]]; then kill -KILL "$server" 2>/dev/null || true; fi
  rm -rf "$temporary"
}
trap finish EXIT

fail() {
  echo "FAILED: $*" >&2
  if [[ -f $log ]]; then sed 's/^/  | /' "$log" >&2; fi
  exit 1
}

# start COMMAND...: runs a server in the background and waits until it says where it listens; `$url` is the address.
start() {
  : >"$log"
  "$@" 2>"$log" &
  server=$!
  for _ in {1..600}; do
    url=$(sed -n 's/^listening on \(http[^ ]*\)$/\1/p' "$log" | head -n 1)
    if [[ -n $url ]]; then return; fi
    kill -0 "$server" 2>/dev/null || fail "$1 ended before it listened"
    sleep 0.1
  done
  fail "$1 did not listen within a minute"
}

# serve ARGS...: `isopod serve ARGS` on a free port.
serve() {
  start "${ISOPOD_BIN:?is the path of the isopod program}" serve "$@" --listen 127.0.0.1:0
}

# get PATH [CURL ARGS...]: prints the body of the answer; an answer that is an error fails.
get() {
  curl --silent --show-error --fail-with-body --max-time 60 "${@:2}" "$url$1"
}

# expect WHAT WANTED GOT
expect() {
  [[ $3 == "$2" ]] || fail "$1: wanted '$2', got '$3'"
}

# Ctrl-C's gentle sibling: the server must finish in order.
stop() {
  kill -TERM "$server"
  wait "$server" || fail "the server ended with exit code $?"
  server=
}
