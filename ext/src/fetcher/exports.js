// `ctx.exports`: the entry points of the worker itself, as service bindings.
// https://developers.cloudflare.com/workers/runtime-apis/context/#exports

(function () {
const { core, primordials } = __bootstrap;
const { ObjectDefineProperty, ObjectKeys, SafeArrayIterator, TypeError } = primordials;
const { fetcherOf } = core.loadExtScript("ext:isopod_fetcher/fetcher.js");
const { exportsOf } = core.loadExtScript("ext:isopod_handlers/handlers.js");
const { isClass } = core.loadExtScript("ext:isopod_handlers/classes.js");
const { serializeApart } = core.loadExtScript("ext:isopod_web/clone.js");

const ownExports = {};
const exported = exportsOf();
for (const name of new SafeArrayIterator(ObjectKeys(exported))) {
  const target = exported[name];
  if (!isClass(target) && (target === null || typeof target !== "object")) continue;
  const binding = `\0${name}`;
  const withProps = (options) => {
    const props = options?.props;
    if (props !== undefined && (props === null || typeof props !== "object")) {
      throw new TypeError("the props of an entry point have to be an object");
    }
    return fetcherOf(binding, props === undefined ? null : serializeApart(props, []));
  };
  ObjectDefineProperty(ownExports, name, {
    __proto__: null,
    value: fetcherOf(binding, null, withProps),
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

return { ownExports };
})();
