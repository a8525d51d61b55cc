// The module `node:dns/promises`: https://nodejs.org/api/dns.html#dns-promises-api

(function () {
return __bootstrap.core.loadExtScript("ext:isopod_node/dns/questions.js").promised;
})();
