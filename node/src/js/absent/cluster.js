// The module `node:cluster`: https://nodejs.org/api/cluster.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("cluster", "the pool starts workers by itself", {
  functions: "disconnect fork setupMaster setupPrimary",
  classes: "Worker",
  values: { isMaster: true, isPrimary: true, isWorker: false, settings: {}, workers: {}, SCHED_NONE: 1, SCHED_RR: 2 },
});
})();
