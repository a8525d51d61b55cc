// The module `node:perf_hooks`: https://nodejs.org/api/perf_hooks.html
// The Web's part of it. Histograms and the event loop's delay would tell times that a worker must not know so precisely.

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
