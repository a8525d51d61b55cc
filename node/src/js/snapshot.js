// What nearly every worker with Node.js compatibility uses, evaluated when the snapshot is created: reading it from there takes a
// fraction of the time that evaluating it would. `start.js` is not among it: the first script that is loaded in a worker has deno_core
// bring back ops of V8's fast calls, and that has to be before the worker removes some.

import { core } from "ext:core/mod.js";

core.loadExtScript("ext:isopod_node/timers.js");
core.loadExtScript("ext:deno_node/internal/buffer.mjs");
