// Structured clones with transfer: https://html.spec.whatwg.org/multipage/structured-data.html
//
// V8 writes and reads plain data. What belongs to the platform is decided here, by the interface that its prototype belongs
// to: it is copied, handed over, or refused. A copy is made when its object is met, and goes beside the bytes.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_clone, op_isopod_clone_read, op_isopod_clone_write } = core.ops;
const { isArrayBuffer, isProxy, isSharedArrayBuffer } = core;
const askForCopy = core.loadExtScript("ext:isopod_web/weigh.js");
const {
  ArrayBufferPrototypeGetDetached,
  ArrayBufferPrototypeTransfer,
  ArrayPrototypePush,
  MapPrototypeGet,
  MapPrototypeHas,
  MapPrototypeSet,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptors,
  ObjectGetPrototypeOf,
  ReflectApply,
  SafeArrayIterator,
  SafeMap,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeHas,
  StringPrototypeStartsWith,
  SymbolIterator,
  TypedArrayPrototypeGetByteLength,
} = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");

const dataCloneError = (message) => new DOMException(message, "DataCloneError");

// ---- what belongs to the platform

/** Getters that give a promise, rejected for a wrong receiver. Those of event handlers do not mind one. */
const promised = new SafeSet(["closed", "ready", "finished"]);

/** Tells an object of an interface from one that only inherits from its prototype: a getter of the interface throws. */
function brandOf(prototype) {
  const descriptors = ObjectGetOwnPropertyDescriptors(prototype);
  for (const name in descriptors) {
    const { get } = descriptors[name];
    if (get === undefined || SetPrototypeHas(promised, name) || StringPrototypeStartsWith(name, "on")) continue;
    return (object) => {
      try {
        ReflectApply(get, object, []);
        return true;
      } catch {
        return false;
      }
    };
  }
  return () => true;
}

/** Interfaces by their prototypes. */
const kinds = new SafeMap();

/** What makes an object of the data that describes it, by the name of its interface. */
const makers = { __proto__: null };

/**
 * Says what becomes of the objects of an interface. `copy` makes a copy in this worker; `describe` gives plain data, of which
 * `make` makes a copy in any worker; `transfer` names how they are handed over. Without any of these they are refused. What
 * was said first holds.
 */
function addInterface(Interface, { copy, describe, is, make, transfer } = { __proto__: null }) {
  const { name, prototype } = Interface;
  if (MapPrototypeHas(kinds, prototype)) return;
  if (make !== undefined) {
    makers[name] = make;
    copy = (object) => make(describe(object));
  }
  is ??= brandOf(prototype);
  MapPrototypeSet(kinds, prototype, { __proto__: null, name, is, copy, describe, transfer });
}

const isPlatform = (object, kind) => kind.is(object);

function kindOf(object) {
  let at = object;
  while (!isProxy(at)) {
    at = ObjectGetPrototypeOf(at);
    if (at === null) return undefined;
    const kind = MapPrototypeGet(kinds, at);
    if (kind !== undefined) return kind.is(object) ? kind : undefined;
  }
}

// ---- writing

function describe(object, copies, handedOver) {
  const given = handedOver === undefined ? undefined : MapPrototypeGet(handedOver, object);
  if (given !== undefined) return given;
  const kind = kindOf(object);
  if (copies !== undefined && kind?.copy !== undefined) return ArrayPrototypePush(copies, kind.copy(object)) - 1;
  if (copies === undefined && kind?.describe !== undefined) return kind.describe(object);
  const name = kind?.name ?? "platform object";
  if (kind?.transfer !== undefined) {
    throw dataCloneError(
      copies === undefined
        ? `a ${name} cannot leave its worker`
        : `a ${name} cannot be cloned, only transferred: add it to the transfer list`,
    );
  }
  throw dataCloneError(
    kind?.copy === undefined ? `a ${name} cannot be cloned` : `a ${name} cannot leave its worker: send its bytes`,
  );
}

const hooksFor = (copies, handedOver) => ({
  __proto__: null,
  kinds,
  isPlatform,
  describe: (object) => describe(object, copies, handedOver),
  fail: dataCloneError,
});

const hooksApart = hooksFor(undefined, undefined);

function isPrimitive(value) {
  const type = typeof value;
  return value === null || (type !== "object" && type !== "function" && type !== "symbol");
}

/** Buffers to be handed over, and where a platform object stands in the transfer list. */
function checkTransferList(transfer) {
  const buffers = [];
  const objects = new SafeMap();
  const seen = new SafeSet();
  for (const item of new SafeArrayIterator(transfer)) {
    const isBuffer = isArrayBuffer(item);
    const kind = isBuffer ? undefined : kindOf(item);
    if (!isBuffer && kind?.transfer === undefined) {
      const name = isSharedArrayBuffer(item) ? "SharedArrayBuffer" : kind?.name ?? "value of this type";
      throw dataCloneError(`a ${name} cannot be transferred`);
    }
    if (SetPrototypeHas(seen, item)) throw dataCloneError("the transfer list contains an object twice");
    SetPrototypeAdd(seen, item);
    if (isBuffer) ArrayPrototypePush(buffers, item);
    else MapPrototypeSet(objects, item, objects.size);
  }
  return { buffers, objects };
}

