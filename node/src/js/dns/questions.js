// The functions of `node:dns`: https://nodejs.org/api/dns.html
// The rules and limits of connections apply. The host chooses the name servers.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_dns_lookup, op_isopod_dns_records } = core.ops;
const {
  ArrayPrototypeFilter,
  ArrayPrototypeJoin,
  ArrayPrototypeMap,
  ArrayPrototypeSort,
  Error,
  FunctionPrototypeBind,
  MapPrototypeGet,
  ObjectDefineProperty,
  PromisePrototypeThen,
  SafeArrayIterator,
  SafeMap,
  StringPrototypePadStart,
  StringPrototypeSlice,
  StringPrototypeSplit,
  StringPrototypeToLowerCase,
  StringPrototypeToUpperCase,
} = primordials;
const { nextTick } = core.loadExtScript("ext:deno_node/_next_tick.ts");
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { validateFunction, validateOneOf, validateString } = core.loadExtScript(
  "ext:deno_node/internal/validators.mjs",
);
const { customPromisifyArgs } = core.loadExtScript("ext:deno_node/internal/util.mjs");
const { currentEvent } = core.loadExtScript("ext:isopod_context/context.js");
const { isIP } = core.loadExtScript("ext:isopod_node/net/addresses.js");
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");

const ORDERS = ["verbatim", "ipv4first", "ipv6first"];
let defaultOrder = "verbatim";

/** Error numbers of libuv for `getaddrinfo`. */
const ENOTFOUND = -3008;

/** Adds the name of the query to an error. Errors of the guard and of quotas stay unchanged. */
function failure(error, syscall, hostname) {
  const { code } = error;
  if (typeof code !== "string") return error;
  const failed = new Error(`${syscall} ${code} ${hostname}`, { cause: error });
  failed.errno = syscall === "getaddrinfo" ? ENOTFOUND : undefined;
  failed.code = code;
  failed.syscall = syscall;
  failed.hostname = hostname;
  return failed;
}

// ---- lookup

/** Reads the options of `lookup`, which may be the number of a family. */
function lookupOptions(options) {
  const given = typeof options === "object" && options !== null ? options : { family: options };
  const family = given.family === "IPv4" ? 4 : given.family === "IPv6" ? 6 : given.family ?? 0;
  validateOneOf(family, "family", [0, 4, 6]);
  const order = given.order ?? (given.verbatim === false ? "ipv4first" : defaultOrder);
  validateOneOf(order, "order", ORDERS);
  return { family, order, all: !!given.all };
}

/** The addresses of a host. Those of `localhost` are known: RFC 6761, section 6.3. */
async function addressesOf(hostname) {
  if (StringPrototypeToLowerCase(hostname) === "localhost") return ["127.0.0.1", "::1"];
  return await op_isopod_dns_lookup(currentEvent(), hostname);
}

function ordered(found, order) {
  if (order === "verbatim") return found;
  const first = order === "ipv4first" ? 4 : 6;
  return ArrayPrototypeSort(found, (one, other) => (other.family === first) - (one.family === first));
}

async function lookupAll(hostname, { family, order, all }) {
  if (hostname === "" || hostname === null || hostname === undefined || hostname === false) {
    return all ? [] : { address: null, family: family === 6 ? 6 : 4 };
  }
  validateString(hostname, "hostname");
  const literal = isIP(hostname);
  let found = [{ address: hostname, family: literal }];
  if (literal === 0) {
    let addresses;
    try {
      addresses = await addressesOf(hostname);
    } catch (error) {
      throw failure(error, "getaddrinfo", hostname);
    }
    found = ArrayPrototypeMap(addresses, (address) => ({ address, family: isIP(address) }));
    found = ordered(ArrayPrototypeFilter(found, (one) => family === 0 || one.family === family), order);
    if (found.length === 0) {
      const none = new Error("there is no address of the family");
      none.code = "ENOTFOUND";
      throw failure(none, "getaddrinfo", hostname);
    }
  }
  return all ? found : found[0];
}

/** https://nodejs.org/api/dns.html#dnspromiseslookuphostname-options */
const lookupPromise = { lookup: async (hostname, options = {}) => await lookupAll(hostname, lookupOptions(options)) }.lookup;

