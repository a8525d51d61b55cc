// The module `node:readline/promises`: https://nodejs.org/api/readline.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("readline/promises", "a worker has no terminal", {
  functions: "createInterface",
  classes: "Interface Readline",
});
})();
