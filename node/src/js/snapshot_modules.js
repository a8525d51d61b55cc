// What most modules of Node.js are made of, evaluated in a snapshot for workers that import any.

import { core } from "ext:core/mod.js";
import "ext:isopod_node/snapshot.js";

core.loadExtScript("ext:deno_node/internal/errors.ts");
core.loadExtScript("ext:deno_node/_events.mjs");
core.loadExtScript("ext:deno_node/util.ts");
core.loadExtScript("ext:deno_node/path.ts");
core.loadExtScript("ext:deno_node/stream.ts");
core.loadExtScript("ext:deno_node/string_decoder.ts");
core.loadExtScript("ext:deno_node/url.ts");
core.loadExtScript("ext:deno_node/querystring.js");
