import { WorkerEntrypoint } from "cloudflare:workers";

/** Prices, as a service that the shop calls by RPC. */
export class Prices extends WorkerEntrypoint {
  /** The price of some pieces in cents: ten or more are a tenth cheaper. */
  quote(cents: number, quantity: number): number {
    if (!Number.isInteger(quantity) || quantity < 1 || quantity > 1000) {
      throw new RangeError("the quantity should be a whole number from 1 to 1000");
    }
    return Math.round(cents * quantity * (quantity >= 10 ? 0.9 : 1));
  }
}
