// The module `node:worker_threads`: https://nodejs.org/api/worker_threads.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("worker_threads", "the pool starts workers by itself", {
  functions:
    "markAsUncloneable markAsUntransferable moveMessagePortToContext postMessageToThread receiveMessageOnPort " +
    "setEnvironmentData",
  classes: "Worker",
  values: { BroadcastChannel: globalThis.BroadcastChannel, MessageChannel: globalThis.MessageChannel, MessagePort: globalThis.MessagePort, SHARE_ENV: Symbol("SHARE_ENV"), getEnvironmentData: () => undefined, isMainThread: true, parentPort: null, resourceLimits: {}, threadId: 0, workerData: null },
});
})();
