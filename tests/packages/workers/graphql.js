import { buildSchema, graphql } from "graphql";

const schema = buildSchema("type Query { hello(name: String!): String!, list: [Int!]! }");
const rootValue = { hello: ({ name }) => `hello ${name}`, list: async () => [1, 2] };
export default {
  fetch: async () => Response.json(await graphql({ schema, rootValue, source: '{ hello(name: "x") list }' })),
};
