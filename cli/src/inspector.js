// Stands in front of a worker's main module when `isopod check` starts it, and says what that handles.

import { heard } from "./LISTENERS";
import * as exported from "./MAIN";

const EVENTS = ["fetch", "scheduled", "queue", "message", "task"];

// A class may have its handlers as fields, which only its objects have, and making one would run its constructor.
const isClass = (value) => typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));

export const found = () => ({
  handles: isClass(exported.default) ||
    EVENTS.some((event) => heard.has(event) || typeof exported.default?.[event] === "function"),
  exports: Object.keys(exported),
});
