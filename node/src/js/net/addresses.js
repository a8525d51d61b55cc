// Addresses of `node:net`: https://nodejs.org/api/net.html#class-netblocklist

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypePush,
  ArrayPrototypeSome,
  ArrayPrototypeUnshift,
  BigInt,
  Error,
  Number,
  NumberParseInt,
  RegExpPrototypeTest,
  SafeArrayIterator,
  SafeRegExp,
  StringPrototypeIncludes,
  StringPrototypeLastIndexOf,
  StringPrototypeSlice,
  StringPrototypeSplit,
  StringPrototypeToLowerCase,
  SymbolFor,
} = primordials;
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { validateInt32, validateObject, validatePort, validateString, validateUint32 } = core.loadExtScript(
  "ext:deno_node/internal/validators.mjs",
);

const DOTTED = new SafeRegExp(/^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/);

/** https://nodejs.org/api/net.html#netisipinput */
function isIP(text) {
  const address = `${text}`;
  if (RegExpPrototypeTest(DOTTED, address)) return 4;
  const bare = StringPrototypeSplit(address, "%")[0];
  const isWritten = StringPrototypeIncludes(bare, ":") && !StringPrototypeIncludes(bare, "[");
  return isWritten && URL.canParse(`http://[${bare}]/`) ? 6 : 0;
}

const isIPv4 = (text) => isIP(text) === 4;
const isIPv6 = (text) => isIP(text) === 6;

// ---- addresses as numbers

function numberOfV4(address) {
  let number = 0n;
  for (const part of new SafeArrayIterator(StringPrototypeSplit(address, "."))) number = number * 256n + BigInt(part);
  return number;
}

/** Returns the groups of a part of an IPv6 address, which may end with an IPv4 address. */
function groupsOf(part) {
  const groups = [];
  if (part === "") return groups;
  for (const group of new SafeArrayIterator(StringPrototypeSplit(part, ":"))) {
    if (StringPrototypeIncludes(group, ".")) {
      const number = Number(numberOfV4(group));
      ArrayPrototypePush(groups, number >>> 16, number & 0xffff);
    } else {
      ArrayPrototypePush(groups, NumberParseInt(group, 16));
    }
  }
  return groups;
}

function numberOfV6(address) {
  const { 0: start, 1: end } = StringPrototypeSplit(StringPrototypeSplit(address, "%")[0], "::");
  const groups = groupsOf(start);
  if (end !== undefined) {
    const last = groupsOf(end);
    while (groups.length + last.length < 8) ArrayPrototypePush(groups, 0);
    ArrayPrototypePush(groups, ...new SafeArrayIterator(last));
  }
  let number = 0n;
  for (const group of new SafeArrayIterator(groups)) number = number * 65536n + BigInt(group);
  return number;
}

const MAPPED = 0xffffn << 32n;

/** Converts an address to a number, for IPv4 that of `::ffff:a.b.c.d`. */
const numberOf = (address, family) => family === "ipv4" ? MAPPED + numberOfV4(address) : numberOfV6(address);

// ---- SocketAddress

const BITS = { __proto__: null, ipv4: 32, ipv6: 128 };

/** Checks the name of a family, and returns it in lower case. */
function familyOf(family) {
  const name = typeof family === "string" ? StringPrototypeToLowerCase(family) : family;
  if (BITS[name] === undefined) throw new errors.ERR_INVALID_ARG_VALUE("family", family);
  return name;
}

class SocketAddress {
  #address;
  #family;
  #flowlabel;
  #port;

  static {
    SocketAddress.isSocketAddress = (value) => typeof value === "object" && value !== null && #address in value;
  }

  constructor(options = {}) {
    validateObject(options, "options");
    const family = familyOf(options.family ?? "ipv4");
    const { address = family === "ipv4" ? "127.0.0.1" : "::", flowlabel = 0, port = 0 } = options;
    validateString(address, "options.address");
    validatePort(port, "options.port");
    validateUint32(flowlabel, "options.flowlabel");
    if (isIP(address) !== (family === "ipv4" ? 4 : 6)) {
      const error = new Error("Invalid address");
      error.code = "ERR_INVALID_ADDRESS";
      throw error;
    }
    this.#address = address;
    this.#family = family;
    this.#flowlabel = flowlabel;
    this.#port = Number(port);
  }