/** https://nodejs.org/api/dns.html#dnslookuphostname-options-callback */
function lookup(hostname, options, callback = undefined) {
  if (typeof options === "function") {
    callback = options;
    options = {};
  }
  validateFunction(callback, "callback");
  const settings = lookupOptions(options);
  if (hostname) validateString(hostname, "hostname");
  PromisePrototypeThen(
    lookupAll(hostname, settings),
    (found) =>
      settings.all ? nextTick(callback, null, found) : nextTick(callback, null, found.address, found.family),
    (error) => nextTick(callback, error),
  );
  return {};
}

// ---- records

const withoutType = ({ type: _, ...record }) => record;
const valueOf = ({ value }) => value;
const authority = ({ critical, tag, value }) => ({ critical, [tag]: value });

/** The form in which records of each type are returned. */
const SHAPES = new SafeMap([
  ["A", ({ address }) => address],
  ["AAAA", ({ address }) => address],
  ["CAA", authority],
  ["CNAME", valueOf],
  ["MX", withoutType],
  ["NAPTR", withoutType],
  ["NS", valueOf],
  ["PTR", valueOf],
  ["SOA", withoutType],
  ["SRV", withoutType],
  ["TLSA", ({ data, ...record }) => ({ ...withoutType(record), data: data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) })],
  ["TXT", ({ entries }) => entries],
]);

/** Returns the name of a query, for errors. */
const syscallOf = (type) => `query${type[0]}${StringPrototypeToLowerCase(StringPrototypeSlice(type, 1))}`;

async function records(hostname, type, syscall = syscallOf(type)) {
  validateString(hostname, "name");
  try {
    return await op_isopod_dns_records(currentEvent(), hostname, type);
  } catch (error) {
    throw failure(error, syscall, hostname);
  }
}

async function resolveAs(type, hostname, options = undefined) {
  const found = await records(hostname, type);
  const isAddress = type === "A" || type === "AAAA";
  if (isAddress && options?.ttl) return ArrayPrototypeMap(found, withoutType);
  const shaped = ArrayPrototypeMap(found, MapPrototypeGet(SHAPES, type));
  return type === "SOA" ? shaped[0] : shaped;
}

async function resolveAny(hostname) {
  const found = await records(hostname, "ANY");
  return ArrayPrototypeMap(found, (record) => record.type === "CAA" ? { type: "CAA", ...authority(record) } : record);
}

/** Returns the name to look up for the names of an address. */
function reverseName(address) {
  const family = isIP(address);
  if (family === 0) {
    const error = new Error(`getHostByAddr EINVAL ${address}`);
    error.code = "EINVAL";
    error.syscall = "getHostByAddr";
    error.hostname = address;
    throw error;
  }
  if (family === 4) {
    const { 0: a, 1: b, 2: c, 3: d } = StringPrototypeSplit(address, ".");
    return `${d}.${c}.${b}.${a}.in-addr.arpa`;
  }
  return `${ArrayPrototypeJoin(nibbles(address), ".")}.ip6.arpa`;
}

/** The digits of an IPv6 address, the last one first. */
function nibbles(address) {
  const short = StringPrototypeSlice(new URL(`http://[${StringPrototypeSplit(address, "%")[0]}]/`).hostname, 1, -1);
  const { 0: start, 1: end } = StringPrototypeSplit(short, "::");
  const groups = start === "" ? [] : StringPrototypeSplit(start, ":");
  const last = end === undefined || end === "" ? [] : StringPrototypeSplit(end, ":");
  while (groups.length + last.length < 8) groups[groups.length] = "0";
  const all = [...new SafeArrayIterator(groups), ...new SafeArrayIterator(last)];
  const digits = ArrayPrototypeJoin(ArrayPrototypeMap(all, (group) => StringPrototypePadStart(group, 4, "0")), "");
  const reversed = [];
  for (let i = digits.length - 1; i >= 0; i--) reversed[reversed.length] = digits[i];
  return reversed;
}

async function reverse(address) {
  const name = reverseName(`${address}`);
  // A script may look up the names of an address to which it may connect.
  try {
    await op_isopod_dns_lookup(currentEvent(), `${address}`);
  } catch (error) {
    throw failure(error, "getHostByAddr", address);
  }
  return ArrayPrototypeMap(await records(name, "PTR", "getHostByAddr"), valueOf);
}

