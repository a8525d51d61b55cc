// The module `node:readline`: https://nodejs.org/api/readline.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("readline", "a worker has no terminal", {
  functions: "clearLine clearScreenDown createInterface cursorTo emitKeypressEvents moveCursor",
  classes: "Interface",
});
})();
