// Bytes that a script transfers instead of copying.

(function () {
const { core, primordials } = __bootstrap;
const { isArrayBuffer } = core;
const {
  ArrayBufferIsView,
  ArrayBufferPrototypeGetDetached,
  ArrayPrototypeIncludes,
  DataViewPrototypeGetBuffer,
  SafeArrayIterator,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetSymbolToStringTag,
} = primordials;
const { dataCloneError, takeBuffers, transferListOf } = core.loadExtScript("ext:isopod_web/clone.js");

function bufferOf(value) {
  if (!ArrayBufferIsView(value)) return isArrayBuffer(value) ? value : undefined;
  return TypedArrayPrototypeGetSymbolToStringTag(value) === undefined
    ? DataViewPrototypeGetBuffer(value)
    : TypedArrayPrototypeGetBuffer(value);
}

/**
 * Returns true if the buffer of these bytes is in the transfer list, in which case an op detaches it. Other buffers of the
 * list are detached here.
 */
function isHandedOver(bytes, transfer) {
  const buffer = bufferOf(bytes);
  if (buffer !== undefined && !isArrayBuffer(buffer)) {
    throw dataCloneError("a SharedArrayBuffer cannot leave its worker: copy the bytes");
  }
  if (buffer !== undefined && ArrayBufferPrototypeGetDetached(buffer)) {
    throw dataCloneError("the bytes' buffer is detached");
  }
  const list = transferListOf(transfer, "Failed to read the transfer list");
  if (list.length === 0) return false;
  takeBuffers([...new SafeArrayIterator(list)], buffer);
  return ArrayPrototypeIncludes(list, buffer);
}

return { isHandedOver };
})();
