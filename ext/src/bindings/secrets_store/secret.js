// The JavaScript side of a secret of a secrets store, in the shape of Workers'.

(function () {
const { Error } = __bootstrap.primordials;

class StoreSecret {
  #name;
  #value;
  constructor({ name, value }) {
    this.#name = name;
    this.#value = value;
  }
  /** Returns the secret's value. */
  async get() {
    if (this.#value === null) {
      throw new Error(`Secret "${this.#name}" not found; set the variable ${this.#name}, or write it into an env file`);
    }
    return this.#value;
  }
}

return { make: (_name, options) => new StoreSecret(options) };
})();
