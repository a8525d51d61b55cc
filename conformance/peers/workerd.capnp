using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (
      name = "main",
      worker = (
        modules = [
          (name = "workerd.mjs", esModule = embed "workerd.mjs"),
          (name = "run.mjs", esModule = embed "run.mjs"),
          (name = "options.mjs", esModule = embed "options.mjs"),
          (name = "harness.txt", text = embed "harness.txt"),
          (name = "test.txt", text = embed "test.txt"),
        ],
        compatibilityDate = "2026-11-17",
        bindings = [(name = "unsafe", unsafeEval = void)],
      ),
    ),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
);
