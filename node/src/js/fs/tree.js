// The tree of the virtual file system, and the descriptors of open files: https://developers.cloudflare.com/workers/runtime-apis/nodejs/fs/
//
// `/bundle` and `/dev` are the same for all events of a worker. `/tmp` and the descriptors belong to the event whose code is
// running, and end with it. Code outside of events, such as the top level of modules, has its own.

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypeAt,
  ArrayPrototypeFilter,
  ArrayPrototypePop,
  ArrayPrototypePush,
  ArrayPrototypeReverse,
  ArrayPrototypeSlice,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeGetSize,
  MapPrototypeSet,
  ObjectPrototypeIsPrototypeOf,
  SafeArrayIterator,
  SafeMap,
  SafeWeakMap,
  StringPrototypeEndsWith,
  StringPrototypeSplit,
  StringPrototypeStartsWith,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;
const { currentEvent } = core.loadExtScript("ext:isopod_context/context.js");
const { heldOf } = core.loadExtScript("ext:isopod_handlers/held.js");
const { uvException } = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { codeMap } = core.loadExtScript("ext:deno_node/internal_binding/uv.ts");
const { bundle, devices, Directory, Failure, Link, standard } = core.loadExtScript("ext:isopod_node/fs/nodes.js");

// The platform's limits for paths.
const PATH_LENGTH_MAX = 4096;
const SEGMENTS_MAX = 48;
/** Maximum number of symbolic links in a path, as on Linux. */
const LINKS_MAX = 40;
const DESCRIPTORS_MAX = 1024;
const DESCRIPTOR_MAX = 2 ** 31 - 1;

/** The folder of relative paths. */
const WORKING_FOLDER = "/bundle";

/** An error as Node.js has it: https://nodejs.org/api/errors.html#class-systemerror */
function fail(code, syscall, path, dest) {
  return uvException({ errno: MapPrototypeGet(codeMap, code), syscall, path, dest });
}

/** Calls a function of a node, and adds the path to its failures. */
function named(syscall, path, call, dest) {
  try {
    return call();
  } catch (error) {
    if (ObjectPrototypeIsPrototypeOf(Failure.prototype, error)) throw fail(error.code, syscall, path, dest);
    throw error;
  }
}

// ---- state of an event

const shared = {
  bundle: undefined,
  devices: undefined,
};

/** Descriptors are not reused, so that one of an ended event never refers to another file. */
let lastDescriptor = 2;

class State {
  descriptors = new SafeMap();
  constructor() {
    shared.bundle ??= bundle();
    shared.devices ??= devices();
    this.root = new Directory(0o555, true);
    this.root.put("bundle", shared.bundle);
    this.root.put("dev", shared.devices);
    this.root.put("tmp", new Directory(0o777));
    let number = 0;
    for (const node of new SafeArrayIterator(standard())) {
      MapPrototypeSet(this.descriptors, number++, { node, isReadable: true, isWritable: true, appends: false, position: 0, path: undefined });
    }
  }
}

const states = new SafeWeakMap();
let ofTopLevel;

/** Returns the state of the running code's event. After the event has ended, `/tmp` is empty on each call. */
function current() {
  const event = currentEvent();
  if (event === 0) return ofTopLevel ??= new State();
  const held = heldOf(event);
  if (held === undefined) return new State();
  let state = WeakMapPrototypeGet(states, held);
  if (state === undefined) WeakMapPrototypeSet(states, held, state = new State());
  return state;
}

// ---- descriptors

/** `opened`: `node`, `isReadable`, `isWritable`, `appends`, `position`, `path`. */
function give(opened) {
  const { descriptors } = current();
  if (MapPrototypeGetSize(descriptors) >= DESCRIPTORS_MAX) throw fail("EMFILE", "open", opened.path);
  if (lastDescriptor >= DESCRIPTOR_MAX) throw fail("ENFILE", "open", opened.path);
  MapPrototypeSet(descriptors, ++lastDescriptor, opened);
  return lastDescriptor;
}

