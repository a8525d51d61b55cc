// Operations on whole files: https://nodejs.org/api/fs.html

(function () {
const { core, primordials } = __bootstrap;
const { RangeError, SafeArrayIterator } = primordials;
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
const { ERR_INVALID_RETURN_VALUE, genericNodeError } = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { isArrayBufferView } = core.loadExtScript("ext:deno_node/internal/util/types.ts");
const { isUint32, parseFileMode } = core.loadExtScript("ext:deno_node/internal/validators.mjs");
const {
  getOptions,
  getValidatedPathToString,
  getValidMode,
  validateCpOptions,
  validateStringAfterArrayBufferView,
} = core.loadExtScript("ext:deno_node/internal/fs/utils.mjs");
const { fs: constants } = core.loadExtScript("ext:deno_node/internal_binding/constants.ts");
const tree = core.loadExtScript("ext:isopod_node/fs/tree.js");
const { bytesOf, operations: { close, open }, readInto, writeFrom } = core.loadExtScript("ext:isopod_node/fs/descriptors.js");
const { checkSignal, joined, namesIn, operations: paths } = core.loadExtScript("ext:isopod_node/fs/paths.js");
const { fail, find, isFolder, isLink, walk } = tree;

/** Calls a function with a descriptor, which is closed afterwards if it was opened here. */
function withFile(path, flag, mode, body) {
  if (isUint32(path)) return body(path);
  const fd = open(path, flag, mode);
  try {
    return body(fd);
  } finally {
    close(fd);
  }
}

function readFile(path, options = undefined) {
  options = getOptions(options, { flag: "r" });
  checkSignal(options);
  return withFile(path, options.flag ?? "r", 0o666, (fd) => {
    const file = tree.opened(fd, "read");
    if ((file.node.mode & constants.S_IFMT) === constants.S_IFCHR && file.node.read(Buffer.allocUnsafeSlow(1)) > 0) {
      const error = new RangeError("The file has no end; read a part of it with `read`");
      error.code = "ERR_FS_FILE_TOO_LARGE";
      throw error;
    }
    // Reads from the position of the descriptor, as Node.js does.
    const bytes = Buffer.allocUnsafeSlow(file.node.size > file.position ? file.node.size - file.position : 0);
    const count = readInto(fd, bytes, null);
    const content = count === bytes.length ? bytes : bytes.subarray(0, count);
    return options.encoding && options.encoding !== "buffer" ? content.toString(options.encoding) : content;
  });
}

function put(path, data, options, flag) {
  options = getOptions(options, { encoding: "utf8", mode: 0o666, flag });
  checkSignal(options);
  if (!isArrayBufferView(data)) validateStringAfterArrayBufferView(data, "data");
  const bytes = bytesOf(data, options.encoding);
  withFile(path, options.flag ?? flag, parseFileMode(options.mode, "mode", 0o666), (fd) => {
    writeFrom(fd, bytes, null);
  });
}

const writeFile = (path, data, options = undefined) => put(path, data, options, "w");
const appendFile = (path, data, options = undefined) => put(path, data, options, "a");

function copyFile(from, to, mode = undefined) {
  from = getValidatedPathToString(from, "src");
  to = getValidatedPathToString(to, "dest");
  mode = getValidMode(mode, "copyFile");
  const { node } = find(from, "copyfile", { dest: to });
  if (isFolder(node)) throw fail("EISDIR", "copyfile", from, to);
  const there = walk(to, "copyfile").node;
  if (there !== undefined && (mode & constants.COPYFILE_EXCL) !== 0) throw fail("EEXIST", "copyfile", from, to);
  if (there === node) return;
  const content = readFile(from);
  writeFile(to, content, { mode: node.mode & 0o777 | 0o200 });
}

// ---- cp

function cpError(code, message, from, to) {
  return genericNodeError(message, { code, path: from, dest: to, syscall: "cp" });
}

function cp(from, to, options = undefined) {
  options = validateCpOptions(options);
  from = getValidatedPathToString(from, "src");
  to = getValidatedPathToString(to, "dest");
  find(from, "cp", { dest: to });
  paths.mkdir(core.loadExtScript("ext:deno_node/path/mod.ts").dirname(to), { recursive: true });
  copyTree(from, to, options);
}

function copyTree(from, to, options) {
  if (options.filter !== undefined) {
    const isWanted = options.filter(from, to);
    if (core.isPromise(isWanted)) throw new ERR_INVALID_RETURN_VALUE("boolean", "filter", isWanted);
    if (!isWanted) return;
  }
  const source = find(from, "cp", { follow: options.dereference, dest: to }).node;
  const place = walk(to, "cp", { follow: options.dereference });
  const there = place.node;
  if (there === source) throw cpError("ERR_FS_CP_EINVAL", "src and dest cannot be the same", from, to);
  if (isFolder(source)) {
    if (!options.recursive) {
      throw cpError("ERR_FS_EISDIR", `Recursive option not enabled, cannot copy a directory: ${from}`, from, to);
    }
    if (there !== undefined && !isFolder(there)) {
      throw cpError("ERR_FS_CP_DIR_TO_NON_DIR", `cannot overwrite non-directory ${to} with directory ${from}`, from, to);
    }
    for (const folder of new SafeArrayIterator(place.folders)) {
      if (folder === source) throw cpError("ERR_FS_CP_EINVAL", `cannot copy ${from} to a subdirectory of itself ${to}`, from, to);
    }
    if (there === undefined) paths.mkdir(to, { recursive: true });
    for (const name of new SafeArrayIterator(namesIn(source))) copyTree(joined(from, name), joined(to, name), options);
    return;
  }
  if (isFolder(there)) {
    throw cpError("ERR_FS_CP_NON_DIR_TO_DIR", `cannot overwrite directory ${to} with non-directory ${from}`, from, to);
  }
  if (there !== undefined) {
    if (options.errorOnExist && !options.force) throw cpError("ERR_FS_CP_EEXIST", `${to} already exists`, from, to);
    if (!options.force) return;
    paths.unlink(to);
  }
  if (isLink(source)) paths.symlink(source.target, to);
  else copyFile(from, to, options.mode);
  if (options.preserveTimestamps) {
    const { atimeMs, mtimeMs } = source;
    paths.lutimes(to, atimeMs / 1000, mtimeMs / 1000);
  }
}

// ---- others

/** A `Blob` with a copy of the content. */
async function openAsBlob(path, options = undefined) {
  const { Blob } = core.loadExtScript("ext:deno_web/09_file.js");
  return new Blob([readFile(path)], { type: options?.type ?? "" });
}

/** Collects an iterable in one view. */
async function collect(data, encoding, signal) {
  const parts = [];
  for await (const chunk of data) {
    checkSignal({ signal });
    if (!isArrayBufferView(chunk)) validateStringAfterArrayBufferView(chunk, "data");
    parts.push(bytesOf(chunk, encoding));
  }
  return Buffer.concat(parts);
}

return { collect, openAsBlob, operations: { appendFile, copyFile, cp, readFile, writeFile } };
})();
