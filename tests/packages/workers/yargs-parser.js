import { Command } from "commander";
import parse from "yargs-parser";

const program = new Command().exitOverride().option("-p, --port <n>", "port", Number).argument("<file>");
program.parse(["-p", "80", "a.js"], { from: "user" });
export default {
  fetch: () => Response.json([parse(["--a.b=1", "-vv", "x"], { count: ["v"] }), program.opts(), program.args]),
};
