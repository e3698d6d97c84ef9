#!/usr/bin/python3
# suite: default
# sanitizers: asan tsan
# timeout: 300
"""Nodes in memcached (cache.tree): what one gateway has read, another that remembers nothing does not read again; and whatever
becomes of the cache, gone, stopped, emptied, full of old entries or of lies, every answer is what it is without it. A gateway
that was restarted tells most: all that it knows of the tree comes from the cache or the database."""
import os
import random
import re
import shutil
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib
import gh
import mclib
import pglib

t = gh.Checks()
CONFIG = 'cache:\n  tree: "%s"\n  budget: 40ms\n'
FILES = 12


def metric(s, name, label):
    with urllib.request.urlopen('http://%s/metrics' % s.addresses['admin'], timeout=10 * gh.SLOW) as f:
        text = f.read().decode()
    return int(re.search(r'^gatehouse_%s%s (\d+)$' % (re.escape(name), re.escape('{%s}' % label)), text, re.M).group(1))


def taken(s):
    return metric(s, 'cache_hits_total', 'kind="tree"') - metric(s, 'cache_refused_total', 'reason="outdated"')


def restart(s):
    s.stop()
    s.start()


class Tree:
    """A few files deep in folders, and what each must be: None where there is none."""

    def __init__(self, g):
        self.g, self.number, self.is_now = g, 0, {}
        for path in ('/dav/a', '/dav/a/b', '/dav/a/b/c'):
            t.eq(g[0].http('MKCOL', path).status, 201, 'a folder')
        self.paths = ['/dav/a/b/c/f%d' % i for i in range(FILES)]
        for path in self.paths:
            self.put(g[0], path)

    def put(self, s, path):
        self.number += 1
        self.is_now[path] = b'value %d' % self.number
        t.among(s.http('PUT', path, body=self.is_now[path]).status, (201, 204), 'PUT %s' % path)

    def change(self, s):
        """By each way that there is; nothing of it is in memory of whoever is not s."""
        self.put(s, self.paths[0])
        t.among(s.http('DELETE', self.paths[1]).status, (204, 404), 'DELETE')
        self.is_now[self.paths[1]] = None
        if self.is_now[self.paths[2]] is None:
            self.put(s, self.paths[2])
        t.among(s.http('MOVE', self.paths[2], {'Destination': s.url(self.paths[3])}).status, (201, 204), 'MOVE')
        self.is_now[self.paths[3]], self.is_now[self.paths[2]] = self.is_now[self.paths[2]], None
        t.among(s.http('COPY', self.paths[3], {'Destination': s.url(self.paths[4])}).status, (201, 204), 'COPY')
        self.is_now[self.paths[4]] = self.is_now[self.paths[3]]

    def seen(self, s):
        got = {}
        for path in self.paths:
            r = s.http('GET', path)
            got[path] = r.body if r.status == 200 else None if r.status == 404 else r.status
        return got

    def is_right(self, s, what):
        """Now: of s's own doing, or of what was done before it was started."""
        got = self.seen(s)
        t.eq({p: v for p, v in got.items() if v != self.is_now[p]}, {}, what)

    def comes_right(self, s, what):
        t.ok(gatelib.until(lambda: self.seen(s) == self.is_now, 1.0 * gh.EASE) is not None, what)

    def warm(self, s):
        """All of it read from the database by s, after its stream has heard of it, and told. It has to remember nothing."""
        restart(s)
        time.sleep(0.6 * gh.SLOW)
        self.is_right(s, 'before it is told')
        time.sleep(0.3 * gh.SLOW)


def taken_from_the_other(tree):
    a, b = tree.g[0], tree.g[1]
    tree.warm(a)
    restart(b)
    before = metric(b, 'cache_misses_total', 'kind="tree"')
    tree.is_right(b, 'what the other has told')
    t.ok(taken(b) >= FILES, 'was taken', '(%d)' % taken(b))
    t.eq(metric(b, 'cache_misses_total', 'kind="tree"') - before, 0, 'and nothing was missed')
    tree.is_right(b, 'and again, from memory')


def changed_by_either(tree):
    a, b = tree.g[0], tree.g[1]
    for s, other in ((a, b), (b, a), (a, b)):
        tree.change(s)
        tree.is_right(s, 'who has changed it shows it at once')
        tree.comes_right(other, 'and the other within a second')
    tree.warm(a)
    b.stop()
    tree.change(a)
    t.ok(a.http('MOVE', '/dav/a/b', {'Destination': a.url('/dav/a/was-b')}).status == 201, 'a folder in the way is moved')
    t.ok(a.http('MOVE', '/dav/a/was-b', {'Destination': a.url('/dav/a/b')}).status == 201, 'and back')
    b.start()
    tree.is_right(b, 'what was changed while it was down is not taken from the cache')
    t.ok(metric(b, 'cache_refused_total', 'reason="outdated"') > 0, 'which still had it')
    t.ok(taken(b) > 0, 'what was not changed is')


def own_writes(tree, rng):
    """Nothing in memory but what was just written: a gateway reads what it wrote, whatever the cache has of before."""
    a = tree.g[0]
    restart(a)
    for _ in range(40):
        path = rng.choice(tree.paths)
        tree.put(a, path)
        r = a.http('GET', path)
        t.eq((r.status, r.body), (200, tree.is_now[path]), 'what was just written is read')


