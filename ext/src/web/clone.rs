//! The structured clone algorithm of the HTML standard, §2.7: V8 writes and reads the values, `clone.js` decides about the
//! platform's own objects.
//!
//! V8 does not know a `Blob` or a `URL` from a plain object: both are made by JavaScript. Every prototype of the platform's
//! interfaces is in a map, and what inherits from one of them is shown to `clone.js`, which checks what it is. A script cannot
//! get at the map, so an object that only claims to be the platform's is plain data.

use deno_core::convert::Uint8Array;
use deno_core::v8::{ValueDeserializerHelper as _, ValueSerializerHelper as _};
use deno_core::{JsBuffer, op2, v8};
use deno_error::JsErrorBox;

/// Prototypes of a value that are looked at. Longer chains than this are no interface's.
const PROTOTYPES_MAX: usize = 256;

/// In place of an index: data that describes a platform object follows.
const AS_DATA: u32 = u32::MAX;

/// What V8 asks while it writes a value.
struct Writer<'a> {
    /// The interfaces of the platform by their prototypes.
    kinds: v8::Local<'a, v8::Map>,
    /// `Object.prototype`, which most objects have.
    plain: v8::Local<'a, v8::Value>,
    /// `(object, kind) => boolean`: whether the object is what its prototype says.
    is_platform: v8::Local<'a, v8::Function>,
    /// `(object) => index | data`: where a copy of the object is among `copies`, or data that describes it.
    describe: v8::Local<'a, v8::Function>,
    /// `(message) => DOMException`.
    fail: v8::Local<'a, v8::Function>,
    /// Objects that go beside the bytes. `None`: the bytes leave the isolate, and nothing can go beside them.
    copies: Option<v8::Local<'a, v8::Array>>,
}

impl<'a> Writer<'a> {
    fn new(
        scope: &mut v8::PinScope<'a, '_>,
        hooks: v8::Local<'a, v8::Object>,
        copies: Option<v8::Local<'a, v8::Array>>,
    ) -> Result<Self, JsErrorBox> {
        let plain = v8::Object::new(scope).get_prototype(scope).ok_or_else(cannot_write)?;
        Ok(Self {
            kinds: hook(scope, hooks, "kinds")?,
            plain,
            is_platform: hook(scope, hooks, "isPlatform")?,
            describe: hook(scope, hooks, "describe")?,
            fail: hook(scope, hooks, "fail")?,
            copies,
        })
    }

    fn throw(&self, scope: &mut v8::PinScope<'_, '_>, message: v8::Local<'_, v8::Value>) {
        let nothing = v8::undefined(scope).into();
        let message = v8::Local::new(scope, message);
        if let Some(error) = self.fail.call(scope, nothing, &[message]) {
            scope.throw_exception(error);
        }
    }

    fn throw_text(&self, scope: &mut v8::PinScope<'_, '_>, message: &str) {
        if let Some(message) = v8::String::new(scope, message) {
            self.throw(scope, message.into());
        }
    }
}

/// A hook: what `clone.js` passes, and no script can change.
fn hook<'a, T>(
    scope: &mut v8::PinScope<'a, '_>,
    hooks: v8::Local<'a, v8::Object>,
    name: &str,
) -> Result<v8::Local<'a, T>, JsErrorBox>
where
    v8::Local<'a, T>: TryFrom<v8::Local<'a, v8::Value>>,
{
    let key = v8::String::new(scope, name).ok_or_else(cannot_write)?;
    let value = hooks.get(scope, key.into()).ok_or_else(cannot_write)?;
    v8::Local::<T>::try_from(value).map_err(|_| cannot_write())
}

fn cannot_write() -> JsErrorBox {
    JsErrorBox::type_error("the value cannot be cloned")
}

fn cannot_read() -> JsErrorBox {
    JsErrorBox::range_error("could not deserialize value")
}

