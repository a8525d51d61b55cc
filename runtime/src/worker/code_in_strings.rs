//! Limits code in strings: `eval`, `new Function` and its siblings. V8's compiler cannot be stopped, and no limit of V8 counts its
//! memory, so code that is too large or takes too much memory is an `EvalError`.
#![allow(unsafe_code, reason = "the `v8` crate has no binding for V8's callback")]

use deno_core::{JsRuntime, v8};

use crate::modules::{LoaderLimits, excess, is_light};

/// The limits, in a slot of the isolate, where the callback finds them.
struct CodeInStrings {
    length_max: u64,
    compiler_bytes_max: u64,
}

/// Installs the limits in an isolate.
pub(super) fn limit(runtime: &mut JsRuntime, limits: &LoaderLimits) {
    #[cfg(unix)]
    v8_callback::install(
        runtime,
        CodeInStrings {
            length_max: limits.module_bytes_max,
            compiler_bytes_max: limits.compiler_bytes_max,
        },
    );
    #[cfg(not(unix))]
    let _ = (runtime, limits);
}

impl CodeInStrings {
    fn allows(&self, scope: &v8::PinScope<'_, '_>, code: v8::Local<'_, v8::String>) -> bool {
        // Both checks before the text is copied.
        if code.length() as u64 > self.length_max {
            return false;
        }
        if is_light(code.length(), self.compiler_bytes_max) {
            return true;
        }
        excess(&code.to_rust_string_lossy(scope), self.compiler_bytes_max).is_none()
    }
}

/// V8's callback, with the calling convention of C++ on Unix: a class of two words is returned in registers.
#[cfg(unix)]
mod v8_callback {
    use std::ptr;

    use deno_core::{JsRuntime, v8};
    use isopod_ext::unwind;

    use super::CodeInStrings;

    /// V8's `ModifyCodeGenerationFromStringsResult`.
    #[repr(C)]
    struct Verdict {
        is_allowed: bool,
        /// Code to compile instead, or null.
        modified: *const v8::String,
    }

    type Callback =
        unsafe extern "C" fn(v8::Local<'_, v8::Context>, v8::Local<'_, v8::Value>, is_code_like: bool) -> Verdict;

    unsafe extern "C" {
        /// `v8::Isolate::SetModifyCodeGenerationFromStringsCallback`.
        #[link_name = "_ZN2v87Isolate42SetModifyCodeGenerationFromStringsCallbackEPFNS_37ModifyCodeGenerationFromStringsResultENS_5LocalINS_7ContextEEENS2_INS_5ValueEEEbE"]
        fn set_callback(isolate: v8::UnsafeRawIsolatePtr, callback: Callback);

        /// `v8::Context::SetErrorMessageForCodeGenerationFromStrings`.
        #[link_name = "_ZN2v87Context43SetErrorMessageForCodeGenerationFromStringsENS_5LocalINS_6StringEEE"]
        fn set_message(context: *const v8::Context, message: v8::Local<'_, v8::String>);
    }

    pub(super) fn install(runtime: &mut JsRuntime, limits: CodeInStrings) {
        let message = format!(
            "the code is too large to compile: a string of code may have {} characters, and may need an estimated {} bytes \
             of V8's memory (`modules.module_bytes_max`, `modules.compiler_bytes_max`)",
            limits.length_max, limits.compiler_bytes_max
        );
        let context = runtime.main_context();
        {
            deno_core::scope!(scope, runtime);
            let context = v8::Local::new(scope, context);
            // V8 asks the callback only if code in strings is not allowed as such.
            context.set_allow_generation_from_strings(false);
            if let Some(message) = v8::String::new(scope, &message) {
                // SAFETY: both are handles of this isolate, whose thread this is.
                unsafe { set_message(&raw const *context, message) };
            }
        }
        let isolate = runtime.v8_isolate();
        isolate.set_slot(limits);
        // SAFETY: the isolate is alive, this is its thread, and the function has the type and the calling convention that V8 expects.
        unsafe { set_callback(isolate.as_raw_isolate_ptr(), verdict) };
    }

    unsafe extern "C" fn verdict(
        context: v8::Local<'_, v8::Context>,
        code: v8::Local<'_, v8::Value>,
        _: bool,
    ) -> Verdict {
        let is_allowed = unwind::catch(|| {
            // V8 leaves everything but strings as it is.
            let Ok(code) = code.try_cast::<v8::String>() else {
                return true;
            };
            // SAFETY: V8 calls back with a context of the isolate, on its thread.
            v8::callback_scope!(unsafe scope, context);
            scope
                .get_slot::<CodeInStrings>()
                .is_none_or(|limits| limits.allows(scope, code))
        });
        Verdict {
            is_allowed: is_allowed.unwrap_or(false),
            modified: ptr::null(),
        }
    }
}
