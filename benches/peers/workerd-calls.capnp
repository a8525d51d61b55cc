# The harness copies this beside the scripts, and names the address on the command line.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .calls),
    (name = "called", worker = .called),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const calls :Workerd.Worker = (
  modules = [(name = "calls.js", esModule = embed "calls.js")],
  compatibilityDate = "2026-01-01",
  bindings = [(name = "OTHER", service = "called")],
);

const called :Workerd.Worker = (
  modules = [(name = "called.js", esModule = embed "called.js")],
  compatibilityDate = "2026-01-01",
);
