# PostgreSQL, NATS and S3 (SeaweedFS) for the checks of examples, on ports and in folders of their own. For scripts that have sourced
# check.sh. `cargo xtask setup` installs the programs; `ISOPOD_SERVERS` is the folder of those that Debian does not have.

servers=${ISOPOD_SERVERS:-$(realpath -m ../../target/servers/bin)}
postgres_folder=
nats=
seaweed=

finish_servers() {
  if [[ -n $nats ]]; then kill -KILL "$nats" 2>/dev/null || true; fi
  if [[ -n $seaweed ]]; then kill -KILL "$seaweed" 2>/dev/null || true; fi
  if [[ -n $postgres_folder ]]; then
    postgres_ctl -m immediate stop 2>/dev/null || true
    rm -rf "$postgres_folder"
  fi
  finish
}
trap finish_servers EXIT

# free_ports COUNT: ports that nothing listens on.
free_ports() {
  python3 -c '
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in sockets))' "$1"
}

# listens PORT: waits until a server listens there.
listens() {
  for _ in {1..600}; do
    if (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; then return; fi
    sleep 0.1
  done
  fail "nothing listens on port $1 after a minute"
}

# PostgreSQL refuses to run as root, the user in many containers.
postgres_run() {
  local program
  program=$(echo /usr/lib/postgresql/*/bin | tr ' ' '\n' | tail -n 1)/$1
  if [[ $(id -u) == 0 ]]; then
    (cd "$postgres_folder" && runuser -u postgres -- "$program" "${@:2}")
  else
    "$program" "${@:2}"
  fi
}

postgres_ctl() {
  postgres_run pg_ctl -D "$postgres_folder/data" -l "$postgres_folder/log" -w \
    -o "-p $postgres_port -k $postgres_folder -c listen_addresses=127.0.0.1 -c fsync=off" "$@" >/dev/null
}

start_postgres() {
  postgres_folder=$(mktemp -d)
  if [[ $(id -u) == 0 ]]; then chown postgres "$postgres_folder"; fi
  postgres_port=$(free_ports 1)
  postgres_run initdb -D "$postgres_folder/data" -U app -A trust --no-sync -E UTF8 --locale=C >/dev/null
  postgres_ctl start
}

run_nats() {
  "$servers/nats-server" -a 127.0.0.1 -p "$nats_port" -js -sd "$temporary/nats" 2>/dev/null &
  nats=$!
  listens "$nats_port"
}

start_nats() {
  nats_port=$(free_ports 1)
  run_nats
}

start_seaweed() {
  local ports
  read -ra ports <<<"$(free_ports 8)"
  seaweed_port=${ports[6]}
  mkdir "$temporary/seaweed"
  cat >"$temporary/seaweed/s3.json" <<'EOF'
{"identities":[{"name":"test","credentials":[{"accessKey":"test-key","secretKey":"test-secret"}],
"actions":["Admin","Read","Write","List","Tagging"]}]}
EOF
  HOME=$temporary/seaweed "$servers/weed" server -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -s3 \
    -s3.port.iceberg=0 -s3.port.lance=0 -s3.iam=false -volume.max=50 -master.volumeSizeLimitMB=64 \
    -dir="$temporary/seaweed" -s3.config="$temporary/seaweed/s3.json" \
    -master.port="${ports[0]}" -master.port.grpc="${ports[1]}" -volume.port="${ports[2]}" -volume.port.grpc="${ports[3]}" \
    -filer.port="${ports[4]}" -filer.port.grpc="${ports[5]}" -s3.port="${ports[6]}" -s3.port.grpc="${ports[7]}" >/dev/null 2>&1 &
  seaweed=$!
  listens "$seaweed_port"
}

# Ends PostgreSQL and NATS as a crash does, and starts them on their data.
crash_servers() {
  postgres_ctl -m immediate stop
  kill -KILL "$nats"
  wait "$nats" 2>/dev/null || true
  postgres_ctl start
  run_nats
}
