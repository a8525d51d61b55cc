// The module `node:os`: https://nodejs.org/api/os.html
// All values are constant, so that a worker learns nothing about the machine.

(function () {
const { core } = __bootstrap;
const { os: constants } = core.loadExtScript("ext:deno_node/internal_binding/constants.ts");

const exported = {
  EOL: "\n",
  arch: () => "x64",
  availableParallelism: () => 1,
  constants,
  cpus: () => [],
  devNull: "/dev/null",
  endianness: () => "LE",
  freemem: () => 0,
  getPriority: () => 0,
  homedir: () => "/tmp",
  hostname: () => "localhost",
  loadavg: () => [0, 0, 0],
  machine: () => "x86_64",
  networkInterfaces: () => ({}),
  platform: () => "linux",
  release: () => "",
  setPriority() {},
  tmpdir: () => "/tmp",
  totalmem: () => 0,
  type: () => "Linux",
  uptime: () => 0,
  userInfo: () => ({ uid: -1, gid: -1, username: "worker", homedir: "/tmp", shell: null }),
  version: () => "",
};

return { ...exported, default: exported };
})();