impl v8::ValueSerializerImpl for Writer<'_> {
    fn throw_data_clone_error<'s>(&self, scope: &mut v8::PinScope<'s, '_>, message: v8::Local<'s, v8::String>) {
        self.throw(scope, message.into());
    }

    fn has_custom_host_object(&self, _isolate: &v8::Isolate) -> bool {
        true
    }

    fn is_host_object<'s>(&self, scope: &mut v8::PinScope<'s, '_>, object: v8::Local<'s, v8::Object>) -> Option<bool> {
        let mut prototype = object.get_prototype(scope);
        // `get_prototype` does not call a proxy's trap, and says that a proxy has none.
        for _ in 0..PROTOTYPES_MAX {
            let Some(at) = prototype.filter(|at| !at.is_null() && *at != self.plain) else {
                break;
            };
            let kind = self.kinds.get(scope, at)?;
            if !kind.is_undefined() {
                let nothing = v8::undefined(scope).into();
                let answer = self.is_platform.call(scope, nothing, &[object.into(), kind])?;
                return Some(answer.is_true());
            }
            let Ok(at) = v8::Local::<v8::Object>::try_from(at) else {
                break;
            };
            prototype = at.get_prototype(scope);
        }
        Some(false)
    }

    fn write_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        object: v8::Local<'s, v8::Object>,
        writer: &dyn v8::ValueSerializerHelper,
    ) -> Option<bool> {
        let nothing = v8::undefined(scope).into();
        let described = self.describe.call(scope, nothing, &[object.into()])?;
        if described.is_uint32() {
            writer.write_uint32(described.uint32_value(scope)?);
            return Some(true);
        }
        writer.write_uint32(AS_DATA);
        writer.write_value(scope.get_current_context(), described)
    }

    fn get_shared_array_buffer_id<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        _buffer: v8::Local<'s, v8::SharedArrayBuffer>,
    ) -> Option<u32> {
        // §2.7.3: only where the agent is cross-origin isolated.
        self.throw_text(scope, "a SharedArrayBuffer cannot be cloned");
        None
    }

    fn get_wasm_module_transfer_id(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
        module: v8::Local<v8::WasmModuleObject>,
    ) -> Option<u32> {
        let Some(copies) = self.copies else {
            self.throw_text(scope, "a WebAssembly.Module cannot leave its worker");
            return None;
        };
        let copy = v8::WasmModuleObject::from_compiled_module(scope, &module.get_compiled_module())?;
        let index = copies.length();
        copies.set_index(scope, index, copy.into())?;
        Some(index)
    }
}

/// What V8 asks while it reads a value.
struct Reader<'a> {
    copies: Option<v8::Local<'a, v8::Array>>,
    /// Makes a platform object of data that describes one.
    make: Option<v8::Local<'a, v8::Function>>,
}

impl Reader<'_> {
    fn copy<'s>(&self, scope: &mut v8::PinScope<'s, '_>, index: u32) -> Option<v8::Local<'s, v8::Object>> {
        let copy = self.copies?.get_index(scope, index)?;
        v8::Local::<v8::Object>::try_from(copy).ok()
    }

    fn make<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        reader: &dyn v8::ValueDeserializerHelper,
    ) -> Option<v8::Local<'s, v8::Object>> {
        let data = reader.read_value(scope.get_current_context())?;
        let nothing = v8::undefined(scope).into();
        // V8 allows no JavaScript while it reads. `make` runs none of a script's.
        let scope = std::pin::pin!(v8::AllowJavascriptExecutionScope::new(scope));
        let scope = &mut scope.init();
        let made = self.make?.call(scope, nothing, &[data])?;
        v8::Local::<v8::Object>::try_from(made).ok()
    }
}

impl v8::ValueDeserializerImpl for Reader<'_> {
    fn read_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        reader: &dyn v8::ValueDeserializerHelper,
    ) -> Option<v8::Local<'s, v8::Object>> {
        v8::tc_scope!(let scope, scope);
        let mut index = 0;
        let object = match reader.read_uint32(&mut index).then_some(index) {
            None => None,
            Some(AS_DATA) => self.make(scope, reader),
            Some(index) => self.copy(scope, index),
        };
        if object.is_none() {
            if scope.has_caught() {
                // What was thrown, or that the isolate is being terminated.
                scope.rethrow();
            } else if let Some(message) = v8::String::new(scope, "Failed to deserialize host object") {
                let error = v8::Exception::error(scope, message);
                scope.throw_exception(error);
                scope.rethrow();
            }
        }
        object
    }

    fn get_wasm_module_from_id<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        index: u32,
    ) -> Option<v8::Local<'s, v8::WasmModuleObject>> {
        let copy = self.copy(scope, index)?;
        v8::Local::<v8::WasmModuleObject>::try_from(copy).ok()
    }
}

