import { parentPort } from "node:worker_threads";

parentPort.on("message", () => parentPort.postMessage(1));
parentPort.postMessage(1);
