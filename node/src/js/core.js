// The surroundings of borrowed modules, in the place of "ext:core/mod.js".

import { core as plain } from "ext:core/mod.js";

const { bootstrap } = plain.loadExtScript("ext:isopod_node/shim.js");
const { core, internals, primordials } = bootstrap;

export { core, internals, primordials };
