// The module `node:dns`: https://nodejs.org/api/dns.html

(function () {
return __bootstrap.core.loadExtScript("ext:isopod_node/dns/questions.js").called;
})();
