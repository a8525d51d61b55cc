// The open events of a worker: the state of each until it ends, and the ways to answer it.
//
// Nothing here makes a closure or a dictionary for an event: most events are answered in the turn in which they begin.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_end, op_isopod_fail, op_isopod_linger, op_isopod_report, op_isopod_room_for_promise } = core.ops;
const {
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectSetPrototypeOf,
  PromisePrototypeThen,
  PromiseResolve,
  SafeMap,
} = primordials;

const { Held } = core.loadExtScript("ext:isopod_handlers/classes.js");

/** The asynchronous context of an event's code. Others are made from it by copying its properties. */
class EventContext {
  isopodEvent;
  constructor(key) {
    this.isopodEvent = key;
  }
}
// A missing property is not looked up in a prototype.
ObjectSetPrototypeOf(EventContext.prototype, null);

/** The open events, except the newest. */
const open = new SafeMap();
/** The event that began last, if it is open: an event that ends before the next one begins is never in the map. */
let newest = null;

const hold = (function hold(key) {
  if (newest !== null) MapPrototypeSet(open, newest.key, newest);
  return newest = new Held(key);
});

/** Removes an event. Returns false if it was removed before. */
const letGo = (function letGo(held) {
  if (newest !== held) return MapPrototypeDelete(open, held.key);
  newest = null;
  return true;
});

/** The state of an event, if it is open. */
const heldOf = (function heldOf(key) {
  return newest !== null && newest.key === key ? newest : MapPrototypeGet(open, key);
});

/** Runs `body` with the event as the asynchronous context, so that its later log lines are attributed to the event. */
const inContextOf = (function inContextOf(held, body) {
  const before = core.getAsyncContext();
  core.setAsyncContext(new EventContext(held.key));
  try {
    return body();
  } catch (error) {
    fail(held, error);
  } finally {
    core.setAsyncContext(before);
  }
});

// ---- answers

/**
 * Records that an event is being answered, which is possible once. Returns true if it waits for nothing else: then the answer also
 * ends it, which saves an op.
 */
const answers = (function answers(held) {
  held.answered = true;
  if (held.pending > 0) return false;
  letGo(held);
  return true;
});

/** Continues after an answer that did not end the event. The remaining work has its own time limit. */
const goOn = (function goOn(held, last) {
  if (last) return;
  if (held.kept > 0) held.isStreaming = true;
  else op_isopod_linger(held.key);
});

/** Handles an answer that cannot be sent, for example because of an invalid header: the event fails. */
const unsent = (function unsent(held, error, last) {
  op_isopod_fail(held.key, error, last, false);
});

/** Answers by calling a function, whose argument is true if the answer also ends the event. */
function answer(held, send) {
  if (held.answered) return;
  const last = answers(held);
  try {
    send(last);
  } catch (error) {
    unsent(held, error, last);
  }
  goOn(held, last);
}

/** `missing`: the script has no such function. Passed separately, because a script could throw the same error itself. */
const fail = (function fail(held, error, missing = false) {
  if (held.answered) return;
  const last = answers(held);
  try {
    op_isopod_fail(held.key, error, last, missing);
  } catch (error) {
    unsent(held, error, last);
  }
  goOn(held, last);
});

const endIfDone = (function endIfDone(held) {
  if (held.pending === 0) held.onIdle?.();
  if (held.answered && held.pending === 0 && letGo(held)) op_isopod_end(held.key);
});

const settle = (function settle(held, result, deliver) {
  if (core.isPromise(result) || (result !== null && typeof result === "object" && typeof result.then === "function")) {
    PromisePrototypeThen(PromiseResolve(result), (value) => {
      try {
        deliver(held, value);
      } catch (error) {
        fail(held, error);
      }
    }, (error) => fail(held, error));
  } else {
    deliver(held, result);
  }
});

/** Keeps an event open until a promise has settled. */
function waitUntil(held, promise) {
  if (held.pending > 0) op_isopod_room_for_promise(held.pending);
  held.pending++;
  PromisePrototypeThen(
    PromiseResolve(promise),
    () => {
      held.pending--;
      endIfDone(held);
    },
    (error) => {
      held.pending--;
      held.failed ??= { error };
      op_isopod_report(error, true);
      endIfDone(held);
    },
  );
}

/** Called when the stream or socket that an event was answered with has ended. */
function answerEnded(held) {
  held.pending--;
  held.isStreaming = false;
  held.stream = null;
  if (held.pending > 0) op_isopod_linger(held.key);
  else endIfDone(held);
}

/** Keeps an event open until the function that is returned is called. */
const keepOpen = (function keepOpen(held) {
  if (held.kept++ === 0) held.pending++;
  let isKept = true;
  return () => {
    if (!isKept) return;
    isKept = false;
    if (--held.kept > 0) return;
    if (held.answered) answerEnded(held);
    else held.pending--;
  };
});

return {
  answer,
  answerEnded,
  answers,
  endIfDone,
  EventContext,
  fail,
  goOn,
  heldOf,
  hold,
  inContextOf,
  keepOpen,
  letGo,
  settle,
  unsent,
  waitUntil,
};
})();
