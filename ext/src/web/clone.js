// Structured clones with transfer: https://html.spec.whatwg.org/multipage/structured-data.html
//
// V8 serializes and deserializes plain data. Platform objects are handled here, by the interface that their prototype
// belongs to: they are copied, transferred, or rejected. Copies are made during serialization, and kept next to the
// bytes.

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

// ---- interfaces of the platform

/** Getters that return a promise, rejected for a wrong receiver. Those of event handlers ignore the receiver. */
const promised = new SafeSet(["closed", "ready", "finished"]);

/** Distinguishes platform objects from objects that only inherit from the prototype: for these, a getter throws. */
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

/** Functions that create an object from its description, by the name of its interface. */
const makers = { __proto__: null };

/**
 * Defines how objects of an interface are cloned. `copy` creates a copy in this worker; `describe` returns plain data from
 * which `make` creates a copy in any worker; `transfer` names the kind of transfer. Without any of these, the objects are
 * rejected. The first definition of an interface counts.
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

/** The buffers to transfer, and the positions of platform objects in the transfer list. */
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

/** Detaches a buffer, and returns a new one with its memory. */
function takeBuffer(buffer) {
  if (ArrayBufferPrototypeGetDetached(buffer)) throw dataCloneError("the transfer list contains a detached buffer");
  // Throws a TypeError if the memory cannot be detached, such as that of a WebAssembly.Memory.
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

/** StructuredDeserializeWithTransfer: the value, and the transferred objects in the order of the transfer list. */
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

/** The memory that a serialized value takes while it waits. */
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

/** Detaches the buffers of a transfer list, except one whose bytes the caller takes. */
function takeBuffers(transfer, spared = undefined) {
  for (const buffer of new SafeArrayIterator(checkBuffers(transfer))) {
    if (buffer !== spared) takeBuffer(buffer);
  }
}

/** Serializes a value for another worker. The buffers of the list are copied, then detached. */
function serializeApart(value, transfer) {
  checkBuffers(transfer);
  askForCopy(value);
  const bytes = op_isopod_clone_write(value, hooksApart, undefined, undefined);
  takeBuffers(transfer);
  return bytes;
}

const make = (data) => makers[data.type](data);

/**
 * Serializes a value that may contain more than data for another worker: `describeOther` describes platform objects and stubs.
 * Objects of scripts' classes are rejected.
 */
function serializeWith(value, describeOther) {
  const hooks = {
    __proto__: null,
    kinds,
    isPlatform,
    onlyPlain: true,
    describe(object) {
      const kind = kindOf(object);
      const described = describeOther(object, kind) ?? kind?.describe?.(object);
      if (described !== undefined) return described;
      throw dataCloneError(
        `Could not serialize object of type "${kind?.name ?? classOf(object)}". This type does not support serialization.`,
      );
    },
    fail: dataCloneError,
  };
  return op_isopod_clone_write(value, hooks, undefined, undefined);
}

function classOf(object) {
  const { constructor } = object;
  return typeof constructor === "function" && typeof constructor.name === "string" ? constructor.name : "Object";
}

/** Deserializes what `serializeWith` wrote. */
function deserializeWith(bytes, makeOther) {
  return op_isopod_clone_read(bytes, (data) => makeOther(data) ?? make(data), undefined, undefined);
}

/** Deserializes a value of another worker. */
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

// ---- interface for scripts

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

// Used by deno's own scripts, for example when a stream is teed.
core.structuredClone = (value) => structuredClone(value);

return {
  addInterface,
  dataCloneError,
  deserialize,
  deserializeApart,
  deserializeWith,
  serialize,
  serializeApart,
  serializeWith,
  setStack,
  sizeOf,
  structuredClone,
  takeBuffers,
  transferListOf,
};
})();
