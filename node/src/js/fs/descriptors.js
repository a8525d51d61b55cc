// Operations on open files, by their descriptors: https://nodejs.org/api/fs.html

(function () {
const { core, primordials } = __bootstrap;
const { MathMin, Number, SafeArrayIterator, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeSubarray } = primordials;
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
const { ERR_INVALID_ARG_VALUE } = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { isArrayBufferView } = core.loadExtScript("ext:deno_node/internal/util/types.ts");
const {
  parseFileMode,
  validateBuffer,
  validateEncoding,
  validateInteger,
} = core.loadExtScript("ext:deno_node/internal/validators.mjs");
const {
  arrayBufferViewToUint8Array,
  getValidatedFd,
  getValidatedPathToString,
  kMaxUserId,
  stringToFlags,
  toUnixTimestamp,
  validateBufferArray,
  validateOffsetLengthRead,
  validateOffsetLengthWrite,
  validatePosition,
  validateStringAfterArrayBufferView,
} = core.loadExtScript("ext:deno_node/internal/fs/utils.mjs");
const { fs: constants } = core.loadExtScript("ext:deno_node/internal_binding/constants.ts");
const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, S_IFMT } = constants;
const { File } = core.loadExtScript("ext:isopod_node/fs/nodes.js");
const tree = core.loadExtScript("ext:isopod_node/fs/tree.js");
const { statsOf } = core.loadExtScript("ext:isopod_node/fs/stats.js");
const { fail, isFolder, isLink, named } = tree;

const ACCESS = O_RDONLY | O_WRONLY | O_RDWR;

/** Opens a file for `opened` of `tree.js`, and returns its descriptor. */
function openPath(path, flags, permissions) {
  const access = flags & ACCESS;
  const isWritable = access === O_WRONLY || access === O_RDWR;
  const isExclusive = (flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0;
  const place = tree.walk(path, "open", { follow: (flags & O_NOFOLLOW) === 0 && !isExclusive });
  let { node } = place;
  if (node === undefined) {
    if ((flags & O_CREAT) === 0) throw fail("ENOENT", "open", path);
    if (path[path.length - 1] === "/") throw fail("EISDIR", "open", path);
    if (place.parent.isReadOnly) throw fail("EPERM", "open", path);
    node = place.parent.put(place.name, new File(permissions));
  } else {
    if (isExclusive) throw fail("EEXIST", "open", path);
    if (isLink(node)) throw fail("ELOOP", "open", path);
    if ((flags & O_DIRECTORY) !== 0 && !isFolder(node)) throw fail("ENOTDIR", "open", path);
    if (isFolder(node) && (isWritable || (flags & O_CREAT) !== 0)) throw fail("EISDIR", "open", path);
    if (isWritable) {
      // Devices are read-only nodes that can be written.
      if (node.isReadOnly && node.write === undefined) throw fail("EPERM", "open", path);
      if ((flags & O_TRUNC) !== 0) node.resize(0);
    }
  }
  return tree.give({
    node,
    isReadable: access !== O_WRONLY,
    isWritable,
    appends: (flags & O_APPEND) !== 0,
    position: 0,
    path,
  });
}

function open(path, flags = "r", mode = 0o666) {
  path = getValidatedPathToString(path);
  return openPath(path, stringToFlags(flags), parseFileMode(mode, "mode", 0o666) & 0o777 & ~0o022);
}

const close = (fd) => tree.release(getValidatedFd(fd));

// ---- reading and writing

/** Reads into a view, from a position or else from the end of the last operation. */
function readInto(fd, view, position) {
  const file = tree.opened(fd, "read");
  if (!file.isReadable) throw fail("EBADF", "read");
  if (isFolder(file.node)) throw fail("EISDIR", "read");
  const count = file.node.read(view, position ?? file.position);
  if (position === null) file.position += count;
  return count;
}

function writeFrom(fd, view, position) {
  const file = tree.opened(fd, "write");
  if (!file.isWritable) throw fail("EBADF", "write");
  const at = file.appends ? file.node.size : position ?? file.position;
  const count = named("write", undefined, () => file.node.write(view, at));
  if (position === null || file.appends) file.position = at + count;
  return count;
}

/** Converts a position to a number, or to null for the end of the last operation. */
function positionOf(position, length) {
  if (position === undefined || position === null) return null;
  validatePosition(position, "position", length);
  return position < 0 ? null : Number(position);
}

/** The forms of `read`: `(fd, buffer, offset, length, position)`, `(fd, buffer, options)`, `(fd, options)`. */
function readArguments(buffer, offset, length, position) {
  if (buffer === undefined || !isArrayBufferView(buffer)) {
    if (buffer !== undefined && (buffer === null || typeof buffer !== "object")) validateBuffer(buffer);
    const options = buffer ?? {};
    return readArguments(options.buffer ?? Buffer.alloc(16_384), options.offset, options.length, options.position);
  }
  if (offset !== null && typeof offset === "object") ({ offset, length, position } = offset);
  const view = arrayBufferViewToUint8Array(buffer);
  const all = TypedArrayPrototypeGetByteLength(view);
  offset ??= 0;
  validateInteger(offset, "offset", 0);
  length ??= all - offset;
  length |= 0;
  if (length === 0) return { buffer, view: TypedArrayPrototypeSubarray(view, 0, 0), position: null };
  if (all === 0) {
    throw new ERR_INVALID_ARG_VALUE("buffer", buffer, "is empty and cannot be written");
  }
  validateOffsetLengthRead(offset, length, all);
  return {
    buffer,
    view: TypedArrayPrototypeSubarray(view, offset, offset + length),
    position: positionOf(position, length),
  };
}

/** Returns `{ bytesRead, buffer }`. */
function readWhole(fd, ...args) {
  fd = getValidatedFd(fd);
  const { buffer, view, position } = readArguments(...new SafeArrayIterator(args));
  return { bytesRead: readInto(fd, view, position), buffer };
}

const read = (fd, buffer, offset, length, position) => readWhole(fd, buffer, offset, length, position).bytesRead;

/** Text, or a view, as bytes. */
function bytesOf(data, encoding = undefined) {
  if (typeof data === "string") return Buffer.from(data, encoding ?? "utf8");
  return arrayBufferViewToUint8Array(data);
}

/** The forms of `write`: `(fd, buffer, offset, length, position)`, `(fd, buffer, options)`, `(fd, text, position, encoding)`. */
function writeWhole(fd, buffer, offset, length, position) {
  fd = getValidatedFd(fd);
  if (!isArrayBufferView(buffer)) {
    validateStringAfterArrayBufferView(buffer, "buffer");
    validateEncoding(buffer, length);
    const bytes = bytesOf(buffer, length);
    return { bytesWritten: writeFrom(fd, bytes, positionOf(offset, 0)), buffer };
  }
  if (offset !== null && typeof offset === "object") ({ offset, length, position } = offset);
  const view = bytesOf(buffer);
  const all = TypedArrayPrototypeGetByteLength(view);
  offset ??= 0;
  validateInteger(offset, "offset", 0);
  length = typeof length === "number" ? length : all - offset;
  validateOffsetLengthWrite(offset, length, all);
  const part = TypedArrayPrototypeSubarray(view, offset, offset + length);
  const at = typeof position === "number" || typeof position === "bigint" ? positionOf(position, length) : null;
  return { bytesWritten: writeFrom(fd, part, at), buffer };
}

const write = (fd, buffer, offset, length, position) => writeWhole(fd, buffer, offset, length, position).bytesWritten;

/** Calls `transfer` with each view in turn, until one is transferred only in part. */
function inTurn(fd, buffers, position, transfer) {
  fd = getValidatedFd(fd);
  validateBufferArray(buffers);
  let at = typeof position === "number" ? position : null;
  let total = 0;
  for (let i = 0; i < buffers.length; i++) {
    const view = arrayBufferViewToUint8Array(buffers[i]);
    const count = transfer(fd, view, at);
    total += count;
    if (at !== null) at += count;
    if (count < TypedArrayPrototypeGetByteLength(view)) break;
  }
  return total;
}

const readv = (fd, buffers, position) => inTurn(fd, buffers, position, readInto);
const writev = (fd, buffers, position) => inTurn(fd, buffers, position, writeFrom);

/** The operations with two results. */
const twofold = {
  __proto__: null,
  read: readWhole,
  readv: (fd, buffers, position) => ({ bytesRead: readv(fd, buffers, position), buffers }),
  write: writeWhole,
  writev: (fd, buffers, position) => ({ bytesWritten: writev(fd, buffers, position), buffers }),
};

// ---- properties

const opened = (fd, syscall) => tree.opened(getValidatedFd(fd), syscall).node;

function changeable(fd, syscall) {
  const node = opened(fd, syscall);
  if (node.isReadOnly && node.write === undefined) throw fail("EPERM", syscall);
  return node;
}

function setMode(node, mode) {
  node.mode = (node.mode & S_IFMT) | (mode & 0o7777);
  node.ctimeMs = node.mtimeMs;
}

function setOwner(node, uid, gid) {
  validateInteger(uid, "uid", -1, kMaxUserId);
  validateInteger(gid, "gid", -1, kMaxUserId);
  if (uid !== -1) node.uid = uid;
  if (gid !== -1) node.gid = gid;
}

function setTimes(node, atime, mtime) {
  node.atimeMs = toUnixTimestamp(atime, "atime") * 1000;
  node.mtimeMs = toUnixTimestamp(mtime, "mtime") * 1000;
}

function resize(node, length, syscall, path) {
  length ??= 0;
  validateInteger(length, "len");
  named(syscall, path, () => node.resize(length < 0 ? 0 : MathMin(length, Number.MAX_SAFE_INTEGER)));
}

function ftruncate(fd, length = 0) {
  const file = tree.opened(getValidatedFd(fd), "ftruncate");
  if (!file.isWritable) throw fail("EINVAL", "ftruncate");
  resize(file.node, length, "ftruncate");
}

function fsync(fd) {
  opened(fd, "fsync");
}

const fstat = (fd, options = undefined) => statsOf(opened(fd, "fstat"), options);
const fchmod = (fd, mode) => setMode(changeable(fd, "fchmod"), parseFileMode(mode, "mode"));
const fchown = (fd, uid, gid) => setOwner(changeable(fd, "fchown"), uid, gid);
const futimes = (fd, atime, mtime) => setTimes(changeable(fd, "futimes"), atime, mtime);

return {
  bytesOf,
  operations: {
    close,
    fchmod,
    fchown,
    fdatasync: fsync,
    fstat,
    fsync,
    ftruncate,
    futimes,
    open,
    read,
    readv,
    write,
    writev,
  },
  readInto,
  resize,
  setMode,
  setOwner,
  setTimes,
  twofold,
  writeFrom,
};
})();
