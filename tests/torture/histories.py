#!/usr/bin/python3
# suite: default
# timeout: 1500
"""Two gateways on one database, random operations on the same small tree from both, at once. Each client writes down when it
asked, when it was answered, and what. Afterwards it must be possible to put what happened in an order that explains every
answer (linearizability) of the registers: a few files, each written, read conditionally replaced and deleted. Folders are
moved across each other meanwhile, copied and removed: no cycle, no orphan, nothing lost (fsck). Exclusive locks have one
holder. A limit holds exactly. All of it twice: as gateways are, and with a cache that they share nodes in.

Reads of another gateway's memory may lag (a second at most, the promise of tests/conformance/gateways.py), so they are judged
by that: a value that was current at some moment between a second before the request and its answer. Writes and conditions are
exact: an entity tag that held when it was matched was the current one."""
import os
import random
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gatelib
import gh
import mclib

t = gh.Checks()
LAG = 1.0 * gh.SLOW
LOCK = ('<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>')
OPERATIONS = 10000 if os.environ.get('TEST_SUITE') == 'all' else 1000
FILES = 4
CLIENTS = 6
LIMIT = 100000


class Client(threading.Thread):
    """One client of one gateway: a share of the operations, and a history."""

    def __init__(self, s, number, count, done):
        super().__init__()
        self.c = s.client()
        self.s, self.number, self.count = s, number, count
        self.rng = random.Random(seed * 100 + number)
        self.history = []  # (kind, path, asked, answered, status, value or tag, tag matched)
        self.held = []     # (from, to) of exclusive locks
        self.odd = []
        self.seen = {}     # path -> tag last seen
        self.done = done

    def ask(self, kind, method, path, headers=None, body=None, value=None, matched=None):
        asked = time.monotonic()
        r = self.c.request(method, path, headers or {}, body)
        now = time.monotonic()
        tag = r.header('ETag')
        if kind:
            self.history.append((kind, path, asked, now, r.status, value if value is not None else r.body, tag, matched))
        return r

    def register(self):
        path = '/dav/r%d' % self.rng.randrange(FILES)
        what = self.rng.random()
        value = b'%d-%d' % (self.number, len(self.history))
        if what < 0.35:
            r = self.ask('read', 'GET', path)
            if r.status == 200:
                self.seen[path] = r.header('ETag')
        elif what < 0.6:
            self.ask('write', 'PUT', path, body=value, value=value)
        elif what < 0.85 and path in self.seen:
            tag = self.seen[path]
            self.ask('swap', 'PUT', path, {'If-Match': tag}, value, value, tag)
        elif what < 0.95:
            self.ask('make', 'PUT', path, {'If-None-Match': '*'}, value, value)
        else:
            self.ask('delete', 'DELETE', path, value=b'')

    def tree(self):
        a, b = ['/dav/t/' + self.rng.choice('abc') + self.rng.choice(['', '/x', '/y', '/x/y']) for _ in 'ab']
        what = self.rng.random()
        if what < 0.3:
            r = self.ask(None, 'MKCOL', a)
            good = (201, 405, 409)
        elif what < 0.8:
            r = self.ask(None, 'MOVE', a, {'Destination': self.s.url(b), 'Overwrite': self.rng.choice('TF')})
            good = (201, 204, 403, 404, 409, 412)
        elif what < 0.9:
            r = self.ask(None, 'COPY', a, {'Destination': self.s.url(b), 'Overwrite': self.rng.choice('TF')})
            good = (201, 204, 403, 404, 409, 412)
        else:
            r = self.ask(None, 'DELETE', a)
            good = (204, 404)
        if r.status not in good:
            self.odd.append('%s %s %s: %d %r' % (r.status, a, b, r.status, r.body[:100]))

    def lock(self):
        r = self.ask(None, 'LOCK', '/dav/lock', {'Timeout': 'Second-60'}, LOCK)
        if r.status != 200:
            if r.status != 423:
                self.odd.append('LOCK: %d' % r.status)
            return
        held = time.monotonic()
        time.sleep(self.rng.random() * 0.005)
        self.held.append((held, time.monotonic(), self.number))
        r = self.ask(None, 'UNLOCK', '/dav/lock', {'Lock-Token': r.header('Lock-Token')})
        if r.status != 204:
            self.odd.append('UNLOCK: %d' % r.status)

    def fill(self):
        size = self.rng.randrange(1, 8000)
        n = self.rng.randrange(60)
        if self.rng.random() < 0.7:
            r = self.quota.request('PUT', '/dav/q%d' % n, body=b'q' * size)
            good = (201, 204, 507)
        else:
            r = self.quota.request('DELETE', '/dav/q%d' % n)
            good = (204, 404)
        if r.status not in good:
            self.odd.append('quota: %d %r' % (r.status, r.body[:100]))

    def run(self):
        self.quota = self.s.client('small/admin')
        try:
            for _ in range(self.count):
                what = self.rng.random()
                (self.register if what < 0.6 else self.tree if what < 0.8 else self.lock if what < 0.9 else self.fill)()
        except Exception as e:  # a thread's end is not to be silent
            self.odd.append(repr(e))


