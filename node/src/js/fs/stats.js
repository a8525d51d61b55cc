// `Stats` of nodes, and the entries of directories: https://nodejs.org/api/fs.html#class-fsstats

(function () {
const { core, primordials } = __bootstrap;
const { BigInt, MathCeil, MathFloor } = primordials;
const { BigIntStats, Dirent, Stats } = core.loadExtScript("ext:deno_node/internal/fs/utils.mjs");
const { fs: constants } = core.loadExtScript("ext:deno_node/internal_binding/constants.ts");
const { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, UV_DIRENT_CHAR, UV_DIRENT_DIR, UV_DIRENT_FILE, UV_DIRENT_LINK } = constants;

const BLOCK_BYTES = 4096;
/** `blocks` counts in these units. */
const UNIT_BYTES = 512;

function statsOf(node, options = undefined) {
  const { mode, nlink, uid, gid, ino, size, atimeMs, mtimeMs, ctimeMs, birthtimeMs } = node;
  const blocks = MathCeil(size / UNIT_BYTES);
  if (options?.bigint === true) {
    const nanoseconds = (ms) => BigInt(MathFloor(ms)) * 1_000_000n;
    return new BigIntStats(
      0n,
      BigInt(mode),
      BigInt(nlink),
      BigInt(uid),
      BigInt(gid),
      0n,
      BigInt(BLOCK_BYTES),
      BigInt(ino),
      BigInt(size),
      BigInt(blocks),
      nanoseconds(atimeMs),
      nanoseconds(mtimeMs),
      nanoseconds(ctimeMs),
      nanoseconds(birthtimeMs),
    );
  }
  return new Stats(0, mode, nlink, uid, gid, 0, BLOCK_BYTES, ino, size, blocks, atimeMs, mtimeMs, ctimeMs, birthtimeMs);
}

const kinds = {
  __proto__: null,
  [S_IFCHR]: UV_DIRENT_CHAR,
  [S_IFDIR]: UV_DIRENT_DIR,
  [S_IFLNK]: UV_DIRENT_LINK,
};

const direntOf = (node, name, folder) => new Dirent(name, kinds[node.mode & S_IFMT] ?? UV_DIRENT_FILE, folder);

/** Returns constants for the file system, so that a worker learns nothing about the machine. */
function statfsOf(options = undefined) {
  const number = options?.bigint === true ? BigInt : (value) => value;
  return {
    type: number(0),
    bsize: number(BLOCK_BYTES),
    frsize: number(BLOCK_BYTES),
    blocks: number(0),
    bfree: number(0),
    bavail: number(0),
    files: number(0),
    ffree: number(0),
  };
}

return { direntOf, statfsOf, statsOf };
})();
