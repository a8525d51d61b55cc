//! The functions of the JavaScript side that the host calls. They are taken before user code could see them.

use deno_core::v8;

macro_rules! entry_points {
    ($($field:ident: $name:literal,)*) => {
        /// The functions of the JavaScript side that the host calls, by what `globals.js` calls them on `__isopod`.
        pub(super) struct JsEntryPoints {
            $(pub(super) $field: v8::Global<v8::Function>,)*
        }

        impl JsEntryPoints {
            /// Finds all of them on the object that has them.
            ///
            /// # Errors
            /// The name of one that is not there.
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
