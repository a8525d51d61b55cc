// The environment of borrowed scripts: `build.rs` replaces `__bootstrap` and `Deno` with this.

(function () {
const { core, internals, primordials } = __bootstrap;
const texts = core.loadExtScript("ext:isopod_quotas/texts.js");
const {
  ArrayPrototypeFilter,
  Error,
  ObjectAssign,
  ObjectFreeze,
  ReflectGetOwnPropertyDescriptor,
  ReflectOwnKeys,
  SafeArrayIterator,
  SafeRegExp,
  RegExpPrototypeTest,
} = primordials;
const { getAsyncContext, setAsyncContext, ops } = core;

/** Enters a captured context as part of the event that is running now, as `AsyncLocalStorage` does. */
function enterAsyncContext(context) {
  const event = getAsyncContext()?.isopodEvent;
  if (context?.isopodEvent === event) return setAsyncContext(context);
  const entered = { __proto__: null, ...context };
  if (event === undefined) delete entered.isopodEvent;
  else entered.isopodEvent = event;
  setAsyncContext(entered);
}

// ---- ops with constant results, or without Rust

const index = new SafeRegExp(/^(?:0|[1-9][0-9]{0,9})$/);
const ONLY_ENUMERABLE = 2;

function ownNonIndexProperties(object, filter) {
  const isWanted = (key) =>
    !(typeof key === "string" && RegExpPrototypeTest(index, key)) &&
    (filter !== ONLY_ENUMERABLE || ReflectGetOwnPropertyDescriptor(object, key)?.enumerable === true);
  return ArrayPrototypeFilter(ReflectOwnKeys(object), isWanted);
}

/** The values of Linux. */
const fsConstants = ObjectFreeze({
  UV_FS_SYMLINK_DIR: 1, UV_FS_SYMLINK_JUNCTION: 2, O_RDONLY: 0, O_WRONLY: 1, O_RDWR: 2, UV_DIRENT_UNKNOWN: 0,
  UV_DIRENT_FILE: 1, UV_DIRENT_DIR: 2, UV_DIRENT_LINK: 3, UV_DIRENT_FIFO: 4, UV_DIRENT_SOCKET: 5, UV_DIRENT_CHAR: 6,
  UV_DIRENT_BLOCK: 7, S_IFMT: 61440, S_IFREG: 32768, S_IFDIR: 16384, S_IFCHR: 8192, S_IFBLK: 24576, S_IFIFO: 4096,
  S_IFLNK: 40960, S_IFSOCK: 49152, O_CREAT: 64, O_EXCL: 128, UV_FS_O_FILEMAP: 0, O_NOCTTY: 256, O_TRUNC: 512,
  O_APPEND: 1024, O_DIRECTORY: 65536, O_NOATIME: 262144, O_NOFOLLOW: 131072, O_SYNC: 1052672, O_DSYNC: 4096,
  O_DIRECT: 16384, O_NONBLOCK: 2048, S_IRWXU: 448, S_IRUSR: 256, S_IWUSR: 128, S_IXUSR: 64, S_IRWXG: 56, S_IRGRP: 32,
  S_IWGRP: 16, S_IXGRP: 8, S_IRWXO: 7, S_IROTH: 4, S_IWOTH: 2, S_IXOTH: 1, F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1,
  UV_FS_COPYFILE_EXCL: 1, COPYFILE_EXCL: 1, UV_FS_COPYFILE_FICLONE: 2, COPYFILE_FICLONE: 2,
  UV_FS_COPYFILE_FICLONE_FORCE: 4, COPYFILE_FICLONE_FORCE: 4,
});
/** libuv's number for an unknown kind of handle. */
const UNKNOWN_HANDLE = 5;

// V8 aborts the process if it cannot allocate a string, so the memory is reserved first.
const TEXT_BYTES = { __proto__: null, 0: 4, 1: 1, 2: 2, 3: 4 };

const nodeOps = ObjectAssign({ __proto__: ops }, {
  op_node_build_os: () => "linux",
  op_node_call_is_from_dependency: () => true,
  op_node_encoding_slice(bytes, start, end, encoding) {
    if (texts.byteLengthOf(bytes) > texts.LARGE_BYTES) {
      ops.op_isopod_room_for_memory(texts.byteLengthOf(bytes) * TEXT_BYTES[encoding], false);
    }
    return ops.op_node_encoding_slice(bytes, start, end, encoding);
  },
  op_node_fs_constants: () => ({ ...fsConstants }),
  op_node_get_own_non_index_properties: ownNonIndexProperties,
  op_node_guess_handle_type: () => UNKNOWN_HANDLE,
  op_node_parse_env(text) {
    texts.askForText(text, texts.COPY, 4);
    return ops.op_node_parse_env(text);
  },
  op_node_sys_to_uv_error: () => "UNKNOWN",
  op_node_view_has_buffer: () => true,
  op_transcode(bytes, from, to) {
    if (texts.byteLengthOf(bytes) > texts.LARGE_BYTES) {
      ops.op_isopod_room_for_memory(texts.byteLengthOf(bytes) * 4, false);
    }
    return ops.op_transcode(bytes, from, to);
  },
});

/** Web Cryptography, without members that only Isopod's own scripts may call. */
const webCrypto = {
  get crypto() {
    return core.loadExtScript("ext:isopod_web/interfaces.js").getCrypto();
  },
  cryptoKeyExportNodeKeyMaterial: (key) => core.loadExtScript("ext:isopod_web/interfaces.js").keyMaterial(key),
  importCryptoKeySync: (...args) =>
    core.loadExtScript("ext:isopod_web/interfaces.js").importKey(...new SafeArrayIterator(args)),
};

const loadExtScript = (specifier) =>
  specifier === "ext:deno_crypto/00_crypto.js" ? webCrypto : core.loadExtScript(specifier);

const nodeCore = { __proto__: core, loadExtScript, ops: nodeOps, setAsyncContext: enterAsyncContext };

class NotCapable extends Error {}
class BadResource extends Error {}

const Deno = {
  __proto__: null,
  build: { __proto__: null, os: "linux" },
  consoleSize: () => ({ columns: 80, rows: 24 }),
  cwd: () => "/bundle",
  errors: { __proto__: null, BadResource, NotCapable },
  noColor: true,
  pid: 1,
};

return {
  bootstrap: { __proto__: null, core: nodeCore, internals, primordials },
  Deno,
  get process() {
    return core.loadExtScript("ext:isopod_node/process.js").process;
  },
};
})();
