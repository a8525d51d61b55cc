// The module `node:child_process`: https://nodejs.org/api/child_process.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("child_process", "a worker is no process; run the command in a service of its own, and call it with fetch()", {
  functions: "exec execFile execFileSync execSync fork spawn spawnSync",
  classes: "ChildProcess",
});
})();
