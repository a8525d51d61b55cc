// The module `node:perf_hooks`: https://nodejs.org/api/perf_hooks.html
// Only the web's part. Histograms and the event loop's delay would be clocks of higher resolution than workers may have.

(function () {
const { core, primordials } = __bootstrap;
const { ObjectFreeze } = primordials;
const {
  performance,
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  PerformanceObserver,
  PerformanceObserverEntryList,
} = core.loadExtScript("ext:isopod_web/observers.js");

const exported = {
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  PerformanceObserver,
  PerformanceObserverEntryList,
  constants: ObjectFreeze({}),
  performance,
};

return { ...exported, default: exported };
})();
