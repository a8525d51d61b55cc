// The module `node:dns/promises`: https://nodejs.org/api/dns.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("dns/promises", "fetch() resolves names by itself", {
  functions:
    "getDefaultResultOrder getServers lookup lookupService resolve resolve4 resolve6 resolveAny resolveCaa " +
    "resolveCname resolveMx resolveNaptr resolveNs resolvePtr resolveSoa resolveSrv resolveTlsa resolveTxt " +
    "reverse setDefaultResultOrder setServers",
  classes: "Resolver",
});
})();
