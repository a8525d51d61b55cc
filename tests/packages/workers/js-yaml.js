import { dump, load } from "js-yaml";

export default { fetch: () => Response.json([load("a: [1, 2]\nb: |\n  text\n"), dump({ c: { d: [true, null] } })]) };
