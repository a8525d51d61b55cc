// The JavaScript side of the ops: `env.STOCK`.
(function () {
const { op_stock_count, op_stock_take } = __bootstrap.core.ops;

class Stock {
  #shop;
  constructor(shop) {
    this.#shop = shop;
  }
  count(item) {
    return op_stock_count(item);
  }
  take(item, count = 1) {
    return `${this.#shop}: ${op_stock_take(item, count)} left`;
  }
}

// Called for each binding of this kind, with its name in `env` and the options set by the host.
const make = (_name, options) => new Stock(options.shop);

return { make };
})();
