// The module `node:repl`: https://nodejs.org/api/repl.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("repl", "a worker has no terminal", {
  functions: "start",
  classes: "REPLServer Recoverable",
});
})();
