// `ReadableStreamBYOBReader.readAtLeast()` of Workers. It is the standard's `read(view, { min })`, except that `done` is false
// for the last bytes of a stream.
// https://developers.cloudflare.com/workers/runtime-apis/streams/readablestreambyobreader/

(function () {
const { core, primordials } = __bootstrap;
const { ObjectDefineProperty, PromisePrototypeThen, PromiseReject, ReflectApply, TypeError } = primordials;
const { ReadableStreamBYOBReader } = core.loadExtScript("ext:deno_web/06_streams.js");

const { read } = ReadableStreamBYOBReader.prototype;

const { readAtLeast } = {
  readAtLeast(min, view) {
    if (arguments.length < 2) {
      return PromiseReject(new TypeError("Failed to execute 'readAtLeast': 2 arguments required: a minimum and a view"));
    }
    const reading = ReflectApply(read, this, [view, { __proto__: null, min }]);
    return PromisePrototypeThen(reading, ({ value, done }) => ({ value, done: done && !(value?.byteLength > 0) }));
  },
};

ObjectDefineProperty(ReadableStreamBYOBReader.prototype, "readAtLeast", {
  __proto__: null,
  value: readAtLeast,
  writable: true,
  enumerable: true,
  configurable: true,
});
})();
