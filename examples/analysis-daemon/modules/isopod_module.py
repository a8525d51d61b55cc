"""The module protocol of Isopod, version 1, with Python's standard library alone. See docs/module-protocol.md."""

import json
import os
import queue
import signal
import socket
import struct
import threading

HEADER = struct.Struct(">BII")
NONE, JSON, BYTES = range(3)
ITEM_COST = 256


class Canceled(Exception):
    """The task's caller has gone, or its time is over."""


class HostError(Exception):
    """The host refuses what was asked for."""


class Task:
    """A task that runs."""

    def __init__(self, module, head, payload):
        self.id, self.name, self.config = head["task"], head["name"], head["config"]
        self.attempt, self.payload = head["attempt"], payload
        self._module, self._left = module, module.window_bytes
        self._changed, self._canceled = threading.Condition(), False

    def progress(self, value):
        """Reports progress. Waits while the caller does not read."""
        self._item({"type": "progress", "task": self.id}, JSON, json.dumps(value).encode())

    def emit(self, name, value):
        """Emits a result: bytes, or what has JSON."""
        kind, body = encoded(value)
        self._item({"type": "result", "task": self.id, "name": name}, kind, body)

    def publish(self, topic, value):
        """Publishes a message on the host's bus."""
        self._module.ask({"type": "publish", "topic": topic, "cause": {"task": self.id}}, value)

    def read(self, reference):
        """Reads the result of another module."""
        return self._module.ask({"type": "read", "result": reference})

    def _item(self, head, kind, body):
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0 or self._canceled)
            if self._canceled:
                raise Canceled("the task was canceled")
            self._left -= len(body) + ITEM_COST
        self._module.write(head, kind, body)

    def _grow(self, count):
        with self._changed:
            self._left += count
            self._changed.notify_all()

    def _cancel(self):
        with self._changed:
            self._canceled = True
            self._changed.notify_all()


class Module:
    """A module of a host: a process that serves tasks."""

    def __init__(self, program, tasks_max=1):
        if os.environ.get("ISOPOD_MODULE_PROTOCOL", "").split(",").count("1") == 0:
            raise SystemExit("this program is a module: it has to be started by a host")
        self.program, self.tasks_max, self.config = program, tasks_max, None
        self.window_bytes = 0
        self._functions, self._chains, self._running = {}, [], {}
        self._asked, self._next, self._lock = {}, 0, threading.Lock()
        self._out, self._stopping = queue.SimpleQueue(), False
        # Taken away from descriptor 0: processes that this one starts must not have it.
        self._socket = socket.socket(fileno=os.dup(0))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def task(self, name, chain=None):
        """Serves a task by the decorated function; with `chain`, also for each result under that pattern."""

        def add(function):
            self._functions[name] = function
            if chain is not None:
                self._chains.append({"from": chain, "task": name})
            return function

        return add

    def run(self):
        """Works until the host asks it to end."""
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        # What is read leads to what is written, but reading never waits for it.
        threading.Thread(target=self._write_all, daemon=True).start()
        hello = {"type": "hello", "protocol": 1, "program": self.program, "tasks": list(self._functions)}
        self.write(hello | {"tasks_max": self.tasks_max, "chains": self._chains})
        threading.Thread(target=self._read_all, daemon=True).start()
        while True:
            signal.pause()

    def write(self, head, kind=NONE, body=b""):
        head = json.dumps(head).encode()
        self._out.put(HEADER.pack(kind, len(head), len(body)) + head + body)

    def ask(self, head, value=None):
        """Asks the host, and waits for its answer."""
        answer = queue.SimpleQueue()
        with self._lock:
            self._next += 1
            request = self._next
            self._asked[request] = answer
        self.write(head | {"request": request}, *encoded(value))
        error, payload = answer.get()
        if error is not None:
            raise HostError(error)
        return payload

    def _write_all(self):
        while True:
            try:
                self._socket.sendall(self._out.get())
            except OSError:
                os._exit(1)
            self._end_if_done()

    def _read_all(self):
        try:
            while True:
                kind, head, body = HEADER.unpack(self._read(HEADER.size))
                head, body = json.loads(self._read(head)), self._read(body)
                self._take(head, {NONE: lambda: None, JSON: lambda: json.loads(body), BYTES: lambda: body}[kind]())
        except (OSError, EOFError):
            # The host has gone, and nothing that a task computes has a reader.
            os._exit(0 if self._stopping else 1)

    def _read(self, count):
        parts = bytearray()
        while len(parts) < count:
            part = self._socket.recv(count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    def _take(self, head, payload):
        kind, running = head["type"], self._running.get(head.get("task"))
        if kind == "welcome":
            self.config, self.window_bytes = payload, head["window_bytes"]
        elif kind == "refused":
            print(f"the host refuses the module: {head['error']}", flush=True)
            os._exit(1)
        elif kind == "task":
            task = self._running[head["task"]] = Task(self, head, payload)
            threading.Thread(target=self._work, args=(task,), daemon=True).start()
        elif kind == "more" and running:
            running._grow(head["bytes"])
        elif kind == "cancel" and running:
            running._cancel()
        elif kind in ("published", "data"):
            with self._lock:
                answer = self._asked.pop(head["request"])
            answer.put((head.get("error"), payload))
        elif kind == "ping":
            self.write({"type": "pong", "ping": head["ping"]})
        elif kind == "shutdown":
            self._stop()

    def _work(self, task):
        end = {"type": "end", "task": task.id}
        kind, body = NONE, b""
        try:
            kind, body = encoded(self._functions[task.name](task))
        except Exception as error:  # pylint: disable=broad-except
            end["error"] = {"message": str(error) or type(error).__name__}
        self._running.pop(task.id)
        self.write(end, kind, body)

    def _stop(self):
        self._stopping = True
        self._end_if_done()

    def _end_if_done(self):
        if self._stopping and not self._running and self._out.empty():
            os._exit(0)


def encoded(value):
    """The kind and the bytes of a payload."""
    if value is None:
        return NONE, b""
    if isinstance(value, (bytes, bytearray)):
        return BYTES, bytes(value)
    return JSON, json.dumps(value).encode()
