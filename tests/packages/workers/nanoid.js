import { customAlphabet, nanoid } from "nanoid";
import { nanoid as old } from "nanoid3";

export default { fetch: () => Response.json([nanoid().length, old(10).length, customAlphabet("a", 4)()]) };
