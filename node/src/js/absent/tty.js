// The module `node:tty`: https://nodejs.org/api/tty.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("tty", "a worker has no terminal", {
  classes: "ReadStream WriteStream",
  values: { isatty: () => false },
});
})();
