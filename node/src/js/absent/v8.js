// The module `node:v8`: https://nodejs.org/api/v8.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("v8", "a worker is not told about its engine", {
  functions:
    "cachedDataVersionTag deserialize getHeapCodeStatistics getHeapSnapshot getHeapSpaceStatistics " +
    "getHeapStatistics queryObjects serialize setFlagsFromString setHeapSnapshotNearHeapLimit stopCoverage " +
    "takeCoverage writeHeapSnapshot",
  classes: "DefaultDeserializer DefaultSerializer Deserializer GCProfiler Serializer",
});
})();
