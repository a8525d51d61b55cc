// The `socket` of a message, with the properties that packages use. It cannot read or write bytes.

(function () {
const { core, primordials } = __bootstrap;
const { FunctionPrototypeCall, ObjectSetPrototypeOf, SafeArrayIterator, StringPrototypeIncludes } = primordials;
const { EventEmitter } = core.loadExtScript("ext:deno_node/_events.mjs");
const { nextTick } = core.loadExtScript("ext:deno_node/_next_tick.ts");

/** `owner`: the message, which is destroyed with the socket. */
function Peer(owner, { address, encrypted }) {
  FunctionPrototypeCall(EventEmitter, this);
  this._owner = owner;
  this.encrypted = encrypted;
  this.authorized = encrypted;
  this.remoteAddress = address;
  this.remoteFamily = address !== undefined && StringPrototypeIncludes(address, ":") ? "IPv6" : "IPv4";
  this.remotePort = undefined;
  this.localAddress = undefined;
  this.localPort = undefined;
  this.connecting = false;
  this.readable = true;
  this.writable = true;
  this.destroyed = false;
  this.bytesRead = 0;
  this.bytesWritten = 0;
  this.timeout = 0;
  this.server = null;
  this.parser = null;
  this._httpMessage = null;
}
ObjectSetPrototypeOf(Peer.prototype, EventEmitter.prototype);

/** Ends the socket with its message. */
Peer.prototype._end = function _end(error) {
  if (this.destroyed) return;
  this.destroyed = true;
  this.readable = false;
  this.writable = false;
  nextTick(() => this.emit("close", !!error));
};

Peer.prototype.destroy = function destroy(error) {
  if (!this.destroyed) this._owner.destroy(error);
  return this;
};
Peer.prototype.destroySoon = Peer.prototype.destroy;

Peer.prototype.address = () => ({});

const itself = [
  "cork", "end", "pause", "ref", "resume", "setEncoding", "setKeepAlive", "setNoDelay", "setTimeout", "uncork", "unref",
];
for (const name of new SafeArrayIterator(itself)) {
  Peer.prototype[name] = { [name]() {
    return this;
  } }[name];
}

Peer.prototype.write = function write() {
  return !this.destroyed;
};

return { Peer };
})();
