// The module `node:trace_events`: https://nodejs.org/api/trace_events.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("trace_events", "use console", {
  functions: "createTracing getEnabledCategories",
});
})();
