# SPDX-License-Identifier: BSD-3-Clause
"""What is lost, and what dies, while a VM of the authority's moves between two
hosts: at most one side owns it, and one has it whole. For either store."""
import movelab
from authoritylab import until
from movelab import FAIL, LEASE, OK, blobs_of, bring, lock, read, write

POINTS = [(side, when, what) for side, what in
          (("one", "OFFER"), ("two", "CLAIM"), ("two", "CONFIRM"))
          for when in ("before", "after")]
VICTIMS = "kmxd", "agent one", "agent two", "source", "target"


class Faults:
    def __init__(self, tap, lab):
        self.tap, self.lab, self.m = tap, lab, movelab.Move(lab)
        self.one, self.two = lab.hosts
        self.first = self.m.relays[self.one]
        self.second = self.m.relays[self.two]
        self.count = 0

    def services(self):
        return {"kmxd": self.lab.authority.kmxd, "agent one": self.one.agent,
                "agent two": self.two.agent}

    def revive(self):
        for s in self.services().values():
            if s.p is None or s.p.poll() is not None:
                s.start()

    # -- answers are lost --------------------------------------------------------
    def lost(self):
        tap, m = self.tap, self.m
        name, vm, d, c, t = m.vm(self.one)
        self.first.rules["OFFER"] = "answer"
        target = m.start(self.two, vm, "--incoming")
        res, blobs = blobs_of(c)
        tap.same((res, self.first.count("OFFER")), (0, 2),
                 "OFFER's answer is lost: it is asked again")
        self.second.rules["CLAIM"] = "answer"
        c2, out, t2 = bring(target, blobs)
        tap.same((out, self.second.count("CLAIM")), (OK, 2),
                 "CLAIM's answer is lost: the same again")
        tap.same((read(t2), write(t2, "two")), ("begun", 0), "    and it runs")
        d.stop()
        target.stop()
        for rule in ("answers", "request"):
            d = m.start(self.one, vm)
            c, t = d.tpm()
            target = m.start(self.two, vm, "--incoming")
            self.first.rules["OFFER"] = rule
            res, _ = blobs_of(c)
            tap.same(res, FAIL, f"OFFER: its {rule} for good: nothing is "
                     "handed out")
            tap.same((write(t, rule), read(t)), (0, rule), "    the guest goes "
                     "on at once, cut off from the authority")
            del self.first.rules["OFFER"]
            res, blobs = blobs_of(c)
            self.second.rules["CLAIM"] = rule
            out = bring(target, blobs)[1]
            tap.ok(res == 0 and len(out) == 1 and out[0] != 0,
                   f"CLAIM: its {rule} for good: refused", (res, out))
            del self.second.rules["CLAIM"]
            self.first.rules["RECLAIM"] = rule
            tap.ok(lock(c, 1) != 0, f"RECLAIM: its {rule} too: the source "
                   "waits")
            del self.first.rules["RECLAIM"]
            tap.ok(until(lambda: lock(c, 10) == 0, 4 * LEASE, 0.5),
                   "    and goes on when it is answered", d.logged()[-900:])
            tap.same((write(t, "on"), read(t)), (0, "on"), "    as it was")
            target.stop()
            tap.same(d.stop(), 0, "    to its end")

    # -- and somebody dies ---------------------------------------------------------
    def _write(self, c, t, what):
        """Whether that side runs commands and keeps what it is told."""
        try:
            return lock(c, 10) == 0 and write(t, what) == 0
        except (EOFError, OSError):
            return False

    def _start(self, host):
        d = self.m.start(host, self.file, wait=False)
        return d if d.wait_logged("ready on", 20) else None

    def _move(self, c, target):
        """What the target acknowledged, its channels."""
        try:
            res, blobs = blobs_of(c)
            if res:
                return None, None, None
            c2, out, t2 = bring(target, blobs)
            if out != OK:
                return None, c2, t2
            return write(t2, f"t{self.count}") == 0, c2, t2
        except (EOFError, OSError):
            return None, None, None

    def dies(self, point, victim):
        tap, m = self.tap, self.m
        side, when, what = point
        self.count += 1
        d = until(lambda: self._start(self.one), 4 * LEASE, 0.5)
        c, t = d.tpm()
        target = m.start(self.two, self.file, "--incoming")
        last = f"s{self.count}"
        write(t, last)
        relay = self.first if side == "one" else self.second

        def strike():
            getattr(relay, when).pop(what)
            p = {"source": d, "target": target, **self.services()}[victim].p
            p.kill()
            p.wait()

        getattr(relay, when)[what] = strike
        wrote, c2, t2 = self._move(c, target)
        getattr(relay, when).pop(what, None)
        self.revive()
        if wrote:
            last = f"t{self.count}"
        title = f"{victim} dies {when} {what}"
        sides = []
        for mine, other, word in ((c, t, "s-"), (c2, t2, "t-")):
            if mine and self._write(mine, other, word):
                sides.append(word)
        tap.ok(len(sides) <= 1, f"{title}: at most one side owns it", sides)
        if not sides and victim != "source" and d.p.poll() is None:
            if until(lambda: self._write(c, t, "s-"), 3 * LEASE, 0.5):
                sides = ["s-"]
        last = sides[0] if sides else last
        for x in (d, target):
            x.stop()
        again = until(lambda: self._start(self.two), 4 * LEASE, 0.5)
        got = None
        if again:
            c, t = again.tpm()
            got = read(t)
        maybe = {last, f"t{self.count}"} if wrote is None and \
            what == "CONFIRM" else {last}
        tap.ok(got in maybe, f"    and it is whole: {got}",
               (got, maybe, sides, wrote))
        if again:
            again.stop()

    def deaths(self, points=tuple(POINTS), victims=VICTIMS):
        _, self.file, d, _, _ = self.m.vm(self.one)
        d.stop()
        for point in points:
            for victim in victims:
                self.dies(point, victim)
