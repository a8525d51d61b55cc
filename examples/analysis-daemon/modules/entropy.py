"""Measures the entropy of what `unpack` has unpacked. With one package, msgspec, by which requests have a type."""

import collections
import math

import msgspec

from isopod_module import Module


class Result(msgspec.Struct):
    """The reference of a result."""

    id: int
    source: dict
    name: str


module = Module("entropy 1.0", tasks_max=2)


@module.task("entropy", chain="results.unpack")
def entropy(task):
    # A request that does not have this type is the task's error.
    result = msgspec.convert(task.payload, Result)
    content = task.read(msgspec.to_builtins(result))
    counts = collections.Counter(content).values()
    bits = -sum(count / len(content) * math.log2(count / len(content)) for count in counts)
    task.emit("entropy", {"sample": result.name, "bits": round(bits, 2)})
    return bits


module.run()
