// Checks of modules whose functions a worker does not have. Packages import them, and call them elsewhere only.

import { spawn } from "node:child_process";
import cluster from "node:cluster";
import dns from "node:dns";
import http, { Agent, IncomingMessage, STATUS_CODES } from "node:http";
import https from "https";
import net, { isIP, Socket } from "node:net";
import { createInterface } from "node:readline";
import tls from "node:tls";
import { isatty } from "node:tty";
import vm from "node:vm";
import { isMainThread, Worker as ThreadWorker } from "node:worker_threads";

export const absent = () =>
  checks({
    "a call says what to use": () => {
      const error = thrown(() => createInterface());
      return error.code === "ERR_METHOD_NOT_IMPLEMENTED" && error.message.startsWith("createInterface() of node:readline is not available in workers; ");
    },
    "functions": () => [spawn, dns.lookup, http.request, https.get, net.connect, tls.connect, createInterface, vm.runInThisContext].every((call) => thrown(call).code === "ERR_METHOD_NOT_IMPLEMENTED"),
    "classes": () => thrown(() => new Socket()).message.startsWith("Socket() of node:net") && thrown(() => new ThreadWorker("a")) !== undefined && typeof class extends net.Server {} === "function",
    "what is known": () => STATUS_CODES[404] === "Not Found" && new Agent({ keepAlive: true }).options.keepAlive && isMainThread && cluster.isPrimary && !isatty(1) && typeof IncomingMessage === "function",
    // https://nodejs.org/api/net.html#netisipinput
    "addresses": () => isIP("::1") === 6 && isIP("127.0.0.1") === 4 && isIP("127.000.000.001") === 0 && isIP("127.0.0.1/24") === 0 && isIP("fhqwhgads") === 0 && net.isIPv4("1.2.3.4") && net.isIPv6("fe80::1%eth0"),
  });
