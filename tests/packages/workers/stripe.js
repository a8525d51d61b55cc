import Stripe from "stripe";

const asked = [];
const fetchFn = async (url, { method, headers, body }) => {
  asked.push([`${url}`, method, new Headers(headers).get("authorization"), body]);
  return Response.json({ id: "cus_1", object: "customer" });
};
const stripe = new Stripe("sk_test_1", { httpClient: Stripe.createFetchHttpClient(fetchFn), telemetry: false });
export default {
  async fetch() {
    const customer = await stripe.customers.create({ email: "a@example.com" });
    return Response.json([customer.id, asked]);
  },
};
