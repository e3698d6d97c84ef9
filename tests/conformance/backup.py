#!/usr/bin/env python3
# suite: default
# sanitizers: asan
"""Backup and restore as gatehouse-backup(7) says, while clients write: everything that was acknowledged before the backup began
is there afterwards and whole, fsck --verify finds nothing in the backup and in what is made of it, and a reader of the event
feed is told to list again. With the embedded database, and with PostgreSQL by pg_dump."""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402
import pglib  # noqa: E402

t = gh.Checks()
# The collector is busy: what is dead goes after seconds, which the copies here do not take.
COLLECTOR = 'collector:\n  every: 1s\n  grace: 20s\n'


class Writer(threading.Thread):
    """New files, small and large, and one that is replaced and one that is removed each time."""

    def __init__(self, s, name):
        super().__init__()
        self.s, self.name, self.stop = s, name, False
        self.kept = []  # (when it was acknowledged, path, sum)
        self.wrong = []

    def run(self):
        c, i = self.s.client(), 0
        while not self.stop:
            i += 1
            body = os.urandom(16) * (1 << 14 if i % 7 == 0 else 100)
            for path, method in (('/dav/%s-%d' % (self.name, i), 'PUT'), ('/dav/%s-again' % self.name, 'PUT'),
                                 ('/dav/%s-gone' % self.name, 'PUT'), ('/dav/%s-gone' % self.name, 'DELETE')):
                r = c.request(method, path, body=body if method == 'PUT' else None)
                if r.status not in (201, 204):
                    self.wrong.append((path, r))
            self.kept.append((time.monotonic(), '/dav/%s-%d' % (self.name, i), hashlib.sha256(body).digest()))
        c.close()


def under_load(s, save):
    """Runs save while clients write: what was acknowledged before it began."""
    writers = [Writer(s, 'w%d' % i) for i in range(4)]
    for w in writers:
        w.start()
    end = time.monotonic() + 30 * gh.SLOW
    while min(len(w.kept) for w in writers) < 15 and time.monotonic() < end:
        time.sleep(0.05)
    began = time.monotonic()
    save()
    during = sum(when > began for w in writers for when, _, _ in list(w.kept))
    for w in writers:
        w.stop = True
    for w in writers:
        w.join()
        t.eq(w.wrong, [], 'writers notice nothing')
    t.ok(during > 0, 'they went on meanwhile')
    return [(path, digest) for w in writers for when, path, digest in w.kept if when < began]


def whole(s, kept, words):
    t.ok(len(kept) >= 60, 'enough was written before', len(kept))
    wrong = [path for path, digest in kept if hashlib.sha256(s.http('GET', path).body).digest() != digest]
    t.eq(wrong, [], words)
    status, out, err = s.run('fsck', '--verify')
    if not t.eq(status, 0, 'fsck --verify finds nothing'):
        print(out, err)


def cursor(s):
    r = s.http('GET', '/api/v1/events?limit=1')
    t.eq(r.status, 200, 'the feed of events tells where it is')
    return r.json['next']


def embedded(top):
    folder = os.path.join(top, 'backup')
    with gh.Server(config=COLLECTOR) as s:
        kept = under_load(s, lambda: s.cli('backup', '-c', s.config_path, folder))
        seen = cursor(s)
        status, _, err = s.run('backup', '-c', s.config_path, folder)
        t.eq(status, 1, 'a folder that is not empty is not written to')
        t.has(err, 'is not an empty folder', 'and it says so')
        status, _, err = s.run('restore', '-c', s.config_path, folder)
        t.eq(status, 1, 'nothing is restored over a data directory that is served')
        s.stop()
        status, _, err = s.run('restore', '-c', s.config_path, folder)
        t.eq(status, 1, 'nor over one that holds something')
        t.has(err, 'already', 'and it says so')
        status, _, err = s.run('backup', '-c', s.config_path, os.path.join(top, 'no', 'such'))
        t.eq(status, 1, 'nor is a backup made where there is no place')
    p = subprocess.run([gh.binary(), 'fsck', '-D', folder, '--verify'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    t.eq(p.returncode, 0, 'the backup itself is whole: ' + p.stdout)
    for n in (1, 2):  # one backup may be needed more than once
        data = os.path.join(top, 'restored-%d' % n, 'data')
        os.mkdir(os.path.dirname(data))
        p = subprocess.run([gh.binary(), 'restore', '-D', data, folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        t.eq(p.returncode, 0, 'restore: ' + p.stdout)
        with gh.Server(config=COLLECTOR, data=data) as s:
            whole(s, kept, 'everything that was acknowledged before the backup is there and whole')
            t.eq(s.http('PUT', '/dav/new', body=b'x').status, 201, 'and life goes on')
            ended(s, seen)
    os.unlink(os.path.join(folder, 'backup.json'))
    p = subprocess.run([gh.binary(), 'restore', '-D', os.path.join(top, 'half'), folder], stderr=subprocess.PIPE, text=True)
    t.eq(p.returncode, 1, 'half a backup is not restored')
    t.has(p.stderr, 'no backup.json', 'and it says why')


def ended(s, seen):
    t.eq(s.http('GET', '/api/v1/events?after=' + seen).status, 410, 'who followed the events before is told to list again')


def postgresql(top):
    pg = pglib.Cluster()
    blobs, dump = os.path.join(top, 'pg-blobs'), os.path.join(top, 'dump')
    conf = 'metadata: postgresql\npostgresql:\n  conninfo: "%s"\n' + COLLECTOR

    def save():
        subprocess.run(['pg_dump', '-h', pg.dir, '-U', 'gatehouse', '-Fc', '-f', dump, 'first'], check=True)
        shutil.copytree(os.path.join(s.data, 'blobs'), blobs)

    try:
        with gh.Server(config=conf % pg.database('first')) as s:
            kept = under_load(s, save)
            seen = cursor(s)
            status, _, err = s.run('backup', '-c', s.config_path, os.path.join(top, 'none'))
            t.eq(status, 1, 'a database on a server is not saved by this command')
            t.has(err, 'gatehouse-backup(7)', 'which says where it is told how')
        s = gh.Server(config=conf % pg.database('second'), start=False)
        try:
            subprocess.run(['pg_restore', '-h', pg.dir, '-U', 'gatehouse', '-d', 'second', dump], check=True)
            os.makedirs(s.data)
            shutil.copytree(blobs, os.path.join(s.data, 'blobs'))
            pg.sql('UPDATE gateway SET expires_us = 0', 'second')
            t.eq(s.run('restore', '-c', s.config_path)[0], 0, 'the restored database is told')
            s.start()
            whole(s, kept, 'from PostgreSQL too everything that was acknowledged before is there and whole')
            ended(s, seen)
        finally:
            s.close()
    finally:
        pg.close()


def main():
    top = tempfile.mkdtemp(prefix='gatehouse-backup-')
    try:
        embedded(top)
        if shutil.which('pg_dump'):
            postgresql(top)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return t.done()


if __name__ == '__main__':
    sys.exit(main())
