#!/bin/sh
# Chromium's build names flags that its own clang has and the released clang does not know yet. They change diagnostics
# and hardening, not the code's meaning: drop them, pass on the rest.
for argument in "$@"; do
  shift
  case $argument in
    -fdiagnostics-show-inlining-chain | -fno-lifetime-dse | -fsanitize-ignore-for-ubsan-feature=*) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec "@COMPILER@" "$@"
