// The module `node:fs/promises`: https://nodejs.org/api/fs.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");
const { fs: constants } = __bootstrap.core.loadExtScript("ext:deno_node/internal_binding/constants.ts");

return unavailable("fs/promises", "import files, or use a binding for data", {
  functions:
    "access appendFile chmod chown copyFile cp glob lchmod lchown link lstat lutimes mkdir mkdtemp open " +
    "opendir readFile readdir readlink realpath rename rm rmdir stat statfs symlink truncate unlink utimes " +
    "watch writeFile",
  values: { constants },
});
})();
