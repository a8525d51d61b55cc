//! Copies of values, as `structuredClone` and message ports make them: stands in for the ops of deno_core that read what was
//! written down.
//!
//! The platform's own objects (`Blob`, `DOMException`, …) carry a brand, and write down what they are by calling what stands
//! under it. The brand is a symbol that every script can get, so a script's objects may say anything. deno_core's ops look up what
//! they say in a way that panics inside of V8, and that may run code where V8 allows none; either ends the process. Here what
//! was written counts only if it is plain data.

use deno_core::v8::{ValueDeserializerHelper as _, ValueSerializerHelper as _};
use deno_core::{JsBuffer, op2, v8};
use deno_error::JsErrorBox;

/// In place of a number: a platform object follows as data.
const AS_DATA: u32 = u32::MAX;

/// What V8 asks while it reads or writes a value.
struct Objects<'a> {
    brand: v8::Local<'a, v8::Symbol>,
    /// What was handed over beside the bytes.
    handed_over: Option<v8::Local<'a, v8::Array>>,
    /// Functions by the name of what they make out of data.
    makers: Option<v8::Local<'a, v8::Object>>,
}

impl<'a> Objects<'a> {
    fn brand(scope: &mut v8::PinScope<'a, '_>) -> Result<v8::Local<'a, v8::Symbol>, JsErrorBox> {
        let name = v8::String::new(scope, "Deno.core.hostObject").ok_or_else(cannot_read)?;
        Ok(v8::Symbol::for_key(scope, name))
    }

    /// Makes the platform object that `data` describes. `None`: it describes none.
    fn make<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        data: v8::Local<'s, v8::Value>,
    ) -> Option<v8::Local<'s, v8::Object>> {
        let described = v8::Local::<v8::Object>::try_from(data).ok()?;
        let key = v8::String::new(scope, "type")?;
        // What is an object's own was read from data, and has no code in it; what it inherits may.
        let name = own(scope, described, key.into()).filter(|name| name.is_string())?;
        let maker = own(scope, self.makers?, v8::Local::<v8::Name>::try_from(name).ok()?)?;
        let maker = v8::Local::<v8::Function>::try_from(maker).ok()?;
        let nobody = v8::null(scope).into();
        let scope = std::pin::pin!(v8::AllowJavascriptExecutionScope::new(scope));
        let scope = &mut scope.init();
        let made = maker.call(scope, nobody, &[data])?;
        v8::Local::<v8::Object>::try_from(made).ok()
    }
}

/// An object's own property, which is data.
fn own<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'_, v8::Object>,
    key: v8::Local<'_, v8::Name>,
) -> Option<v8::Local<'s, v8::Value>> {
    match object.has_own_property(scope, key) {
        Some(true) => object.get(scope, key.into()),
        _ => None,
    }
}

fn cannot_read() -> JsErrorBox {
    JsErrorBox::range_error("could not deserialize value")
}

impl v8::ValueSerializerImpl for Objects<'_> {
    fn throw_data_clone_error<'s>(&self, scope: &mut v8::PinScope<'s, '_>, message: v8::Local<'s, v8::String>) {
        let error = v8::Exception::type_error(scope, message);
        scope.throw_exception(error);
    }

    fn has_custom_host_object(&self, _isolate: &v8::Isolate) -> bool {
        true
    }

    fn is_host_object<'s>(&self, scope: &mut v8::PinScope<'s, '_>, object: v8::Local<'s, v8::Object>) -> Option<bool> {
        object.has(scope, self.brand.into())
    }

    fn write_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        object: v8::Local<'s, v8::Object>,
        writer: &dyn v8::ValueSerializerHelper,
    ) -> Option<bool> {
        let describe = object.get(scope, self.brand.into())?;
        if let Ok(describe) = v8::Local::<v8::Function>::try_from(describe) {
            let data = describe.call(scope, object.into(), &[])?;
            writer.write_uint32(AS_DATA);
            return writer.write_value(scope.get_current_context(), data);
        }
        let message = v8::String::new(scope, "Unsupported object type")?;
        self.throw_data_clone_error(scope, message);
        None
    }

    fn get_wasm_module_transfer_id(
        &self,
        _scope: &mut v8::PinScope<'_, '_>,
        _module: v8::Local<v8::WasmModuleObject>,
    ) -> Option<u32> {
        None
    }
}

