// Stubs of imports of borrowed scripts that workers do not have: command-line options, terminals, hooks.

(function () {
const { primordials } = __bootstrap;
const { TypeError } = primordials;

const nothing = () => undefined;
// Asynchronous operations have no ids here.
const noId = () => 0;

return {
  // internal/options.ts
  getExecArgvOptionValue: nothing,
  getOptionValue: nothing,
  // internal/errors/error_source.ts: the expression of a failed `assert()`, which would need the source.
  getErrorSourceExpression: nothing,
  // internal/async_hooks.ts
  emitAfter: nothing,
  emitBefore: nothing,
  emitDestroy: nothing,
  emitInit: nothing,
  executionAsyncId: noId,
  newAsyncId: noId,
  // _fs/_fs_glob.ts
  matchGlobPattern() {
    throw new TypeError("path.matchesGlob() is not available in workers; use a package such as picomatch");
  },
  // _fs/_fs_lstat.ts
  lstat: nothing,
  lstatSync: nothing,
  // ext:deno_io/12_io.js
  stderr: { isTerminal: () => false },
  // internal/util/colors.ts
  blue: "",
  clear: "",
  gray: "",
  green: "",
  hasColors: false,
  red: "",
  refresh: nothing,
  reset: "",
  shouldColorize: () => false,
  white: "",
  yellow: "",
};
})();
