// `ctx.exports`: the entry points of the worker itself, as service bindings, and its classes of Durable Objects, as namespaces.
// https://developers.cloudflare.com/workers/runtime-apis/context/#exports

(function () {
const { core, primordials } = __bootstrap;
const { ObjectDefineProperty, ObjectKeys, SafeArrayIterator, TypeError } = primordials;
const { fetcherOf } = core.loadExtScript("ext:isopod_fetcher/fetcher.js");
const { exportsOf } = core.loadExtScript("ext:isopod_handlers/handlers.js");
const { isClass } = core.loadExtScript("ext:isopod_handlers/classes.js");
const { serializeApart } = core.loadExtScript("ext:isopod_web/clone.js");

/** The namespace of a class of Durable Objects of the worker, if it has a binding of it. */
function namespaceOf(name) {
  const binding = core.ops.op_isopod_object_own?.(name);
  if (typeof binding !== "string") return undefined;
  return core.loadExtScript("ext:isopod_objects/namespace.js").make(binding);
}

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
    value: namespaceOf(name) ?? fetcherOf(binding, null, withProps),
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

return { ownExports };
})();
