// Checks of modules whose functions a worker does not have. Packages import them, and call them elsewhere only.

import { spawn } from "node:child_process";
import cluster from "node:cluster";
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
    "what is known": () => isMainThread && cluster.isPrimary && !isatty(1),
  });
