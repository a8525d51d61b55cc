// The JavaScript side of a rate limit, in the shape of Workers'.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_rate_limit } = core.ops;
const { unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { TypeError } = primordials;

/** Maximum length of a key in UTF-16 code units. A longer one is most likely a mistake, such as a whole token or URL. */
const KEY_LENGTH_MAX = 2048;

const take = async (name, options) => {
  const key = options?.key;
  if (typeof key !== "string") {
    throw new TypeError("Failed to execute 'limit' on 'RateLimit': 'key' is not a string; call limit({ key: \"...\" })");
  }
  if (key.length > KEY_LENGTH_MAX) {
    throw new TypeError(
      `Failed to execute 'limit' on 'RateLimit': the key has ${key.length} characters, above the limit of ${KEY_LENGTH_MAX}; use a shorter one, or its hash`,
    );
  }
  return { success: op_isopod_rate_limit(name, key) };
};

class RateLimit {
  #name;
  constructor(name) {
    this.#name = name;
  }
  /** Counts a call for a key. `success` is true within the limit. */
  limit(options) {
    return unlessEnded(take, undefined, [this.#name, options]);
  }
}

return { make: (name) => new RateLimit(name) };
})();
