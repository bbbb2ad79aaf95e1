# SPDX-License-Identifier: BSD-3-Clause
"""Between a vtpmd and its agent: passes messages on, and loses what a test says.
The messages' heads are those of doc/authority-protocols.md, "The agent's
socket"."""
import atexit
import os
import select
import socket
import struct
import threading

TYPES = {1: "HELLO", 3: "KEY_MAKE", 4: "KEY_OPEN", 6: "ACQUIRE",
         7: "CONFIRM", 8: "RELEASE", 10: "ATTACH", 16: "OFFER", 17: "CLAIM", 18: "RECLAIM"}


class Relay:
    """rules[TYPE]: "request": it never comes to the agent; "answer": that of
    the next is lost, once; "answers": all are. The connection ends with it.
    before[TYPE]: called before a request is passed on, after[TYPE]: with its
    answer in hand."""

    def __init__(self, path, to):
        self.path, self.to = path, to
        self.rules, self.before, self.after = {}, {}, {}
        self.passed = []
        self.pairs = {}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(64)
        self.wake, self.waker = socket.socketpair()
        threading.Thread(target=self._run, daemon=True).start()
        atexit.register(self.stop)

    def stop(self):
        try:
            self.waker.send(b"x")
        except OSError:
            pass

    def count(self, name):
        return self.passed.count(name)

    def _end(self, s):
        other = self.pairs.pop(s, (None,))[0]
        s.close()
        if other is not None:
            self.pairs.pop(other, None)
            other.close()

    def _accept(self):
        c = self.listener.accept()[0]
        a = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            a.connect(self.to)
        except OSError:
            c.close()
            a.close()
            return
        self.pairs[c], self.pairs[a] = (a, False), (c, True)

    def _message(self, s):
        other, is_agent = self.pairs[s]
        data = s.recv(65536)
        if not data:
            return False
        kind = struct.unpack(">H", data[:2])[0]
        name = TYPES.get(kind & 0x3fff, "?")
        rule = self.rules.get(name)
        if is_agent and kind & 0x8000:
            self.after.get(name, lambda: None)()
            if rule in ("answer", "answers"):
                if rule == "answer":
                    del self.rules[name]
                return False
        elif not is_agent:
            self.passed.append(name)
            self.before.get(name, lambda: None)()
            if rule == "request":
                return False
        other.send(data)
        return True

    def _run(self):
        while True:
            ready = select.select([self.listener, self.wake, *self.pairs],
                                  [], [])[0]
            if self.wake in ready:
                break
            for s in ready:
                if s is self.listener:
                    self._accept()
                elif s in self.pairs:
                    try:
                        if self._message(s):
                            continue
                    except OSError:
                        pass
                    self._end(s)
        for s in list(self.pairs):
            s.close()
        self.listener.close()
