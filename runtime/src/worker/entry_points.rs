//! The functions of the JavaScript side that the host calls, taken before user code can access them.

use deno_core::v8;

macro_rules! entry_points {
    ($($field:ident: $name:literal,)*) => {
        /// The functions of the JavaScript side that the host calls, by their names on `__isopod` in `globals.js`.
        pub(super) struct JsEntryPoints {
            $(pub(super) $field: v8::Global<v8::Function>,)*
        }

        impl JsEntryPoints {
            /// Finds all of them on the object that contains them.
            ///
            /// # Errors
            /// The name of a missing one.
            pub(super) fn find(
                scope: &mut v8::PinScope<'_, '_>,
                object: v8::Local<'_, v8::Object>,
            ) -> Result<Self, &'static str> {
                Ok(Self {
                    $($field: function(scope, object, $name).ok_or($name)?,)*
                })
            }
        }
    };
}

entry_points! {
    boot: "boot",
    expose_bindings: "exposeBindings",
    set_exports: "setExports",
    begin_fetch: "beginFetch",
    begin_call: "beginCall",
    begin_handler: "beginHandler",
    cancel: "cancel",
    soft_limit: "softLimit",
    clear_timers: "clearTimers",
    call_back: "callBack",
    run_ticks: "runTicks",
}

fn function(
    scope: &mut v8::PinScope<'_, '_>,
    object: v8::Local<'_, v8::Object>,
    name: &str,
) -> Option<v8::Global<v8::Function>> {
    let key = v8::String::new(scope, name)?;
    let function = object.get(scope, key.into())?.try_cast::<v8::Function>().ok()?;
    Some(v8::Global::new(scope, function))
}
