import { createSchema, createYoga } from "graphql-yoga";

const schema = createSchema({
  typeDefs: "type Query { hello(name: String!): String! }",
  resolvers: { Query: { hello: (_, { name }) => `hello ${name}` } },
});
const yoga = createYoga({ schema, logging: false, graphqlEndpoint: "*" });
export default {
  async fetch() {
    const body = JSON.stringify({ query: '{ hello(name: "yoga") }' });
    const headers = { "content-type": "application/json", accept: "application/json" };
    const response = await yoga.fetch(new Request("http://localhost/graphql", { method: "POST", headers, body }));
    return Response.json([response.status, await response.json()]);
  },
};