def day(tree, what):
    """Warmed, changed and read, with a gateway that remembers and one that does not."""
    a, b = tree.g[0], tree.g[1]
    tree.change(a)
    tree.is_right(a, 'who changes, with a cache that is %s' % what)
    restart(b)
    tree.is_right(b, 'who has just started, with a cache that is %s' % what)
    tree.change(b)
    tree.is_right(b, 'and changes, with a cache that is %s' % what)
    tree.comes_right(a, 'the other, with a cache that is %s' % what)


def comes_and_goes(tree, m):
    m.flush()
    day(tree, 'emptied')
    m.stop()
    day(tree, 'mute')
    m.go()
    m.kill()
    day(tree, 'gone')
    m.start()
    day(tree, 'back')


def lies(tree, liar):
    tree.warm(tree.g[0])
    for mode in mclib.MODES:
        liar.mode, before = mode, liar.asked
        day(tree, mode)
        t.ok(liar.asked > before, 'it was asked (%s)' % mode)
    liar.mode = 'old'  # and what it has is yesterday's, of everything
    tree.warm(tree.g[0])
    day(tree, 'of yesterday')
    t.ok(metric(tree.g[1], 'cache_refused_total', 'reason="outdated"') > 0, 'what was over was known to be')
    liar.mode = 'honest'


def another_history(m):
    """The database goes back to what it was before, and the cache remembers what is no more."""
    pg = pglib.Cluster()
    try:
        with gatelib.Gateways(2, CONFIG % m.address, pg=pg) as g:
            tree = Tree(g)
            tree.warm(g[0])
            for s in g.all:
                s.stop()
            pg.stop()
            data, kept = os.path.join(pg.dir, 'data'), os.path.join(pg.dir, 'kept')
            subprocess.run(['cp', '-a', data, kept], check=True)
            pg.start()
            before = dict(tree.is_now)
            g[0].start()
            for path in tree.paths:
                tree.put(g[0], path)
            tree.warm(g[0])
            restart(g[0])
            tree.is_right(g[0], 'after a restart of the server')
            t.ok(taken(g[0]) >= FILES, 'from the cache')
            g[0].stop()
            pg.stop()
            shutil.rmtree(data)
            os.rename(kept, data)
            pg.start()
            tree.is_now = before
            g[0].start()
            tree.is_right(g[0], 'what was restored is what is there')
            t.eq(taken(g[0]), 0, 'nothing of the other history was taken')
            g[1].start()
            tree.change(g[1])
            tree.comes_right(g[0], 'and it goes on')
    finally:
        pg.close()


def renewed(tree):
    """The log becomes another one while everything runs, as after a failover that nobody noticed."""
    a, b = tree.g[0], tree.g[1]
    tree.warm(a)
    restart(b)
    tree.is_right(b, 'before the log is another one')
    told = taken(b)
    t.ok(told > 0, 'nodes are taken')
    tree.g.sql('INSERT INTO feed (tenant, epoch, cut_pos, cut_op) VALUES (0, 4711, 0, 0) ON CONFLICT (tenant) DO UPDATE SET epoch'
               ' = excluded.epoch')
    tree.change(a)
    tree.comes_right(b, 'what is changed comes over')
    time.sleep(1.0 * gh.SLOW)
    tree.is_right(a, 'and what has not changed is there, though nothing is remembered')
    b.stop()
    tree.change(a)
    b.start()
    tree.is_right(b, 'nor is anything of before shown')


def moved_and_back(g):
    """A tenant goes to another shard, is changed there, and comes back to where entries of its first stay are."""
    tree = Tree(g)
    tree.warm(g[0])
    east = g.name + '_east'
    g[0].cli('shard', 'add', 'east', '--conninfo', g.pg.database(east))
    try:
        for shard in ('east', 'main'):
            g[0].cli('tenant', 'move', 'default', '--to', shard)
            tree.change(g[0])
            restart(g[1])
            tree.is_right(g[1], 'who has just started, with the tenant in %s' % shard)
            tree.comes_right(g[0], 'who was there all the time')
        tree.warm(g[0])
        restart(g[1])
        tree.is_right(g[1], 'what is told of it')
        t.ok(taken(g[1]) > 0, 'is taken')
    finally:
        for s in g.all:
            s.stop()
        g.pg.sql('DROP DATABASE %s WITH (FORCE)' % east, 'postgres')


def main():
    rng = random.Random(1)
    with mclib.Memcached() as m:
        with gatelib.Gateways(2, CONFIG % m.address) as g:
            tree = Tree(g)
            taken_from_the_other(tree)
            changed_by_either(tree)
            own_writes(tree, rng)
            comes_and_goes(tree, m)
            renewed(tree)
        with gatelib.Gateways(2, CONFIG % m.address) as g:
            moved_and_back(g)
        another_history(m)
    with mclib.Liar() as liar, gatelib.Gateways(2, CONFIG % liar.address) as g:
        tree = Tree(g)
        lies(tree, liar)
        liar.mode = 'old'
        own_writes(tree, rng)
    sys.exit(t.done())


main()
