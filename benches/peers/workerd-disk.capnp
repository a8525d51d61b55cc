# The harness puts the folder's path in the place of SITE, and names the address on the command line.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", disk = (path = "SITE"))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