# ---- the judge ----

def writes_of(events):
    """Every version there has been: what was written, when it was asked for and answered, and its tag."""
    return [e for e in events if e[0] in ('write', 'swap', 'make') and e[4] in (201, 204)]


def judge_register(path, events):
    """The chain of versions is told by conditions and tags; each answer has to fit into it.

    A full search over histories of thousands is not needed: tags are unique, so who read which write is known. What is left to
    check is order: nobody may see a version that was over more than LAG before he asked, or one that was not asked for
    yet; a swap may not succeed on a version that was certainly replaced, nor two swaps on the same one."""
    wrong = []
    made = {}
    for e in writes_of(events):
        if e[5] in made:
            wrong.append('twice: %r' % (e,))
        made[e[5]] = e
    swapped = {}
    by_tag = {}
    for e in events:
        if e[0] == 'read' and e[4] == 200 and e[6]:
            if by_tag.setdefault(e[6], e[5]) != e[5]:
                wrong.append('a tag with two contents: %s' % e[6])
    changes = [e for e in events if e[0] != 'read' and e[4] in (200, 201, 204)]
    for e in events:
        kind, _, asked, answered, status, value, tag, matched = e
        if status not in ((200, 404) if kind == 'read' else (204, 404) if kind == 'delete' else (201, 204, 412)):
            wrong.append('odd answer: %r' % (e,))
        if kind == 'read' and status == 200:
            w = made.get(value)
            if not w:
                wrong.append('nobody wrote what was read: %r' % (e,))
            elif w[2] > answered:
                wrong.append('read before it was written: %r of %r' % (e, w))
            else:  # over, if another change began after it was answered, and was answered long before the read was asked
                over = [x for x in changes if x is not w and x[2] > w[3] and x[3] < asked - LAG]
                if over:
                    wrong.append('stale by more than %.1f s: %r shows %r, but %r' % (LAG, e, w, over[0]))
        if kind == 'swap' and status == 204:
            if matched in swapped:
                wrong.append('two swaps of one version: %r and %r' % (e, swapped[matched]))
            swapped[matched] = e
            w = made.get(by_tag.get(matched))
            if w:
                over = [x for x in changes if x is not w and x is not e and x[2] > w[3] and x[3] < asked]
                if over:
                    wrong.append('a condition held that was over: %r on %r, but %r' % (e, w, over[0]))
        if kind == 'make' and status == 201:
            # it must have been possible that nothing was there: no write is certainly the last change before it
            before = [x for x in changes if x[3] < asked]
            if before:
                last = max(before, key=lambda x: x[2])
                certain = last[0] != 'delete' and not [x for x in changes if x[0] == 'delete' and x[3] > last[2] and
                                                      x[2] < answered]
                if certain:
                    wrong.append('made where something was: %r after %r' % (e, last))
        if kind == 'make' and status == 412:
            # something must have been there at some moment: not, if it was certainly deleted and nothing made it since
            before = [x for x in changes if x[3] < asked]
            if before:
                last = max(before, key=lambda x: x[2])
                if last[0] == 'delete' and not [x for x in changes if x[0] != 'delete' and x[3] > last[2] and
                                                x[2] < answered]:
                    wrong.append('nothing was there, and yet it was: %r after %r' % (e, last))
    return wrong


def judge_end(path, events, last):
    """What is there in the end was written, and is not followed by a change that began after it was answered."""
    status, body = last
    changes = [e for e in events if e[0] != 'read' and e[4] in (200, 201, 204)]
    if status == 200:
        w = [e for e in changes if e[5] == body]
        if not w:
            return ['nobody wrote what is there: %r' % body]
        later = [x for x in changes if x[2] > w[0][3]]
        return ['lost: %r, and %r is there' % (later[0], body)] if later else []
    written = [e for e in changes if e[0] != 'delete']
    deleted = [e for e in changes if e[0] == 'delete']
    lost = [w for w in written if not [d for d in deleted if d[3] > w[2]]]
    return ['lost: %r' % (lost[0],)] if lost else []


