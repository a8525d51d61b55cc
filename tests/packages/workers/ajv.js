import Ajv from "ajv";
import formats from "ajv-formats";

const ajv = new Ajv({ allErrors: true });
formats(ajv);
const validate = ajv.compile({
  type: "object",
  properties: { mail: { type: "string", format: "email" }, n: { type: "integer", minimum: 1 } },
  required: ["mail"],
});
export default {
  fetch: () => Response.json([validate({ mail: "a@example.com", n: 1 }), validate({ n: 0 }), validate.errors.map((e) => e.keyword)]),
};
