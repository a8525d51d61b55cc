// Operations on paths: https://nodejs.org/api/fs.html

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypeIncludes,
  ArrayPrototypePop,
  ArrayPrototypePush,
  ArrayPrototypeSort,
  MapPrototypeForEach,
  MapPrototypeGetSize,
  MathFloor,
  MathRandom,
  ObjectPrototypeIsPrototypeOf,
  SafeArrayIterator,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
} = primordials;
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
const { AbortError, ERR_FS_EISDIR } = core.loadExtScript("ext:deno_node/internal/errors.ts");
const {
  parseFileMode,
  validateBoolean,
} = core.loadExtScript("ext:deno_node/internal/validators.mjs");
const {
  getOptions,
  getValidatedPathToString,
  getValidMode,
  stringToSymlinkType,
  validateRmdirOptions,
} = core.loadExtScript("ext:deno_node/internal/fs/utils.mjs");
const { fs: constants, os } = core.loadExtScript("ext:deno_node/internal_binding/constants.ts");
const { BundleFile, Directory, Link } = core.loadExtScript("ext:isopod_node/fs/nodes.js");
const tree = core.loadExtScript("ext:isopod_node/fs/tree.js");
const { direntOf, statfsOf, statsOf } = core.loadExtScript("ext:isopod_node/fs/stats.js");
const { operations: onDescriptors, resize, setMode, setOwner, setTimes } = core.loadExtScript(
  "ext:isopod_node/fs/descriptors.js",
);
const { fail, find, findWritable, isFolder, isLink, pathOf, walk } = tree;

/** A name or path in the encoding that the caller wants. */
function encoded(text, options) {
  const { encoding } = getOptions(options);
  if (encoding === "buffer") return Buffer.from(text);
  return encoding === undefined || encoding === null || encoding === "utf8" ? text : Buffer.from(text).toString(encoding);
}

function checkSignal(options) {
  const signal = options?.signal;
  if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
}

// ---- existing entries

const isFileOfSystem = (node) => ObjectPrototypeIsPrototypeOf(BundleFile.prototype, node) || isFolder(node) && node.isReadOnly;

function access(path, mode = undefined) {
  path = getValidatedPathToString(path);
  mode = getValidMode(mode, "access");
  const { node } = find(path, "access");
  if ((mode & constants.W_OK) !== 0 && isFileOfSystem(node)) throw fail("EPERM", "access", path);
  if ((mode & constants.X_OK) !== 0 && (node.mode & 0o111) === 0) throw fail("EACCES", "access", path);
}

function exists(path) {
  try {
    find(getValidatedPathToString(path), "access");
    return true;
  } catch {
    return false;
  }
}

function statAt(path, options, syscall, follow) {
  path = getValidatedPathToString(path);
  if (options?.throwIfNoEntry === false) {
    try {
      return statsOf(find(path, syscall, { follow }).node, options);
    } catch (error) {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw error;
    }
  }
  return statsOf(find(path, syscall, { follow }).node, options);
}

const stat = (path, options = undefined) => statAt(path, options, "stat", true);
const lstat = (path, options = undefined) => statAt(path, options, "lstat", false);

function statfs(path, options = undefined) {
  find(getValidatedPathToString(path), "statfs");
  return statfsOf(options);
}

const realpath = (path, options = undefined) => encoded(pathOf(find(getValidatedPathToString(path), "realpath")), options);

function readlink(path, options = undefined) {
  path = getValidatedPathToString(path);
  const { node } = find(path, "readlink", { follow: false });
  if (!isLink(node)) throw fail("EINVAL", "readlink", path);
  return encoded(node.target, options);
}

/** The names in a folder, sorted as libuv's `scandir` does. */
const namesIn = (folder) => {
  const names = [];
  MapPrototypeForEach(folder.entries, (_node, name) => ArrayPrototypePush(names, name));
  return ArrayPrototypeSort(names);
};

const joined = (folder, name) => folder[folder.length - 1] === "/" ? `${folder}${name}` : `${folder}/${name}`;

