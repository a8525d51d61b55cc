// Runs in the place of a worker's main module when `isopod check` starts the worker, and reports its handlers.

import { listened } from "./LISTENERS";
import * as exported from "./MAIN";

const EVENTS = ["fetch", "scheduled", "queue", "message", "task"];

// A class may have its handlers as fields, which exist on its objects only, and creating one would run its constructor.
const isClass = (value) => typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));

export const found = () => ({
  handles: isClass(exported.default) ||
    EVENTS.some((event) => listened.has(event) || typeof exported.default?.[event] === "function"),
  exports: Object.keys(exported),
});
