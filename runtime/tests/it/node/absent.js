// Checks of modules whose functions a worker does not have. Packages import them, and call them elsewhere only.

import { spawn } from "node:child_process";
import cluster from "node:cluster";
import http2 from "node:http2";
import { createInterface } from "node:readline";
import { isatty } from "node:tty";
import vm from "node:vm";
import { isMainThread, Worker as ThreadWorker } from "node:worker_threads";

export const absent = () =>
  checks({
    "a call says what to use": () => {
      const error = thrown(() => createInterface());
      return error.code === "ERR_METHOD_NOT_IMPLEMENTED" && error.message.startsWith("createInterface() of node:readline is not available in workers; ");
    },
    "functions": () => [spawn, createInterface, vm.runInThisContext].every((call) => thrown(call).code === "ERR_METHOD_NOT_IMPLEMENTED"),
    "classes": () => thrown(() => new ThreadWorker("a")).message.startsWith("Worker() of node:worker_threads") && typeof class extends ThreadWorker {} === "function",
    // https://nodejs.org/api/http2.html#http2constants
    "constants": () => {
      const { constants } = http2;
      return constants.HTTP2_HEADER_PATH === ":path" && constants.HTTP2_HEADER_CONTENT_TYPE === "content-type" &&
        constants.HTTP2_METHOD_VERSION_CONTROL === "VERSION-CONTROL" && constants.HTTP_STATUS_TEAPOT === 418 &&
        constants.NGHTTP2_CANCEL === 8 && Object.keys(constants).length === 240;
    },
    "what is known": () => isMainThread && cluster.isPrimary && !isatty(1),
  });
