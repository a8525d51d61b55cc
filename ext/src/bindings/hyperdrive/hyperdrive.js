// The JavaScript side of a Hyperdrive binding, in the shape of Workers'.

(function () {
const { core, primordials } = __bootstrap;
const { ObjectFreeze } = primordials;

class Hyperdrive {
  constructor(url) {
    this.connectionString = url.connectionString;
    this.host = url.host;
    this.port = url.port;
    this.user = url.user;
    this.password = url.password;
    this.database = url.database;
    ObjectFreeze(this);
  }
  /** Opens a connection to the database, as `connect()` of `cloudflare:sockets` does. */
  connect() {
    const { connect } = core.loadExtScript("ext:isopod_sockets/sockets.js");
    return connect({ hostname: this.host, port: this.port });
  }
}

return { make: (_name, options) => new Hyperdrive(options) };
})();