/** https://nodejs.org/api/dns.html#dnsresolvehostname-rrtype-callback */
async function resolve(hostname, type = "A") {
  validateString(type, "rrtype");
  const kind = StringPrototypeToUpperCase(type);
  if (kind === "ANY") return await resolveAny(hostname);
  if (MapPrototypeGet(SHAPES, kind) === undefined) throw new errors.ERR_INVALID_ARG_VALUE("rrtype", type);
  return await resolveAs(kind, hostname);
}

// ---- the functions, as promises and with callbacks

const questions = { resolve, resolveAny, reverse };
for (
  const { 0: name, 1: type } of new SafeArrayIterator([
    ["resolve4", "A"],
    ["resolve6", "AAAA"],
    ["resolveCaa", "CAA"],
    ["resolveCname", "CNAME"],
    ["resolveMx", "MX"],
    ["resolveNaptr", "NAPTR"],
    ["resolveNs", "NS"],
    ["resolvePtr", "PTR"],
    ["resolveSoa", "SOA"],
    ["resolveSrv", "SRV"],
    ["resolveTlsa", "TLSA"],
    ["resolveTxt", "TXT"],
  ])
) {
  questions[name] = FunctionPrototypeBind(resolveAs, undefined, type);
}

const promises = {};
const callbacks = {};
for (const name in questions) {
  const question = questions[name];
  promises[name] = { [name]: async (...args) => await question(...new SafeArrayIterator(args)) }[name];
  callbacks[name] = { [name](...args) {
    const callback = args[args.length - 1];
    validateFunction(callback, "callback");
    args.length--;
    PromisePrototypeThen(
      question(...new SafeArrayIterator(args)),
      (found) => nextTick(callback, null, found),
      (error) => nextTick(callback, error),
    );
    return {};
  } }[name];
}

// ---- settings

function refusal(name) {
  const error = new Error(`${name}() of node:dns is not available in workers: the host's name servers are asked`);
  error.code = "ERR_METHOD_NOT_IMPLEMENTED";
  return error;
}
const refused = (name) => ({ [name]() {
  throw refusal(name);
} }[name]);

const settings = {
  getDefaultResultOrder: () => defaultOrder,
  getServers: () => [],
  setDefaultResultOrder(order) {
    validateOneOf(order, "dnsOrder", ORDERS);
    defaultOrder = order;
  },
  setServers: refused("setServers"),
};

/** A class whose methods are these functions. */
function resolverWith(functions) {
  class Resolver {
    cancel() {}
    getServers() {
      return [];
    }
    setLocalAddress() {
      throw refusal("setLocalAddress");
    }
    setServers() {
      throw refusal("setServers");
    }
  }
  for (const name in functions) Resolver.prototype[name] = functions[name];
  return Resolver;
}

const CODES = {
  ADDRGETNETWORKPARAMS: "EADDRGETNETWORKPARAMS", BADFAMILY: "EBADFAMILY", BADFLAGS: "EBADFLAGS", BADHINTS: "EBADHINTS",
  BADNAME: "EBADNAME", BADQUERY: "EBADQUERY", BADRESP: "EBADRESP", BADSTR: "EBADSTR", CANCELLED: "ECANCELLED",
  CONNREFUSED: "ECONNREFUSED", DESTRUCTION: "EDESTRUCTION", EOF: "EOF", FILE: "EFILE", FORMERR: "EFORMERR",
  LOADIPHLPAPI: "ELOADIPHLPAPI", NODATA: "ENODATA", NOMEM: "ENOMEM", NONAME: "ENONAME", NOTFOUND: "ENOTFOUND",
  NOTIMP: "ENOTIMP", NOTINITIALIZED: "ENOTINITIALIZED", REFUSED: "EREFUSED", SERVFAIL: "ESERVFAIL", TIMEOUT: "ETIMEOUT",
};

const lookupService = refused("lookupService");
const promised = {
  ...CODES,
  ...settings,
  ...promises,
  lookup: lookupPromise,
  lookupService: { lookupService: async () => lookupService() }.lookupService,
  Resolver: resolverWith(promises),
};
const called = {
  ...CODES,
  ...settings,
  ...callbacks,
  ADDRCONFIG: 32,
  ALL: 16,
  lookup,
  lookupService,
  promises: promised,
  Resolver: resolverWith(callbacks),
  V4MAPPED: 8,
};
// `promisify(lookup)` gives both.
ObjectDefineProperty(lookup, customPromisifyArgs, { __proto__: null, value: ["address", "family"], enumerable: false });

return { called: { ...called, default: called }, promised: { ...promised, default: promised } };
})();