impl v8::ValueDeserializerImpl for Objects<'_> {
    fn read_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        reader: &dyn v8::ValueDeserializerHelper,
    ) -> Option<v8::Local<'s, v8::Object>> {
        v8::tc_scope!(let scope, scope);
        let mut number = 0;
        let read = reader.read_uint32(&mut number);
        let object = match number {
            _ if !read => None,
            AS_DATA => {
                let data = reader.read_value(scope.get_current_context());
                data.and_then(|data| self.make(scope, data))
            }
            number => {
                let given = self.handed_over.and_then(|given| given.get_index(scope, number));
                given.and_then(|given| v8::Local::<v8::Object>::try_from(given).ok())
            }
        };
        if object.is_none() {
            if scope.has_caught() {
                // What the maker threw, or that the isolate is being terminated.
                scope.rethrow();
            } else if let Some(message) = v8::String::new(scope, "Failed to deserialize host object") {
                let error = v8::Exception::error(scope, message);
                scope.throw_exception(error);
                scope.rethrow();
            }
        }
        object
    }
}

fn read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    objects: Objects<'s>,
    bytes: &[u8],
) -> Result<v8::Local<'s, v8::Value>, JsErrorBox> {
    let reader = v8::ValueDeserializer::new(scope, Box::new(objects), bytes);
    v8::tc_scope!(let scope, scope);
    let context = scope.get_current_context();
    if !reader.read_header(context).unwrap_or_default() {
        return Err(cannot_read());
    }
    let value = reader.read_value(context);
    if value.is_none() && scope.has_caught() {
        scope.rethrow();
        // Nobody sees it: an exception is on its way.
        return Ok(v8::undefined(scope).into());
    }
    value.ok_or_else(cannot_read)
}

/// `structuredClone(value)`.
#[op2(reentrant)]
pub(super) fn op_isopod_structured_clone<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    makers: Option<v8::Local<'s, v8::Object>>,
) -> Result<v8::Local<'s, v8::Value>, JsErrorBox> {
    let brand = Objects::brand(scope)?;
    let objects = |makers| Objects {
        brand,
        handed_over: None,
        makers,
    };
    let bytes = {
        let writer = v8::ValueSerializer::new(scope, Box::new(objects(None)));
        writer.write_header();
        v8::tc_scope!(let scope, scope);
        let written = writer.write_value(scope.get_current_context(), value);
        if scope.has_caught() || scope.has_terminated() {
            scope.rethrow();
            // Nobody sees it: an exception is on its way.
            return Ok(v8::undefined(scope).into());
        }
        if written != Some(true) {
            return Err(JsErrorBox::type_error("Failed to serialize response"));
        }
        writer.release()
    };
    read(scope, objects(makers), &bytes)
}

/// Reads what `core.serialize` wrote. Buffers that are handed over are not among it: no store for them is set up.
#[op2(reentrant)]
pub(super) fn op_isopod_deserialize<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[buffer] bytes: JsBuffer,
    handed_over: Option<v8::Local<'s, v8::Value>>,
    _buffers: Option<v8::Local<'s, v8::Value>>,
    makers: Option<v8::Local<'s, v8::Value>>,
    _for_storage: bool,
) -> Result<v8::Local<'s, v8::Value>, JsErrorBox> {
    let objects = Objects {
        brand: Objects::brand(scope)?,
        handed_over: handed_over.and_then(|given| v8::Local::try_from(given).ok()),
        makers: makers.and_then(|makers| v8::Local::try_from(makers).ok()),
    };
    read(scope, objects, &bytes)
}
