// The nodes of the virtual file system: directories, files in memory, modules of the worker, symbolic links, devices.
// File content is in buffers of the worker's own allocator, which counts it for the memory limit.

(function () {
const { core, primordials } = __bootstrap;
const {
  DateNow,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  MathMax,
  MathMin,
  SafeArrayIterator,
  SafeMap,
  StringPrototypeSplit,
  TypedArrayPrototypeFill,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSet,
  TypedArrayPrototypeSubarray,
  Uint8Array,
} = primordials;
const { op_isopod_bundle_names, op_isopod_bundle_read, op_isopod_bundle_size } = core.ops;
const { fs: constants } = core.loadExtScript("ext:deno_node/internal_binding/constants.ts");
const { S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG } = constants;

/** The maximum size of a file: https://developers.cloudflare.com/workers/runtime-apis/nodejs/fs/ */
const FILE_BYTES_MAX = 128 * 1024 * 1024;
/** Maximum for `crypto.getRandomValues`. */
const RANDOM_BYTES = 65_536;

let lastInode = 0;

/** The failure of an operation, which `fail` in `tree.js` converts to an error with the path. */
class Failure {
  constructor(code) {
    this.code = code;
  }
}

class Node {
  ino = ++lastInode;
  nlink = 1;
  uid = 0;
  gid = 0;
  size = 0;
  constructor(type, permissions, isReadOnly) {
    this.mode = type | permissions;
    this.isReadOnly = isReadOnly;
    const now = isReadOnly ? 0 : DateNow();
    this.atimeMs = now;
    this.mtimeMs = now;
    this.ctimeMs = now;
    this.birthtimeMs = now;
  }

  changed() {
    this.mtimeMs = this.ctimeMs = DateNow();
  }
}

class Directory extends Node {
  entries = new SafeMap();
  constructor(permissions, isReadOnly = false) {
    super(S_IFDIR, permissions, isReadOnly);
  }

  get(name) {
    return MapPrototypeGet(this.entries, name);
  }

  /** Adds an entry without checks, also to directories that are read-only for scripts. */
  put(name, node) {
    MapPrototypeSet(this.entries, name, node);
    if (!this.isReadOnly) this.changed();
    return node;
  }

  remove(name) {
    const node = this.get(name);
    MapPrototypeDelete(this.entries, name);
    node.nlink--;
    this.changed();
  }
}

/** Allocates a buffer of this size, or fails with `ENOSPC`. */
function room(bytes) {
  try {
    return new Uint8Array(bytes);
  } catch {
    throw new Failure("ENOSPC");
  }
}

class File extends Node {
  #bytes = new Uint8Array(0);

  constructor(permissions) {
    super(S_IFREG, permissions, false);
  }

  /** Copies content from a position on, and returns the number of bytes. */
  read(view, position) {
    const length = MathMin(TypedArrayPrototypeGetByteLength(view), this.size - position);
    if (length <= 0) return 0;
    TypedArrayPrototypeSet(view, TypedArrayPrototypeSubarray(this.#bytes, position, position + length));
    this.atimeMs = DateNow();
    return length;
  }

  write(view, position) {
    const end = position + TypedArrayPrototypeGetByteLength(view);
    this.#reserve(end);
    TypedArrayPrototypeSet(this.#bytes, view, position);
    this.size = MathMax(this.size, end);
    this.changed();
    return end - position;
  }

  /** Changes the size. Bytes after the size are always zero, so that a file that grows has no old content. */
  resize(size) {
    if (size === 0) this.#bytes = new Uint8Array(0);
    else if (size < this.size) TypedArrayPrototypeFill(this.#bytes, 0, size, this.size);
    else this.#reserve(size);
    this.size = size;
    this.changed();
  }

  #reserve(end) {
    const capacity = TypedArrayPrototypeGetByteLength(this.#bytes);
    if (end <= capacity) return;
    if (end > FILE_BYTES_MAX) throw new Failure("EFBIG");
    // The first write allocates no spare room, because most files are written at once.
    const grown = room(capacity === 0 ? end : MathMin(FILE_BYTES_MAX, MathMax(end, capacity * 2)));
    TypedArrayPrototypeSet(grown, TypedArrayPrototypeSubarray(this.#bytes, 0, this.size));
    this.#bytes = grown;
  }
}

/** A module of the worker. Its content stays in the loader. */
class BundleFile extends Node {
  #name;
  constructor(name) {
    super(S_IFREG, 0o444, true);
    this.#name = name;
    this.size = op_isopod_bundle_size(name);
  }

  read(view, position) {
    return op_isopod_bundle_read(this.#name, view, position);
  }
}

class Link extends Node {
  constructor(target) {
    super(S_IFLNK, 0o777, false);
    this.target = target;
    this.size = target.length;
  }
}

class Device extends Node {
  /** `read` and `write` take a view and return a number of bytes. */
  constructor(read, write) {
    super(S_IFCHR, 0o666, true);
    this.read = read;
    this.write = write;
  }

  resize() {}
}

// ---- content of every worker

const all = TypedArrayPrototypeGetByteLength;

function zero(view) {
  TypedArrayPrototypeFill(view, 0);
  return all(view);
}

function random(view) {
  const crypto = core.loadExtScript("ext:isopod_web/interfaces.js").getCrypto();
  for (let from = 0; from < all(view); from += RANDOM_BYTES) {
    crypto.getRandomValues(TypedArrayPrototypeSubarray(view, from, from + RANDOM_BYTES));
  }
  return all(view);
}

function full() {
  throw new Failure("ENOSPC");
}

/** The standard output or error of a worker is its log. */
const log = (name) => (view) => {
  const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
  core.loadExtScript("ext:isopod_node/process.js").process[name].write(Buffer.from(view));
  return all(view);
};

function devices() {
  const folder = new Directory(0o555, true);
  folder.put("null", new Device(() => 0, all));
  folder.put("zero", new Device(zero, all));
  folder.put("full", new Device(zero, full));
  folder.put("random", new Device(random, all));
  return folder;
}

/** Standard input, output and error. */
const standard = () => [
  new Device(() => 0, all),
  new Device(() => 0, log("stdout")),
  new Device(() => 0, log("stderr")),
];

/** The folder with the modules of the worker: their names are paths. */
function bundle() {
  const folder = new Directory(0o555, true);
  for (const name of new SafeArrayIterator(op_isopod_bundle_names())) {
    let parent = folder;
    const parts = StringPrototypeSplit(name, "/");
    for (let i = 0; i < parts.length - 1; i++) {
      parent = parent.get(parts[i]) ?? parent.put(parts[i], new Directory(0o555, true));
    }
    parent.put(parts[parts.length - 1], new BundleFile(name));
  }
  return folder;
}

return { bundle, BundleFile, Device, devices, Directory, Failure, File, Link, Node, standard };
})();