function readdir(path, options = undefined) {
  path = getValidatedPathToString(path);
  options = getOptions(options);
  if (options.recursive !== undefined && options.recursive !== null) validateBoolean(options.recursive, "options.recursive");
  const { node } = find(path, "scandir");
  if (!isFolder(node)) throw fail("ENOTDIR", "scandir", path);
  const found = [];
  const pending = [{ folder: node, at: path, prefix: "" }];
  while (pending.length > 0) {
    const { folder, at, prefix } = ArrayPrototypePop(pending);
    for (const name of new SafeArrayIterator(namesIn(folder))) {
      const entry = folder.get(name);
      const given = options.withFileTypes ? direntOf(entry, encoded(name, options), at) : encoded(`${prefix}${name}`, options);
      ArrayPrototypePush(found, given);
      if (options.recursive && isFolder(entry)) {
        ArrayPrototypePush(pending, { folder: entry, at: joined(at, name), prefix: `${prefix}${name}/` });
      }
    }
  }
  return found;
}

// ---- creating and removing

/** Returns the folder for a new entry. */
function vacant(path, syscall, dest = undefined) {
  const place = walk(dest ?? path, syscall, { follow: false, dest: undefined });
  if (place.node !== undefined) throw fail("EEXIST", syscall, path, dest);
  if (place.parent.isReadOnly) throw fail("EPERM", syscall, path, dest);
  return place;
}

/** Creates a folder and its missing parents. Returns the path of the first that was created. */
function makeAll(path, permissions) {
  let first;
  const absolute = StringPrototypeStartsWith(path, "/") ? path : `${tree.WORKING_FOLDER}/${path}`;
  for (let end = 1; end <= absolute.length; end++) {
    if (end < absolute.length && absolute[end] !== "/" || absolute[end - 1] === "/") continue;
    const part = StringPrototypeSlice(absolute, 0, end);
    const { node, parent, name } = walk(part, "mkdir");
    if (node === undefined) {
      if (parent.isReadOnly) throw fail("EPERM", "mkdir", path);
      parent.put(name, new Directory(permissions));
      first ??= part;
    } else if (!isFolder(node)) throw fail(end === absolute.length ? "EEXIST" : "ENOTDIR", "mkdir", path);
  }
  return first;
}

function mkdir(path, options = undefined) {
  path = getValidatedPathToString(path);
  const isMode = typeof options === "number" || typeof options === "string";
  const { recursive = false, mode = 0o777 } = isMode ? { mode: options } : options ?? {};
  validateBoolean(recursive, "options.recursive");
  const permissions = parseFileMode(mode, "mode", 0o777) & 0o777 & ~0o022;
  if (recursive) return makeAll(path, permissions);
  const { parent, name } = vacant(path, "mkdir");
  parent.put(name, new Directory(permissions));
}

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

function mkdtemp(prefix, options = undefined) {
  prefix = getValidatedPathToString(prefix, "prefix");
  let path = prefix;
  for (let i = 0; i < 6; i++) path += LETTERS[MathFloor(MathRandom() * LETTERS.length)];
  const place = walk(path, "mkdtemp");
  if (place.node !== undefined) throw fail("EEXIST", "mkdtemp", `${prefix}XXXXXX`);
  if (place.parent.isReadOnly) throw fail("EPERM", "mkdtemp", `${prefix}XXXXXX`);
  place.parent.put(place.name, new Directory(0o700));
  return encoded(path, options);
}

function unlink(path) {
  path = getValidatedPathToString(path);
  const { parent, name, node } = find(path, "unlink", { follow: false });
  if (isFolder(node)) throw fail("EISDIR", "unlink", path);
  if (parent.isReadOnly) throw fail("EPERM", "unlink", path);
  parent.remove(name);
}

/** Removes a folder from its parent. */
function removeFolder({ parent, name, node }, path, syscall) {
  if (name === undefined) throw fail("EBUSY", syscall, path);
  if (parent.isReadOnly || node.isReadOnly) throw fail("EPERM", syscall, path);
  parent.remove(name);
}

function rmdir(path, options = undefined) {
  path = getValidatedPathToString(path);
  validateRmdirOptions(options);
  const place = find(path, "rmdir", { follow: false });
  if (!isFolder(place.node)) throw fail("ENOTDIR", "rmdir", path);
  if (MapPrototypeGetSize(place.node.entries) > 0) throw fail("ENOTEMPTY", "rmdir", path);
  removeFolder(place, path, "rmdir");
}

