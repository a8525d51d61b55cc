// The module `isopod:workers` (and `cloudflare:workers`, for scripts written for it).

(function () {
const { core } = __bootstrap;
const { env, WorkerEntrypoint } = core.loadExtScript("ext:isopod_handlers/handlers.js");

return { env, WorkerEntrypoint };
})();
