// The module `node:dns`: https://nodejs.org/api/dns.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");
const promises = () => __bootstrap.core.loadExtScript("ext:isopod_node/absent/dns_promises.js").default;

return unavailable("dns", "fetch() resolves names by itself", {
  functions:
    "getDefaultResultOrder getServers lookup lookupService resolve resolve4 resolve6 resolveAny resolveCaa " +
    "resolveCname resolveMx resolveNaptr resolveNs resolvePtr resolveSoa resolveSrv resolveTlsa resolveTxt " +
    "reverse setDefaultResultOrder setServers",
  classes: "Resolver",
  values: { promises: promises(), ADDRCONFIG: 32, ALL: 16, V4MAPPED: 8, NODATA: "ENODATA", NOTFOUND: "ENOTFOUND" },
});
})();
