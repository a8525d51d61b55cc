// The module `node:sqlite`: https://nodejs.org/api/sqlite.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("sqlite", "use a database binding", {
  functions: "backup",
  classes: "DatabaseSync Session StatementSync",
});
})();
