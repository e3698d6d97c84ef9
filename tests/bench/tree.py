#!/usr/bin/python3
"""What nodes in the shared cache (cache.tree) spare the database. A gateway is restarted, so that it remembers nothing, and every
file of a tree that another gateway has read before is read once, by a few clients; in alternation without that cache and with
it. Counted: seconds of processor of all of PostgreSQL, of the gateway and of memcached, from before the gateway's start to the last
answer, and the clients' time. Without arguments it writes its section of RESULTS.md.

    GATEHOUSE=build/gatehouse tests/bench/tree.py [FILES] [--folders N] [--rounds N] [--clients N]     5000, 50, 5, 8
"""
import argparse
import os
import random
import statistics
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'conformance'))
sys.path.insert(0, HERE)
import gatelib  # noqa: E402
import gh  # noqa: E402
import mclib  # noqa: E402
import pglib  # noqa: E402
import results  # noqa: E402

DEEP = 3


def cpu_s(pid, children=False):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rpartition(')')[2].split()
    return sum(int(n) for n in fields[11:15 if children else 13]) / os.sysconf('SC_CLK_TCK')


def each(work, clients, fn):
    """fn(client, item) for each item of work, by as many connections."""
    work, lock, bad = list(work), threading.Lock(), []

    def run(c):
        try:
            while True:
                with lock:
                    if not work:
                        return
                    item = work.pop()
                fn(c, item)
        except Exception as e:  # a thread's end is not to be silent
            bad.append(repr(e))
    threads = [threading.Thread(target=run, args=(c,)) for c in clients]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    if bad:
        raise RuntimeError(bad[0])


def must(r, *good):
    if r.status not in good:
        raise RuntimeError('%d %r' % (r.status, r.body[:100]))


class House:
    def __init__(self, g, m, files, folders, clients):
        self.g, self.m, self.clients = g, m, clients
        self.paths = []
        for i in range(folders):
            path = '/dav/f%d' % i
            must(g[0].http('MKCOL', path), 201)
            for _ in range(DEEP - 1):
                path += '/d'
                must(g[0].http('MKCOL', path), 201)
            self.paths += [path + '/n%d' % k for k in range(files // folders)]
        each(self.paths, self.connect(g[0]), lambda c, p: must(c.request('PUT', p, body=b'x' * 1000), 201))

    def connect(self, s):
        return [s.client() for _ in range(self.clients)]

    def read_all(self, s, seed):
        paths = list(self.paths)
        random.Random(seed).shuffle(paths)
        began = time.monotonic()
        each(paths, self.connect(s), lambda c, p: must(c.request('GET', p), 200))
        return time.monotonic() - began

    def used(self):
        pids = self.g.pg.pids()
        return [cpu_s(pids[0], True) + sum(cpu_s(p) for p in pids[1:]), cpu_s(self.m.p.pid)]

    def cold(self, s, seed):
        """A gateway that remembers nothing; seconds of the database, memcached, gateway, and on the clock."""
        s.stop()
        time.sleep(0.3)
        before = self.used()
        s.start()
        took = self.read_all(s, seed)
        gateway = cpu_s(s.proc.pid)
        return [a - b for a, b in zip(self.used(), before)] + [gateway, took]


def main():
    p = argparse.ArgumentParser()
    p.add_argument('files', nargs='?', type=int, default=5000)
    p.add_argument('--folders', type=int, default=50)
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--clients', type=int, default=8)
    o = p.parse_args()
    pg = pglib.Cluster('max_connections=200')
    try:
        with mclib.Memcached(64) as m, gatelib.Gateways(1, pg=pg) as g:
            g.config = 'cache:\n  tree: "%s"\n' % m.address
            g.add()
            h = House(g, m, o.files, o.folders, o.clients)
            time.sleep(2)
            h.cold(g[1], 0)  # which tells
            time.sleep(2)
            runs = [[h.cold(s, i) for s in (g[0], g[1])] for i in range(1, o.rounds + 1)]
    finally:
        pg.close()
    middle = [[statistics.median(r[i][k] for r in runs) for k in range(4)] for i in (0, 1)]
    ratio = statistics.median(r[0][0] / max(r[1][0], 0.01) for r in runs)
    text = ['## Nodes in the shared cache', '',
            'Written by `tests/bench/tree.py` (%s); gateway, clients, PostgreSQL and memcached on the same processors. %d files in'
            ' %d folders %d deep, read once each by %d connections from a gateway that has just been started; %d rounds in'
            ' alternation, medians, seconds of processor.' % (results.machine(), len(h.paths), o.folders, DEEP, o.clients, o.rounds),
            '', '| | PostgreSQL | memcached | gateway | by the clock |', '|---|---|---|---|---|']
    text += ['| %s | %s |' % (name, ' | '.join('%.2f' % v for v in middle[i])) for i, name in enumerate(('without', 'with'))]
    text += ['', 'The database has %.1f times less to do (from %.0f us for a file to %.0f).' % (
        ratio, middle[0][0] / len(h.paths) * 1e6, middle[1][0] / len(h.paths) * 1e6)]
    print('\n'.join(text))
    if len(sys.argv) == 1:
        results.put_section(os.path.join(HERE, 'RESULTS.md'), 'tree.py', '\n'.join(text))


main()
