// Alarms: https://developers.cloudflare.com/durable-objects/api/alarms/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_object_alarm, op_isopod_object_set_alarm, op_isopod_report } = core.ops;
const { DateNow, FunctionPrototypeCall, NumberIsNaN, TypeError } = primordials;
const { deliver, objectOf, receive } = core.loadExtScript("ext:isopod_objects/objects.js");

/** The row of an alarm. Its answer is the `AlarmResult` of events.rs. */
function objectAlarm(held, entrypoint, retryCount, isLast) {
  return {
    deliver,
    run: () =>
      receive(held, entrypoint, async (instance) => {
        const object = objectOf(entrypoint);
        const at = op_isopod_object_alarm(object.rid);
        if (NumberIsNaN(at)) return "Done";
        if (at > DateNow()) {
          // The alarm store is out of date and gets the time again.
          op_isopod_object_set_alarm(object.rid, at);
          return "Done";
        }
        object.isInAlarm = true;
        let failed = false;
        try {
          const { alarm } = instance;
          if (typeof alarm !== "function") throw new TypeError("Handler does not export an alarm() function.");
          await FunctionPrototypeCall(alarm, instance, { isRetry: retryCount > 0, retryCount, scheduledTime: at });
        } catch (error) {
          failed = true;
          op_isopod_report(error, true);
        }
        const isSetAnew = !object.isInAlarm;
        object.isInAlarm = false;
        if (isSetAnew) return "Done";
        if (failed && !isLast) return "Failed";
        op_isopod_object_set_alarm(object.rid, NaN);
        return "Done";
      }),
  };
}

return { objectAlarm };
})();
