// Bytes that a script hands over instead of having them copied.

(function () {
const { primordials } = __bootstrap;
const { ArrayPrototypeIncludes, SafeArrayIterator } = primordials;

/** Whether the buffer behind these bytes is in the list. */
function isHandedOver(bytes, transfer) {
  if (transfer === undefined) return false;
  return ArrayPrototypeIncludes([...new SafeArrayIterator(transfer)], bytes?.buffer ?? bytes);
}

return { isHandedOver };
})();