function opened(fd, syscall) {
  const found = MapPrototypeGet(current().descriptors, fd);
  if (found === undefined) throw fail("EBADF", syscall);
  return found;
}

function release(fd) {
  if (!MapPrototypeDelete(current().descriptors, fd)) throw fail("EBADF", "close");
}

// ---- paths

/** The names in a path, the last one first. */
function namesOf(path) {
  return ArrayPrototypeReverse(ArrayPrototypeFilter(StringPrototypeSplit(path, "/"), (name) => name !== "" && name !== "."));
}

const isFolder = (node) => ObjectPrototypeIsPrototypeOf(Directory.prototype, node);
const isLink = (node) => ObjectPrototypeIsPrototypeOf(Link.prototype, node);

/**
 * Walks along a path. Returns the last node (undefined if there is none), its name, the folder that it is in, and the folders
 * on the way there, whose names are `names`. `follow`: whether a symbolic link at the end is followed.
 */
function walk(path, syscall, { follow = true, dest = undefined } = {}) {
  const error = (code) => fail(code, syscall, path, dest);
  if (path === "") throw error("ENOENT");
  if (path.length > PATH_LENGTH_MAX) throw error("ENAMETOOLONG");
  const pending = namesOf(StringPrototypeStartsWith(path, "/") ? path : `${WORKING_FOLDER}/${path}`);
  const isFolderExpected = StringPrototypeEndsWith(path, "/");
  let folders = [current().root];
  let names = [];
  let links = 0;
  for (;;) {
    if (pending.length + names.length > SEGMENTS_MAX) throw error("ENAMETOOLONG");
    const folder = ArrayPrototypeAt(folders, -1);
    if (pending.length === 0) {
      // A path that ends in `..` or `/`: the folder has no name there.
      return { parent: ArrayPrototypeAt(folders, -2), name: undefined, node: folder, folders, names };
    }
    const name = ArrayPrototypePop(pending);
    const isLast = pending.length === 0;
    if (name === "..") {
      if (names.length > 0) {
        ArrayPrototypePop(folders);
        ArrayPrototypePop(names);
      }
      continue;
    }
    const node = folder.get(name);
    if (isLink(node) && (!isLast || follow || isFolderExpected)) {
      if (++links > LINKS_MAX) throw error("ELOOP");
      for (const part of new SafeArrayIterator(namesOf(node.target))) {
        // In the order in which they are to be taken.
        ArrayPrototypePush(pending, part);
      }
      if (StringPrototypeStartsWith(node.target, "/")) {
        folders = [folders[0]];
        names = [];
      }
      continue;
    }
    if (isLast) {
      if (isFolderExpected && node !== undefined && !isFolder(node)) throw error("ENOTDIR");
      return { parent: folder, name, node, folders, names };
    }
    if (node === undefined) throw error("ENOENT");
    if (!isFolder(node)) throw error("ENOTDIR");
    ArrayPrototypePush(folders, node);
    ArrayPrototypePush(names, name);
  }
}

/** A node that is there. */
function find(path, syscall, options = undefined) {
  const place = walk(path, syscall, options);
  if (place.node === undefined) throw fail("ENOENT", syscall, path, options?.dest);
  return place;
}

/** A node that is there and may be changed. */
function findWritable(path, syscall, options = undefined) {
  const place = find(path, syscall, options);
  if (place.node.isReadOnly) throw fail("EPERM", syscall, path, options?.dest);
  return place;
}

/** The path of a place, without symbolic links. */
function pathOf({ names, name }) {
  const all = ArrayPrototypeSlice(names);
  if (name !== undefined) ArrayPrototypePush(all, name);
  let path = "";
  for (let i = 0; i < all.length; i++) path += `/${all[i]}`;
  return path === "" ? "/" : path;
}

return { fail, find, findWritable, give, isFolder, isLink, named, opened, pathOf, release, walk, WORKING_FOLDER };
})();
