"""Finds the texts in what `unpack` has unpacked. Standard library only."""

import re

from isopod_module import Module

module = Module("strings 1.0", tasks_max=2)


@module.task("strings", chain="results.unpack")
def strings(task):
    # The data comes only now, and only because it is wanted.
    content = task.read(task.payload)
    shortest = module.config["shortest"]
    found, size = [], max(len(content), 1)
    for match in re.finditer(rb"[\x20-\x7e]{%d,}" % shortest, content):
        found.append(match.group().decode())
        if len(found) % 16 == 0:
            task.progress(match.end() / size)
    task.emit("strings", {"sample": task.config["name"], "strings": found})
    return len(found)


module.run()