/** Takes a buffer away from who had it: the new owner of its memory. */
function takeBuffer(buffer) {
  if (ArrayBufferPrototypeGetDetached(buffer)) throw dataCloneError("the transfer list contains a detached buffer");
  // Throws a TypeError where the memory cannot be detached, as that of a WebAssembly.Memory.
  return ArrayBufferPrototypeTransfer(buffer);
}

/** StructuredSerializeWithTransfer, for this worker. */
function serialize(value, transfer) {
  if (transfer.length === 0) {
    if (isPrimitive(value)) return { __proto__: null, value, bytes: null, copies: null, handed: null };
    askForCopy(value);
    const copies = [];
    const bytes = op_isopod_clone_write(value, hooksFor(copies, undefined), undefined, copies);
    return { __proto__: null, value: undefined, bytes, copies, handed: null };
  }
  const { buffers, objects } = checkTransferList(transfer);
  askForCopy(value, buffers);
  const copies = [];
  for (let i = 0; i < objects.size; i++) ArrayPrototypePush(copies, null);
  const bytes = op_isopod_clone_write(value, hooksFor(copies, objects), buffers, copies);
  const handed = [];
  for (const item of new SafeArrayIterator(transfer)) {
    const type = MapPrototypeHas(objects, item) ? kindOf(item)?.transfer : undefined;
    const data = type === undefined ? takeBuffer(item) : core.getTransferableResource(type).send(item);
    ArrayPrototypePush(handed, { __proto__: null, type, data });
  }
  return { __proto__: null, value: undefined, bytes, copies, handed };
}

/** StructuredDeserializeWithTransfer: the value, and what was handed over in the order of the transfer list. */
function deserialize({ value, bytes, copies, handed }) {
  if (bytes === null) return { __proto__: null, value, transferred: [] };
  const transferred = [];
  let buffers;
  if (handed !== null) {
    buffers = [];
    let objects = 0;
    for (const { type, data } of new SafeArrayIterator(handed)) {
      if (type === undefined) {
        ArrayPrototypePush(buffers, data);
        ArrayPrototypePush(transferred, data);
      } else {
        const received = core.getTransferableResource(type).receive(data);
        copies[objects++] = received;
        ArrayPrototypePush(transferred, received);
      }
    }
  }
  return { __proto__: null, value: op_isopod_clone_read(bytes, undefined, buffers, copies), transferred };
}

/** What a written value takes while it waits. */
function sizeOf({ value, bytes }) {
  if (bytes !== null) return TypedArrayPrototypeGetByteLength(bytes);
  return typeof value === "string" ? value.length * 2 : 8;
}

// ---- values that leave the worker

function checkBuffers(transfer) {
  const { buffers, objects } = checkTransferList(transfer);
  if (objects.size > 0) throw dataCloneError("only an ArrayBuffer can be transferred to another worker");
  return buffers;
}

/** Takes the buffers of a transfer list away, but for one whose bytes are taken elsewhere. */
function takeBuffers(transfer, spared = undefined) {
  for (const buffer of new SafeArrayIterator(checkBuffers(transfer))) {
    if (buffer !== spared) takeBuffer(buffer);
  }
}

/** Writes a value for another worker. Buffers of the list are taken away, after they have been copied. */
function serializeApart(value, transfer) {
  checkBuffers(transfer);
  askForCopy(value);
  const bytes = op_isopod_clone_write(value, hooksApart, undefined, undefined);
  takeBuffers(transfer);
  return bytes;
}

const make = (data) => makers[data.type](data);

/** Reads what another worker wrote. */
function deserializeApart(bytes) {
  return op_isopod_clone_read(bytes, make, undefined, undefined);
}

function setStack(error, stack) {
  if (typeof stack !== "string") return;
  ObjectDefineProperty(error, "stack", {
    __proto__: null,
    value: stack,
    configurable: true,
    enumerable: false,
    writable: true,
  });
}

// ---- as scripts call it

webidl.converters.StructuredSerializeOptions = webidl.createDictionaryConverter("StructuredSerializeOptions", [
  {
    key: "transfer",
    converter: webidl.converters["sequence<object>"],
    get defaultValue() {
      return [];
    },
  },
]);

/** The transfer list of an argument that is a list, or an object with `transfer`. */
function transferListOf(argument, prefix) {
  if (argument === undefined || argument === null) return [];
  const isList = webidl.type(argument) === "Object" && argument[SymbolIterator] !== undefined &&
    argument[SymbolIterator] !== null;
  return isList
    ? webidl.converters["sequence<object>"](argument, prefix, "Argument 2")
    : webidl.converters.StructuredSerializeOptions(argument, prefix, "Argument 2").transfer;
}

// A method cannot be called with `new`.
const { structuredClone } = {
  structuredClone(value, options = undefined) {
    const prefix = "Failed to execute 'structuredClone'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    const { transfer } = webidl.converters.StructuredSerializeOptions(options, prefix, "Argument 2");
    if (transfer.length > 0) return deserialize(serialize(value, transfer)).value;
    if (isPrimitive(value)) return value;
    askForCopy(value);
    const copies = [];
    return op_isopod_clone(value, hooksFor(copies, undefined), copies);
  },
};

// What deno's own scripts clone with, as a stream that is teed.
core.structuredClone = (value) => structuredClone(value);

return {
  addInterface,
  dataCloneError,
  deserialize,
  deserializeApart,
  serialize,
  serializeApart,
  setStack,
  sizeOf,
  structuredClone,
  takeBuffers,
  transferListOf,
};
})();
