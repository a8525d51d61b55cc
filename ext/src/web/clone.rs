//! The structured clone algorithm of the HTML standard, §2.7: V8 serializes and deserializes values, `clone.js` handles
//! platform objects.
//!
//! V8 cannot tell a `Blob` or a `URL` from a plain object, because both are created by JavaScript. A map contains every
//! prototype of the platform's interfaces, and objects that inherit from one of them are passed to `clone.js`, which
//! checks what they are. Scripts cannot access the map, so an object that only imitates a platform object is plain
//! data.

use std::cell::Cell;

use deno_core::convert::Uint8Array;
use deno_core::v8::{ValueDeserializerHelper as _, ValueSerializerHelper as _};
use deno_core::{JsBuffer, op2, v8};
use deno_error::JsErrorBox;

/// Maximum length of a prototype chain that is searched; no interface has a longer one.
const PROTOTYPES_MAX: usize = 256;

/// In place of an index: the description of a platform object follows.
const AS_DATA: u32 = u32::MAX;

/// The delegate for serializing a value.
struct Writer<'a> {
    /// The platform's interfaces by prototype.
    kinds: v8::Local<'a, v8::Map>,
    /// `Object.prototype`, the prototype of most objects.
    plain: v8::Local<'a, v8::Value>,
    /// `(object, kind) => boolean`: true if the object really is of that interface.
    is_platform: v8::Local<'a, v8::Function>,
    /// `(object) => index | data`: the index of the object's copy in `copies`, or its description.
    describe: v8::Local<'a, v8::Function>,
    /// `(message) => DOMException`.
    fail: v8::Local<'a, v8::Function>,
    /// Objects with a prototype other than `Object.prototype` are described too, like platform objects.
    only_plain: bool,
    /// A description is being written, whose objects are plain data.
    describes: Cell<bool>,
    /// Objects kept next to the bytes. `None` if the bytes leave the isolate, so that nothing can be kept with them.
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
            describes: Cell::new(false),
            only_plain: hook::<v8::Value>(scope, hooks, "onlyPlain")?.is_true(),
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

/// A hook passed by `clone.js`, which scripts cannot change.
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
        let is_plain = prototype == Some(self.plain);
        // `get_prototype` does not call a proxy's trap, and reports that a proxy has none.
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
        Some(self.only_plain && !is_plain && !self.describes.get() && !object.is_native_error())
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
        let before = self.describes.replace(true);
        let written = writer.write_value(scope.get_current_context(), described);
        self.describes.set(before);
        written
    }

    fn get_shared_array_buffer_id<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        _buffer: v8::Local<'s, v8::SharedArrayBuffer>,
    ) -> Option<u32> {
        // §2.7.3: only if the agent is cross-origin isolated.
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

/// The delegate for deserializing a value.
struct Reader<'a> {
    copies: Option<v8::Local<'a, v8::Array>>,
    /// Creates a platform object from its description.
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
        // V8 forbids JavaScript during deserialization. `make` runs no code of the script.
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
                // An exception, or the isolate is being terminated.
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

/// Serializes a value. `None` if an exception was thrown.
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

/// Deserializes a value. `buffers` are the transferred buffers.
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
        // Not visible, because an exception is pending.
        return Ok(v8::undefined(scope).into());
    }
    value.ok_or_else(cannot_read)
}

/// Serializes a value whose `buffers` are about to be transferred. Without `copies`, the bytes may leave the isolate.
#[op2(reentrant)]
pub(super) fn op_isopod_clone_write<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    hooks: v8::Local<'s, v8::Object>,
    buffers: Option<v8::Local<'s, v8::Array>>,
    copies: Option<v8::Local<'s, v8::Array>>,
) -> Result<Uint8Array, JsErrorBox> {
    let writer = Writer::new(scope, hooks, copies)?;
    // The empty bytes are not visible, because an exception is pending.
    Ok(write(scope, value, buffers, writer)?.unwrap_or_default().into())
}

/// The delegate for values without platform objects.
struct PlainWriter;

impl v8::ValueSerializerImpl for PlainWriter {
    fn throw_data_clone_error<'s>(&self, scope: &mut v8::PinScope<'s, '_>, message: v8::Local<'s, v8::String>) {
        let error = v8::Exception::type_error(scope, message);
        scope.throw_exception(error);
    }
}

/// As [`op_isopod_clone_write`], for a value of which the caller knows that it consists of lists and primitive values.
#[op2]
pub(super) fn op_isopod_clone_write_plain<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Result<Uint8Array, JsErrorBox> {
    let writer = v8::ValueSerializer::new(scope, Box::new(PlainWriter));
    writer.write_header();
    match writer.write_value(scope.get_current_context(), value) {
        Some(true) => Ok(writer.release().into()),
        _ => Err(cannot_write()),
    }
}

/// Deserializes the result of [`op_isopod_clone_write`].
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

/// Serializes and deserializes in one step: `structuredClone(value)` without a transfer.
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

/// Resolves in a later turn of the event loop, so that the code after it is a separate task.
#[op2(async(deferred), fast)]
pub(super) async fn op_isopod_task() {}
