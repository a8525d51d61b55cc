import Joi from "joi";

const schema = Joi.object({ name: Joi.string().alphanum().min(3).required(), year: Joi.number().integer() });
export default {
  fetch: () => Response.json([schema.validate({ name: "abc", year: "2000" }).value, schema.validate({}).error.message]),
};