/// Writes a value. `None`: an exception has been thrown.
fn write<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    buffers: Option<v8::Local<'s, v8::Array>>,
    writer: Writer<'s>,
) -> Result<Option<Vec<u8>>, JsErrorBox> {
    let writer = v8::ValueSerializer::new(scope, Box::new(writer));
    writer.write_header();
    for index in 0..buffers.map_or(0, |buffers| buffers.length()) {
        let buffer = buffers.and_then(|buffers| buffers.get_index(scope, index));
        let buffer = buffer.and_then(|buffer| v8::Local::<v8::ArrayBuffer>::try_from(buffer).ok());
        writer.transfer_array_buffer(index, buffer.ok_or_else(cannot_write)?);
    }
    v8::tc_scope!(let scope, scope);
    let written = writer.write_value(scope.get_current_context(), value);
    if scope.has_caught() || scope.has_terminated() {
        scope.rethrow();
        return Ok(None);
    }
    match written {
        Some(true) => Ok(Some(writer.release())),
        _ => Err(cannot_write()),
    }
}

/// Reads a value. `buffers` are the new owners of what was handed over.
fn read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bytes: &[u8],
    buffers: Option<v8::Local<'s, v8::Array>>,
    reader: Reader<'s>,
) -> Result<v8::Local<'s, v8::Value>, JsErrorBox> {
    let reader = v8::ValueDeserializer::new(scope, Box::new(reader), bytes);
    v8::tc_scope!(let scope, scope);
    let context = scope.get_current_context();
    if !reader.read_header(context).unwrap_or_default() {
        return Err(cannot_read());
    }
    for index in 0..buffers.map_or(0, |buffers| buffers.length()) {
        let buffer = buffers.and_then(|buffers| buffers.get_index(scope, index));
        let buffer = buffer.and_then(|buffer| v8::Local::<v8::ArrayBuffer>::try_from(buffer).ok());
        reader.transfer_array_buffer(index, buffer.ok_or_else(cannot_read)?);
    }
    let value = reader.read_value(context);
    if value.is_none() && scope.has_caught() {
        scope.rethrow();
        // Not seen: an exception is on its way.
        return Ok(v8::undefined(scope).into());
    }
    value.ok_or_else(cannot_read)
}

/// Writes a value whose `buffers` are about to be handed over. Without `copies` the bytes may leave the isolate.
#[op2(reentrant)]
pub(super) fn op_isopod_clone_write<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    hooks: v8::Local<'s, v8::Object>,
    buffers: Option<v8::Local<'s, v8::Array>>,
    copies: Option<v8::Local<'s, v8::Array>>,
) -> Result<Uint8Array, JsErrorBox> {
    let writer = Writer::new(scope, hooks, copies)?;
    // The empty bytes are not seen: an exception is on its way.
    Ok(write(scope, value, buffers, writer)?.unwrap_or_default().into())
}

/// Reads what [`op_isopod_clone_write`] wrote.
#[op2(reentrant)]
pub(super) fn op_isopod_clone_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[buffer] bytes: JsBuffer,
    make: Option<v8::Local<'s, v8::Function>>,
    buffers: Option<v8::Local<'s, v8::Array>>,
    copies: Option<v8::Local<'s, v8::Array>>,
) -> Result<v8::Local<'s, v8::Value>, JsErrorBox> {
    read(scope, &bytes, buffers, Reader { copies, make })
}

/// Writes and reads in one: `structuredClone(value)`, which hands nothing over.
#[op2(reentrant)]
pub(super) fn op_isopod_clone<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    hooks: v8::Local<'s, v8::Object>,
    copies: v8::Local<'s, v8::Array>,
) -> Result<v8::Local<'s, v8::Value>, JsErrorBox> {
    let copies = Some(copies);
    let writer = Writer::new(scope, hooks, copies)?;
    match write(scope, value, None, writer)? {
        Some(bytes) => read(scope, &bytes, None, Reader { copies, make: None }),
        None => Ok(v8::undefined(scope).into()),
    }
}

/// Resolves in a later turn of the event loop: what follows is a task of its own.
#[op2(async(deferred), fast)]
pub(super) async fn op_isopod_task() {}
