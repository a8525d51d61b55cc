// Answers that wait for all work of a handler.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_fail } = core.ops;
const { PromisePrototypeThen, PromiseResolve } = primordials;

/**
 * Answers once the handler and its `waitUntil` promises have ended, with the result of `last` for their first failure. If one of them
 * has failed, the answer is still given, and then the event fails.
 */
function settleLast(held, call, last, { give, endIfDone }) {
  const ended = (failed) => {
    held.onIdle = () => {
      held.onIdle = null;
      if (held.answered) return;
      const failure = failed ?? held.failed;
      if (failure === null) {
        give(held, last(null));
        return;
      }
      // The event stays open for its fault, which has to come after the answer.
      held.pending++;
      give(held, last(failure));
      op_isopod_fail(held.key, failure.error, false, false);
      held.pending--;
    };
    endIfDone(held);
  };
  let result;
  try {
    result = call();
  } catch (error) {
    ended({ error });
    return;
  }
  PromisePrototypeThen(PromiseResolve(result), () => ended(null), (error) => ended({ error }));
}

return { settleLast };
})();