def contest(servers, words):
    """Nothing but an exclusive lock, wanted by all at once; and writers without it, who may get in only while nobody has it."""
    held, wrote = [], []

    def want(s, n):
        c = s.client()
        for i in range(150):
            r = c.request('LOCK', '/dav/wanted', {'Timeout': 'Second-60'}, LOCK)
            if r.status != 200:
                asked = time.monotonic()
                if c.request('PUT', '/dav/wanted', body=b'%d-%d' % (n, i)).status == 204:
                    wrote.append((asked, time.monotonic()))
                continue
            since = time.monotonic()
            time.sleep(random.random() * 0.003)
            held.append((since, time.monotonic(), n))
            t.eq(c.request('UNLOCK', '/dav/wanted', {'Lock-Token': r.header('Lock-Token')}).status, 204, 'UNLOCK')
    servers[0].http('PUT', '/dav/wanted', body=b'x')
    threads = [threading.Thread(target=want, args=(servers[i % len(servers)], i)) for i in range(4)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    held.sort()
    t.ok(len(held) > 10, 'the lock was had ' + words)
    t.eq([(a, b) for a, b in zip(held, held[1:]) if b[0] < a[1]], [], 'by one at a time ' + words)
    t.eq([(h, w) for h in held for w in wrote if h[0] < w[0] and w[1] < h[1]], [], 'nobody else wrote meanwhile ' + words)


def to_the_brim(g):
    """What has not been used can be, by turns on either gateway, to the last byte."""
    def used(s):
        return s.control('quota.list', tenant='small')[1]['items'][0]['used']['bytes']
    turn = 0
    end = time.monotonic() + 20 * gh.SLOW  # the trash is being emptied meanwhile
    while used(g[0]) < LIMIT and time.monotonic() < end:
        free, turn = LIMIT - used(g[0]), turn + 1
        r = g[turn % 2].http('PUT', '/dav/brim%d' % turn, body=b'b' * ((free + 1) // 2), user='small/admin')
        t.among(r.status, (201, 507), 'half of what is left')
    t.eq([used(s) for s in (g[0], g[1])], [LIMIT, LIMIT], 'all of the limit is used, and both say so')
    t.eq([s.http('PUT', '/dav/over', body=b'1', user='small/admin').status for s in (g[0], g[1])], [507, 507],
         'and not a byte more is taken')


def two_gateways(words, config=''):
    with gatelib.Gateways(2, config) as g:
        for path in ('/dav/t', '/dav/t/a', '/dav/t/b', '/dav/t/c', '/dav/t/a/x', '/dav/t/b/y'):
            t.eq(g[0].http('MKCOL', path).status, 201, 'the tree')
        g[0].http('PUT', '/dav/lock', body=b'l')
        g[0].tenant('small')
        contest([g[0], g[1]], 'in two gateways ' + words)
        ok, _ = g[0].control('limit.set', tenant='small', bytes=LIMIT)
        t.ok(ok, 'a limit')
        time.sleep(0.3)
        clients = [Client(g[i % 2], i, OPERATIONS // CLIENTS, None) for i in range(CLIENTS)]
        began = time.monotonic()
        for c in clients:
            c.start()
        worst = 0
        while any(c.is_alive() for c in clients):
            used = int(g.sql("SELECT (SELECT sum(bytes) FROM usage_total u WHERE u.tenant = t.id) + (SELECT coalesce(sum(e.bytes), 0)"
                             " FROM event e WHERE e.tenant = t.id AND (e.op > (SELECT folded FROM usage_total f WHERE f.tenant"
                             " = t.id) OR e.late = 1)) FROM tenant t WHERE t.name = 'small'"))
            worst = max(worst, used)
            time.sleep(0.1)
        for c in clients:
            c.join()
        print('%s: %d operations in %.1f s, seed %d, at most %d of %d bytes used' % (
            words, sum(c.count for c in clients), time.monotonic() - began, seed, worst, LIMIT))
        t.eq([o for c in clients for o in c.odd][:5], [], 'every answer is one that there is')
        t.ok(worst <= LIMIT, 'the limit is never passed', '(%d)' % worst)
        for i in range(FILES):
            path = '/dav/r%d' % i
            events = sorted((e for c in clients for e in c.history if e[1] == path), key=lambda e: e[2])
            t.ok(len(events) > 20, 'there is a history of %s' % path)
            t.eq(judge_register(path, events)[:3], [], 'the history of %s can be explained' % path)
            time.sleep(0.3)
            for s in (g[0], g[1]):
                r = s.http('GET', path)
                t.eq(judge_end(path, events, (r.status, r.body)), [], 'the end of %s' % path)
        held = sorted(h for c in clients for h in c.held)
        t.ok(len(held) > 5, 'locks were held')
        t.eq([(a, b) for a, b in zip(held, held[1:]) if b[0] < a[1]], [], 'an exclusive lock has one holder at a time')
        for s in (g[0], g[1]):
            code, out, err = s.run('fsck')
            t.eq(code, 0, 'fsck finds no cycle, no orphan, and sums that are right')
            if code:
                print(out, err)
        to_the_brim(g)


def main():
    if gh.METADATA == 'sqlite':
        with gh.Server() as s:
            contest([s], 'in one embedded gateway')
    two_gateways('alone')
    if shutil.which('memcached'):
        with mclib.Memcached() as m:
            two_gateways('that share nodes', 'cache:\n  tree: "%s"\n' % m.address)
    sys.exit(t.done())


seed = int(os.environ.get('SEED') or time.time())
main()
