// The event of a call (call.rs).

(function () {
const { core } = __bootstrap;
const { op_isopod_give, op_isopod_rpc_stays } = core.ops;
const { answer, contextOf, env, failAsMissing, findTarget, isObject } = core.loadExtScript("ext:isopod_handlers/handlers.js");
const { EntryPoint } = core.loadExtScript("ext:isopod_rpc/target.js");
const { respond } = core.loadExtScript("ext:isopod_rpc/rpc.js");

function deliver(held, message) {
  answer(held, (last) => {
    op_isopod_give(held.key, message, last);
    if (held.kept > 0) op_isopod_rpc_stays(held.key);
  });
}

/** The row of a call. */
function rpc(held, bytes, parcel) {
  return {
    deliver,
    run(entrypoint) {
      held.isCall = true;
      if (isObject(entrypoint)) {
        const { call } = core.loadExtScript("ext:isopod_objects/objects.js");
        return call(held, entrypoint, (self) => respond(held, new EntryPoint(self, true, env, null), bytes, parcel));
      }
      const found = findTarget(held, entrypoint);
      if (found === null) {
        failAsMissing(held, entrypoint, "the script has no default export with methods to call");
        return undefined;
      }
      const { self, bare, ctx } = found;
      return respond(held, new EntryPoint(self, bare, env, ctx ?? contextOf(held)), bytes, parcel);
    },
  };
}

return { rpc };
})();
