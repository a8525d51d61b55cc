import validator from "validator";
import isEmail from "validator/lib/isEmail.js";

export default { fetch: () => Response.json([validator.isURL("https://example.com"), isEmail.default("a@b"), validator.escape("<a>")]) };
