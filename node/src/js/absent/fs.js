// The module `node:fs`: https://nodejs.org/api/fs.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");
const { fs: constants } = __bootstrap.core.loadExtScript("ext:deno_node/internal_binding/constants.ts");
const promises = () => __bootstrap.core.loadExtScript("ext:isopod_node/absent/fs_promises.js").default;

return unavailable("fs", "import files, or use a binding for data", {
  functions:
    "access accessSync appendFile appendFileSync chmod chmodSync chown chownSync close closeSync copyFile " +
    "copyFileSync cp cpSync createReadStream createWriteStream exists fchmod fchmodSync fchown fchownSync " +
    "fdatasync fdatasyncSync fstat fstatSync fsync fsyncSync ftruncate ftruncateSync futimes futimesSync glob " +
    "globSync lchmod lchmodSync lchown lchownSync link linkSync lstat lstatSync lutimes lutimesSync mkdir " +
    "mkdirSync mkdtemp mkdtempSync open openAsBlob openSync opendir opendirSync read readFile readFileSync " +
    "readSync readdir readdirSync readlink readlinkSync readv readvSync realpath realpathSync rename " +
    "renameSync rm rmSync rmdir rmdirSync stat statSync statfs statfsSync symlink symlinkSync truncate " +
    "truncateSync unlink unlinkSync unwatchFile utimes utimesSync watch watchFile write writeFile " +
    "writeFileSync writeSync writev writevSync",
  classes: "Dir Dirent FSWatcher FileReadStream FileWriteStream ReadStream StatWatcher Stats WriteStream",
  values: { constants, existsSync: () => false, promises: promises(), F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1 },
});
})();
