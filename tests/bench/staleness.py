#!/usr/bin/python3
"""How long one gateway may show what another has replaced. Two gateways on one PostgreSQL; in pairs of clients one writes a file
on one of them, over and over, and from the moment that this is acknowledged the other asks the other gateway until it shows
it. Half of the pairs go each way. Then the second gateway loses its database, and with it the stream of what the first one
does, while all that it had in memory is replaced; what it shows after, and meanwhile, is counted. Writes the section
"staleness" of RESULTS.md, when all of it was measured.

    GATEHOUSE=build/gatehouse tests/bench/staleness.py [WRITES] [--pairs N] [--rounds N]     100000, 16, 3 losses
"""
import argparse
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'conformance'))
sys.path.insert(0, HERE)
import gatelib  # noqa: E402
import gh  # noqa: E402
import pgproxy  # noqa: E402
import results  # noqa: E402

PAUSE = 0.002  # between two looks: no figure is finer than this and a request
LOST_FILES, LOST_S = 200, 3.0


class Two(threading.Thread):
    def __init__(self, writer, reader, number, writes):
        super().__init__()
        self.writer, self.reader, self.path, self.writes = writer.client(), reader.client(), '/dav/s%d' % number, writes
        self.late, self.failed = [], None

    def run(self):
        try:
            for i in range(self.writes):
                self.one(b'%d' % i)
        except Exception as e:  # a thread's end is not to be silent
            self.failed = repr(e)

    def one(self, text):
        r = self.writer.request('PUT', self.path, body=text)
        done = time.monotonic()
        if r.status not in (201, 204):
            raise RuntimeError(repr(r))
        while self.reader.request('GET', self.path).body != text:
            if time.monotonic() - done > 10:
                raise RuntimeError('not seen within 10 s')
            time.sleep(PAUSE)
        self.late.append(time.monotonic() - done)


def staleness(writes, pairs):
    with gatelib.Gateways(2) as g:
        all_ = [Two(g[i % 2], g[1 - i % 2], i, writes // pairs) for i in range(pairs)]
        began = time.monotonic()
        for x in all_:
            x.start()
        for x in all_:
            x.join()
        took = time.monotonic() - began
    failed = [x.failed for x in all_ if x.failed]
    if failed:
        sys.exit('failed: %s' % failed[0])
    late = sorted(n for x in all_ for n in x.late)
    return [late[min(len(late) - 1, int(len(late) * p))] * 1000 for p in (0.5, 0.99, 0.999)] + [late[-1] * 1000], len(late), took


def lose(a, b, proxy, round_):
    """(answers more than a second old while the stream was lost, stale answers after it was found, seconds until found)"""
    paths = ['/dav/l%d' % i for i in range(LOST_FILES)]
    old, new = b'%d' % round_, b'%d' % (round_ + 1)
    for path in paths:
        a.http('PUT', path, body=old)
    end = time.monotonic() + 10
    while any([b.http('GET', path).body != old for path in paths]) and time.monotonic() < end:
        pass
    for path in paths:  # in memory now
        b.http('GET', path)
    proxy.deaf(True)
    for path in paths:
        if a.http('PUT', path, body=new).status != 204:
            sys.exit('a PUT failed')
    replaced = time.monotonic()
    outlived = 0
    while time.monotonic() < replaced + LOST_S:
        for path in paths:
            asked = time.monotonic()
            r = b.http('GET', path)
            outlived += r.status == 200 and r.body != new and asked > replaced + 1.0
        time.sleep(0.1)
    proxy.deaf(False)
    back, stale, waiting = time.monotonic(), 0, set(paths)
    while waiting and time.monotonic() < back + 30:
        for path in list(waiting):
            r = b.http('GET', path)
            if r.status == 200:
                stale += r.body != new
                waiting.discard(path)
        time.sleep(0.02)
    if waiting:
        sys.exit('the gateway does not come back')
    return outlived, stale, time.monotonic() - back


def losses(rounds):
    with gatelib.Gateways(1) as g:
        proxy = pgproxy.Proxy(g.pg)
        try:
            g.conninfo = proxy.conninfo(g.name)
            g.add()
            found = [lose(g[0], g[1], proxy, 2 * i) for i in range(rounds)]
            g[1].stop()
        finally:
            proxy.deaf(False)
            proxy.close()
    return [sum(f[0] for f in found), sum(f[1] for f in found), max(f[2] for f in found)]


def main():
    p = argparse.ArgumentParser()
    p.add_argument('writes', nargs='?', type=int, default=100000)
    p.add_argument('--pairs', type=int, default=16)
    p.add_argument('--rounds', type=int, default=3)
    o = p.parse_args()
    at, count, took = staleness(o.writes, o.pairs)
    outlived, stale, back = losses(o.rounds)
    text = ('%d writes acknowledged by one gateway, in %.0f s by %d pairs of clients, half each way, were shown by the other after\n'
            'median %.1f ms, 99th percentile %.1f ms, 99.9th %.1f ms, at most %.1f ms.\n'
            '%d times the stream was lost for %.0f s, and %d files in memory replaced meanwhile: %d answers were more than a second\n'
            'old while it was lost, %d stale after it was found (%.1f s after the database was back, at most).' % (
                (count, took, o.pairs) + tuple(at) + (o.rounds, LOST_S, LOST_FILES, outlived, stale, back)))
    print(text)
    good = at[2] <= 250 and at[3] <= 1000 and not outlived and not stale
    if count >= 100000 - o.pairs:
        results.put_section(os.path.join(HERE, 'RESULTS.md'), 'staleness', '''## Staleness between gateways

Written by `tests/bench/staleness.py` (%s); gateways, clients and PostgreSQL on the same processors.

```
%s
```

Floor: 250 ms at the 99.9th percentile, a second ever, 0 after the stream was lost and found. %s.''' % (
            results.machine(), text, 'Reached' if good else 'NOT reached'))
    sys.exit(0 if good else 1)


main()
