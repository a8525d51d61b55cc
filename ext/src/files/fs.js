// The module `isopod:fs`: files, for scripts run from the command line.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_fs_copy,
  op_isopod_fs_mkdir,
  op_isopod_fs_next_entries,
  op_isopod_fs_open,
  op_isopod_fs_open_dir,
  op_isopod_fs_remove,
  op_isopod_fs_rename,
  op_isopod_fs_stat,
} = core.ops;
const {
  ArrayBufferIsView,
  Date,
  Error,
  MathMax,
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  SafeArrayIterator,
  TypeError,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSet,
  TypedArrayPrototypeSlice,
  TypedArrayPrototypeSubarray,
  Uint8Array,
  decodeURIComponent,
} = primordials;
const { ReadableStreamPrototype, readableStreamForRid, writableStreamForRid } = core.loadExtScript(
  "ext:deno_web/06_streams.js",
);
const { URLPrototype } = core.loadExtScript("ext:deno_web/00_url.js");
const { TextDecoder } = core.loadExtScript("ext:deno_web/08_text_encoding.js");

/** Thrown by all functions of this module: `name` is the kind of error, `code` the system's name for it. */
class FileError extends Error {
  constructor(message, name = "FileError") {
    super(message);
    ObjectDefineProperty(this, "name", {
      __proto__: null,
      value: name,
      configurable: true,
      enumerable: false,
      writable: true,
    });
  }
}

for (
  const name of new SafeArrayIterator([
    "AlreadyExists",
    "Closed",
    "CrossesDevices",
    "DirectoryNotEmpty",
    "FileError",
    "FileTooLarge",
    "InvalidPath",
    "IsADirectory",
    "NotADirectory",
    "NotFound",
    "NotSupported",
    "PermissionDenied",
    "ReadOnlyFilesystem",
    "StorageFull",
  ])
) {
  core.registerErrorBuilder(`IsopodFile${name}`, (message) => new FileError(message, name));
}

function pathOf(path) {
  if (typeof path === "string") return path;
  if (ObjectPrototypeIsPrototypeOf(URLPrototype, path) && path.protocol === "file:") {
    if (path.host !== "") throw new TypeError("a file: URL with a host names no file of this machine");
    return decodeURIComponent(path.pathname);
  }
  throw new TypeError("a path must be a string or a file: URL");
}

function bytesOf(data) {
  if (typeof data === "string") return core.encode(data);
  if (ArrayBufferIsView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (core.isAnyArrayBuffer(data)) return new Uint8Array(data);
  throw new TypeError("data must be a string, an ArrayBuffer, a view of one or a ReadableStream");
}

const openToRead = (path) => op_isopod_fs_open(pathOf(path), { __proto__: null, writes: false });
const openToWrite = (path, options) =>
  op_isopod_fs_open(pathOf(path), {
    __proto__: null,
    writes: true,
    append: !!options?.append,
    createNew: !!options?.createNew,
  });

/** Opens a file as a stream of bytes, which is read on demand. */
async function readable(path) {
  return readableStreamForRid(await openToRead(path));
}

/**
 * Opens a file as a writable stream of bytes. It is created or truncated first; `append: true` writes at its end,
 * `createNew: true` fails if it exists.
 */
async function writable(path, options = undefined) {
  return writableStreamForRid(await openToWrite(path, options));
}

/** Reads a file as bytes. */
async function readFile(path) {
  const rid = await openToRead(path);
  try {
    const { size } = await op_isopod_fs_stat(pathOf(path), true);
    // The memory is reserved before reading; one more byte detects the end. Files without a known size get a buffer
    // too.
    let bytes = new Uint8Array(MathMax(size + 1, 4096));
    let length = 0;
    for (;;) {
      const read = await core.read(rid, TypedArrayPrototypeSubarray(bytes, length));
      if (read === 0) return TypedArrayPrototypeSlice(bytes, 0, length);
      length += read;
      if (length === TypedArrayPrototypeGetByteLength(bytes)) {
        const longer = new Uint8Array(length * 2);
        TypedArrayPrototypeSet(longer, bytes);
        bytes = longer;
      }
    }
  } finally {
    core.tryClose(rid);
  }
}

/** Reads a file as UTF-8 text. */
async function readTextFile(path) {
  return new TextDecoder().decode(await readFile(path));
}

/** Writes a file: bytes, text, or a stream of bytes. The options are those of `writable`. */
async function writeFile(path, data, options = undefined) {
  if (ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, data)) {
    await data.pipeTo(await writable(path, options));
    return;
  }
  const bytes = bytesOf(data);
  const rid = await openToWrite(path, options);
  try {
    await core.writeAll(rid, bytes);
  } finally {
    core.tryClose(rid);
  }
}

/** Writes a file as UTF-8. The options are those of `writable`. */
async function writeTextFile(path, text, options = undefined) {
  await writeFile(path, `${text}`, options);
}

async function statOf(path, follow) {
  const stat = await op_isopod_fs_stat(pathOf(path), follow);
  const date = (time) => time === null ? null : new Date(time);
  return { ...stat, modified: date(stat.modified), created: date(stat.created) };
}

/** Describes a file: `{ isFile, isDirectory, isSymlink, size, modified, created }`. */
const stat = (path) => statOf(path, true);
/** Describes a file, or a symbolic link without following it. */
const lstat = (path) => statOf(path, false);

/** Iterates over the entries of a folder, in the system's order: `{ name, isFile, isDirectory, isSymlink }`. */
async function* readDir(path) {
  const rid = await op_isopod_fs_open_dir(pathOf(path));
  try {
    for (;;) {
      const entries = await op_isopod_fs_next_entries(rid);
      if (entries.length === 0) return;
      for (let i = 0; i < entries.length; i++) yield { ...entries[i] };
    }
  } finally {
    core.tryClose(rid);
  }
}

/** Creates a folder; with `recursive: true` also its parents, and it may exist already. */
async function mkdir(path, options = undefined) {
  await op_isopod_fs_mkdir(pathOf(path), !!options?.recursive);
}

/** Removes a file, a symbolic link or an empty folder; with `recursive: true` a folder with its contents. */
async function remove(path, options = undefined) {
  await op_isopod_fs_remove(pathOf(path), !!options?.recursive);
}

/** Renames a file or a folder. An existing file with the new name is replaced. */
async function rename(from, to) {
  await op_isopod_fs_rename(pathOf(from), pathOf(to));
}

/** Copies a file's bytes. An existing file is replaced. */
async function copyFile(from, to) {
  await op_isopod_fs_copy(pathOf(from), pathOf(to));
}

return {
  FileError,
  copyFile,
  lstat,
  mkdir,
  readDir,
  readFile,
  readTextFile,
  readable,
  remove,
  rename,
  stat,
  writable,
  writeFile,
  writeTextFile,
};
})();
