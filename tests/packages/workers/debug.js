import debug from "debug";

const log = debug("app");
const lines = [];
log.log = (...args) => lines.push(args.length > 0);
log.enabled = true;
log("value %d", 1);
export default { fetch: () => Response.json([lines, debug("other").enabled, log.namespace]) };