  get address() {
    return this.#address;
  }

  get family() {
    return this.#family;
  }

  get flowlabel() {
    return this.#flowlabel;
  }

  get port() {
    return this.#port;
  }

  /** Parses `address:port`; undefined if it is invalid. */
  static parse(input) {
    validateString(input, "input");
    const colon = StringPrototypeLastIndexOf(input, ":");
    const isBracketed = input[0] === "[";
    const hasPort = colon > 0 && (!isBracketed || input[colon - 1] === "]");
    const host = hasPort ? StringPrototypeSlice(input, 0, colon) : input;
    const port = hasPort ? Number(StringPrototypeSlice(input, colon + 1)) : 0;
    const address = isBracketed ? StringPrototypeSlice(host, 1, -1) : host;
    const family = isIP(address);
    if (family === 0 || (family === 6) !== isBracketed || !(port >= 0 && port <= 65535)) return undefined;
    return new SocketAddress({ address, port, family: `ipv${family}` });
  }

  toJSON() {
    return { address: this.#address, port: this.#port, family: this.#family, flowlabel: this.#flowlabel };
  }

  [SymbolFor("nodejs.util.inspect.custom")](_depth, options, inspect) {
    return `SocketAddress ${inspect(this.toJSON(), options)}`;
  }
}

// ---- BlockList

/** Converts the address argument of a list's method to a `SocketAddress`. */
function addressOf(address, family) {
  if (SocketAddress.isSocketAddress(address)) return address;
  validateString(address, "address");
  validateString(family, "family");
  return new SocketAddress({ address, family });
}

const nameOf = (family) => family === "ipv4" ? "IPv4" : "IPv6";

class BlockList {
  /** `{ low, high, text }`, the newest first. */
  #rules = [];

  static isBlockList(value) {
    return typeof value === "object" && value !== null && #rules in value;
  }

  #add(low, high, text) {
    ArrayPrototypeUnshift(this.#rules, { __proto__: null, low, high, text });
  }

  addAddress(address, family = "ipv4") {
    const { address: text, family: kind } = addressOf(address, family);
    const number = numberOf(text, kind);
    this.#add(number, number, `Address: ${nameOf(kind)} ${text}`);
  }

  addRange(start, end, family = "ipv4") {
    const first = addressOf(start, family);
    const last = addressOf(end, family);
    const low = numberOf(first.address, first.family);
    const high = numberOf(last.address, last.family);
    if (low > high) throw new errors.ERR_INVALID_ARG_VALUE("start", start, "must come before end");
    this.#add(low, high, `Range: ${nameOf(first.family)} ${first.address}-${last.address}`);
  }

  addSubnet(network, prefix, family = "ipv4") {
    const { address, family: kind } = addressOf(network, family);
    validateInt32(prefix, "prefix", 0, BITS[kind]);
    const hosts = (1n << BigInt(BITS[kind] - prefix)) - 1n;
    const low = numberOf(address, kind) & ~hosts;
    this.#add(low, low | hosts, `Subnet: ${nameOf(kind)} ${address}/${prefix}`);
  }

  check(address, family = "ipv4") {
    let checked = address;
    if (!SocketAddress.isSocketAddress(address)) {
      validateString(address, "address");
      const kind = familyOf(family);
      if (isIP(address) !== (kind === "ipv4" ? 4 : 6)) return false;
      checked = { address, family: kind };
    }
    const number = numberOf(checked.address, checked.family);
    return ArrayPrototypeSome(this.#rules, ({ low, high }) => low <= number && number <= high);
  }

  get rules() {
    const texts = [];
    for (const rule of new SafeArrayIterator(this.#rules)) ArrayPrototypePush(texts, rule.text);
    return texts;
  }

  toJSON() {
    return this.rules;
  }
}

return { BlockList, isIP, isIPv4, isIPv6, SocketAddress };
})();
