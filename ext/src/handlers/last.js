// Answers that wait for everything that a handler has begun.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_fail } = core.ops;
const { PromisePrototypeThen, PromiseResolve } = primordials;

/**
 * Answers once the handler and what it gave to `waitUntil` have ended, with what `last` makes of their first failure. The answer
 * is also given where one has failed, and the event has failed then.
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