function rm(path, options = undefined) {
  path = getValidatedPathToString(path);
  const { force = false, recursive = false } = validateRmdirOptions(options);
  validateBoolean(force, "options.force");
  const place = walkOrNothing(path, force);
  if (place === undefined) return;
  if (isFolder(place.node)) {
    if (!recursive) {
      throw new ERR_FS_EISDIR({ code: "EISDIR", message: "is a directory", path, syscall: "rm", errno: os.errno.EISDIR });
    }
    removeFolder(place, path, "rm");
    return;
  }
  if (place.parent.isReadOnly) throw fail("EPERM", "rm", path);
  place.parent.remove(place.name);
}

function walkOrNothing(path, isAllowed) {
  try {
    return find(path, "rm", { follow: false });
  } catch (error) {
    if (isAllowed && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function rename(from, to) {
  from = getValidatedPathToString(from, "oldPath");
  to = getValidatedPathToString(to, "newPath");
  const failed = (code) => fail(code, "rename", from, to);
  const old = find(from, "rename", { follow: false, dest: to });
  const place = walk(to, "rename", { follow: false });
  if (old.name === undefined || place.name === undefined) throw failed("EBUSY");
  if (old.parent.isReadOnly || old.node.isReadOnly || place.parent.isReadOnly) throw failed("EPERM");
  if (old.node === place.node) return;
  if (isFolder(old.node)) {
    if (ArrayPrototypeIncludes(place.folders, old.node)) throw failed("EINVAL");
    if (place.node !== undefined && !isFolder(place.node)) throw failed("ENOTDIR");
  }
  if (place.node !== undefined) {
    if (place.node.isReadOnly) throw failed("EPERM");
    if (isFolder(place.node)) {
      if (!isFolder(old.node)) throw failed("EISDIR");
      if (MapPrototypeGetSize(place.node.entries) > 0) throw failed("ENOTEMPTY");
    }
    place.parent.remove(place.name);
  }
  old.parent.remove(old.name);
  place.parent.put(place.name, old.node).nlink++;
}

function link(existing, made) {
  existing = getValidatedPathToString(existing, "existingPath");
  made = getValidatedPathToString(made, "newPath");
  const { node } = find(existing, "link", { follow: false, dest: made });
  if (isFolder(node) || node.isReadOnly) throw fail("EPERM", "link", existing, made);
  const { parent, name } = vacant(existing, "link", made);
  parent.put(name, node).nlink++;
}

function symlink(target, path, type = undefined) {
  target = getValidatedPathToString(target, "target");
  path = getValidatedPathToString(path);
  stringToSymlinkType(type);
  if (target === "") throw fail("ENOENT", "symlink", target, path);
  const { parent, name } = vacant(target, "symlink", path);
  parent.put(name, new Link(target));
}

// ---- properties

function truncate(path, length = 0) {
  if (typeof path === "number") return onDescriptors.ftruncate(path, length);
  path = getValidatedPathToString(path);
  const { node } = findWritable(path, "truncate");
  if (isFolder(node)) throw fail("EISDIR", "truncate", path);
  resize(node, length, "truncate", path);
}

const target = (path, syscall, follow = true) => findWritable(getValidatedPathToString(path), syscall, { follow }).node;

const chmod = (path, mode) => setMode(target(path, "chmod"), parseFileMode(mode, "mode"));
const lchmod = (path, mode) => setMode(target(path, "lchmod", false), parseFileMode(mode, "mode"));
const chown = (path, uid, gid) => setOwner(target(path, "chown"), uid, gid);
const lchown = (path, uid, gid) => setOwner(target(path, "lchown", false), uid, gid);
const utimes = (path, atime, mtime) => setTimes(target(path, "utime"), atime, mtime);
const lutimes = (path, atime, mtime) => setTimes(target(path, "lutime", false), atime, mtime);

return {
  checkSignal,
  encoded,
  joined,
  namesIn,
  operations: {
    access,
    chmod,
    chown,
    lchmod,
    lchown,
    link,
    lstat,
    lutimes,
    mkdir,
    mkdtemp,
    readdir,
    readlink,
    realpath,
    rename,
    rm,
    rmdir,
    stat,
    statfs,
    symlink,
    truncate,
    unlink,
    utimes,
  },
  exists,
};
})();
