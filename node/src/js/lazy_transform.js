// The base of `Hash`: a `Transform` whose streams are created on first use, because most digests use none.

(function () {
const { core, primordials } = __bootstrap;
const { FunctionPrototypeCall, ObjectDefineProperty, ObjectSetPrototypeOf, SafeArrayIterator } = primordials;
const { Transform } = core.createLazyLoader("node:stream")();

function LazyTransform(options) {
  this._options = options;
}
ObjectSetPrototypeOf(LazyTransform.prototype, Transform.prototype);
ObjectSetPrototypeOf(LazyTransform, Transform);

for (const state of new SafeArrayIterator(["_readableState", "_writableState"])) {
  ObjectDefineProperty(LazyTransform.prototype, state, {
    __proto__: null,
    get() {
      FunctionPrototypeCall(Transform, this, this._options);
      // `update` gets strings with their encoding.
      this._writableState.decodeStrings = false;
      return this[state];
    },
    set(value) {
      ObjectDefineProperty(this, state, {
        __proto__: null,
        value,
        configurable: true,
        enumerable: true,
        writable: true,
      });
    },
    configurable: true,
    enumerable: true,
  });
}

return { LazyTransform, default: LazyTransform };
})();
