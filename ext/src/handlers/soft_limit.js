// Warns a script that an event, or its worker, approaches a limit.

(function () {
const { core, primordials } = __bootstrap;
const { MathRound } = primordials;
const { CustomEvent, setIsTrusted } = core.loadExtScript("ext:deno_web/02_event.js");
const { QuotaExceededError } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { heldOf, inContextOf } = core.loadExtScript("ext:isopod_handlers/handlers.js");

/** Aborts the event's signal, and dispatches an event on globalThis. */
function softLimit(key, limit, used, max) {
  const tell = () => {
    const event = new CustomEvent("softlimit", { detail: { limit, used, max } });
    setIsTrusted(event, true);
    globalThis.dispatchEvent(event);
  };
  // Belongs to no particular event.
  if (key === 0) return tell();
  const held = heldOf(key);
  if (held === undefined) return;
  inContextOf(held, () => {
    const message = `the event has used ${MathRound(used)} ms of its ${MathRound(max)} ms of CPU time`;
    const reason = new QuotaExceededError(message, { quota: max, requested: used });
    if (typeof held.softLimit === "function") held.softLimit(reason);
    else held.softLimit = reason;
    tell();
  });
}

return { softLimit };
})();
