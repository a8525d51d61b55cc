// `tls.checkServerIdentity`: https://nodejs.org/api/tls.html#tlscheckserveridentityhostname-cert
// For scripts that check a certificate themselves. Connections check the names in Rust.

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypeFilter,
  ArrayPrototypeJoin,
  ArrayPrototypeMap,
  ArrayPrototypeSome,
  SafeRegExp,
  RegExpPrototypeTest,
  StringPrototypeEndsWith,
  StringPrototypeIncludes,
  StringPrototypeSlice,
  StringPrototypeSplit,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  StringPrototypeToUpperCase,
  StringPrototypeTrim,
} = primordials;
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { isIP } = core.loadExtScript("ext:isopod_node/net/addresses.js");
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");

const plain = (name) => {
  const lower = StringPrototypeToLowerCase(name);
  return StringPrototypeEndsWith(lower, ".") ? StringPrototypeSlice(lower, 0, -1) : lower;
};

/** One label, or its start and end around a `*`: RFC 6125, section 6.4.3. */
const LABEL = new SafeRegExp(/^[a-z0-9-]*\*[a-z0-9-]*$/);

function matches(host, pattern) {
  const wanted = StringPrototypeSplit(plain(host), ".");
  const given = StringPrototypeSplit(plain(pattern), ".");
  if (wanted.length !== given.length) return false;
  for (let i = 1; i < wanted.length; i++) if (wanted[i] !== given[i]) return false;
  const { 0: label } = given;
  if (!StringPrototypeIncludes(label, "*")) return label === wanted[0];
  const isInternational = StringPrototypeStartsWith(label, "xn--");
  if (!RegExpPrototypeTest(LABEL, label) || isInternational || given.length < 3) return false;
  const { 0: start, 1: end } = StringPrototypeSplit(label, "*");
  const isLong = wanted[0].length > start.length + end.length;
  return isLong && StringPrototypeStartsWith(wanted[0], start) && StringPrototypeEndsWith(wanted[0], end);
}

/** Returns an address in its shortest form, for comparison. */
const canonical = (address) => isIP(address) === 6 ? new URL(`http://[${address}]/`).hostname : address;

/** The entries of one kind in `DNS:a.example, IP Address:1.2.3.4`. */
function alternatives(text, kind) {
  const entries = ArrayPrototypeMap(StringPrototypeSplit(text ?? "", ", "), (entry) => StringPrototypeTrim(entry));
  const ofKind = ArrayPrototypeFilter(entries, (entry) => StringPrototypeStartsWith(entry, kind));
  return ArrayPrototypeMap(ofKind, (entry) => StringPrototypeSlice(entry, kind.length));
}

function reasonAgainst(hostname, { subject, subjectaltname }) {
  const names = alternatives(subjectaltname, "DNS:");
  const addresses = alternatives(subjectaltname, "IP Address:");
  if (isIP(hostname) !== 0) {
    const isThere = ArrayPrototypeSome(addresses, (address) => canonical(address) === canonical(hostname));
    return isThere ? undefined : `IP: ${hostname} is not in the cert's list: ${ArrayPrototypeJoin(addresses, ", ")}`;
  }
  if (names.length > 0) {
    const isThere = ArrayPrototypeSome(names, (name) => matches(hostname, name));
    return isThere ? undefined : `Host: ${hostname}. is not in the cert's altnames: ${subjectaltname}`;
  }
  const common = subject?.CN;
  if (typeof common !== "string" || common === "") return "Cert does not contain a DNS name";
  return matches(hostname, common) ? undefined : `Host: ${hostname}. is not cert's CN: ${common}`;
}

/** Returns an error if a certificate is not for this host. */
function checkServerIdentity(hostname, cert) {
  const host = `${hostname}`;
  const reason = reasonAgainst(host, cert);
  return reason === undefined ? undefined : new errors.ERR_TLS_CERT_ALTNAME_INVALID(reason, host, cert);
}

/** Returns OpenSSL's name of a TLS 1.2 cipher. Those of TLS 1.3 are the same. */
function opensslName(name) {
  const { 0: exchange, 1: cipher } = StringPrototypeSplit(name, "_WITH_");
  if (cipher === undefined) return name;
  const kept = StringPrototypeStartsWith(cipher, "CHACHA20") ? "CHACHA20_POLY1305" : cipher;
  const parts = StringPrototypeSplit(`${StringPrototypeSlice(exchange, 4)}_${kept}`, "_");
  const joined = ArrayPrototypeJoin(parts, "-");
  const { 0: before, 1: after } = StringPrototypeSplit(joined, "AES-");
  return StringPrototypeToUpperCase(after === undefined ? joined : `${before}AES${after}`);
}

return { checkServerIdentity, opensslName };
})();
