#!/usr/bin/python3
# suite: default
# timeout: 900
"""The release before and this one on the same data. tests/upgrade/previous names the commit that stands for the release
before; it is built from history. One PostgreSQL: the old gateway serves under load while the new one starts, migrates the
schema and serves beside it; what either acknowledged is there, whole and once, and what both wanted only one got. One
embedded installation: the new one takes it over as it is, and the old one refuses it from then on."""
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh
import pglib

t = gh.Checks()
SECONDS = 4
RACES = 40


def build_previous(top):
    """The old program's path."""
    source = os.environ['GATEHOUSE_SOURCE']
    with open(os.path.join(source, 'tests', 'upgrade', 'previous')) as f:
        commit = f.read().strip()
    git = ['git', '-c', 'safe.directory=*', '-C', source]
    if subprocess.run(git + ['cat-file', '-e', commit + '^{commit}'], stderr=subprocess.DEVNULL).returncode:
        gh.skip('history does not reach back to %s, the release before' % commit[:12])
    os.makedirs(os.path.join(top, 'old', 'b'))
    archive = subprocess.Popen(git + ['archive', commit], stdout=subprocess.PIPE)
    subprocess.run(['tar', '-x', '-C', os.path.join(top, 'old')], stdin=archive.stdout, check=True)
    archive.wait()
    with open(os.path.join(top, 'build.log'), 'wb') as log:
        for where, cmd in (('old', ['autoreconf', '-fi']),
                           ('old/b', ['../configure', '--disable-developer', 'CFLAGS=-O1']),
                           ('old/b', ['make', '-j2', 'gatehouse'])):
            if subprocess.run(cmd, cwd=os.path.join(top, where), stdout=log, stderr=log).returncode:
                with open(log.name) as f:
                    sys.exit('the release before does not build:\n' + f.read()[-3000:])
    return os.path.join(top, 'old', 'b', 'gatehouse')


def serve(program, data, **more):
    """A server of that program; .program starts it again."""
    s = gh.Server(data=data, start=False, **more)
    s.program = program
    return start(s)


def start(s):
    before = os.environ['GATEHOUSE']
    os.environ['GATEHOUSE'] = s.program
    try:
        return s.start()
    finally:
        os.environ['GATEHOUSE'] = before


def content_of(name):
    return (name + '\n').encode() + hashlib.sha256(name.encode()).digest() * 40


class Writer(threading.Thread):
    """Makes files through one gateway until told to stop; what was acknowledged is in .held."""

    def __init__(self, s, word):
        super().__init__()
        self.s, self.word, self.held, self.odd, self.over = s, word, [], [], False

    def run(self):
        c = self.s.client()
        while not self.over:
            name = '%s-%d' % (self.word, len(self.held) + len(self.odd))
            r = c.request('PUT', '/dav/' + name, body=content_of(name))
            (self.held if r.status == 201 else self.odd).append(name if r.status == 201 else (name, r.status))
        c.close()

    def end(self):
        self.over = True
        self.join()


def race(old, new):
    """Both want the same new name at the same time: one gets it."""
    winners = []
    for i in range(RACES):
        got = [None, None]
        gate = threading.Barrier(2)

        def want(k, s):
            c = s.client()
            gate.wait()
            got[k] = c.request('PUT', '/dav/race-%d' % i, {'If-None-Match': '*'}, content_of('race-%d-%d' % (i, k))).status
            c.close()
        both = [threading.Thread(target=want, args=a) for a in ((0, old), (1, new))]
        for x in both:
            x.start()
        for x in both:
            x.join()
        t.eq(sorted(got), [201, 412], 'of two that want a new name one gets it')
        winners.append(got.index(201) if 201 in got else None)
    for i, k in enumerate(winners):
        r = new.http('GET', '/dav/race-%d' % i)
        t.ok(k is not None and r.body == content_of('race-%d-%d' % (i, k)), 'and its content is there', (i, k, r.status))


def seen_within(seconds, what):
    end = time.monotonic() + seconds * gh.SLOW
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def side_by_side(program, top):
    pg = pglib.Cluster('max_connections=200')
    old = new = None
    try:
        config = 'metadata: postgresql\npostgresql:\n  conninfo: "%s"\nblobs:\n  path: %s\n' % (pg.conninfo,
                                                                                             os.path.join(top, 'blobs'))
        for name in ('one', 'two'):
            os.makedirs(os.path.join(top, name))
        old = serve(program, os.path.join(top, 'one', 'data'), config=config)
        t.eq(old.http('PUT', '/dav/shown', body=b'first').status, 201, 'the release before serves')
        writers = [Writer(old, 'old-a'), Writer(old, 'old-b')]
        for w in writers:
            w.start()
        new = serve(gh.binary(), os.path.join(top, 'two', 'data'), config=config)
        writers += [Writer(new, 'new-a'), Writer(new, 'new-b')]
        for w in writers[2:]:
            w.start()
        race(old, new)
        t.eq(new.http('GET', '/dav/shown').body, b'first', 'the new one reads what the old one wrote')
        t.eq(old.http('PUT', '/dav/shown', body=b'second').status, 204, 'the old one replaces it')
        t.ok(seen_within(2, lambda: new.http('GET', '/dav/shown').body == b'second'), 'and the new one shows it soon')
        time.sleep(SECONDS)
        for w in writers:
            w.end()
            t.eq(w.odd, [], 'every write of %s was answered as a new file' % w.word)
            t.ok(len(w.held) > 20, '%s wrote' % w.word, len(w.held))
        wrong = [n for w in writers for n in w.held if new.http('GET', '/dav/' + n).body != content_of(n)]
        t.eq(wrong, [], 'what either acknowledged is there and whole (%d)' % sum(len(w.held) for w in writers))
        t.eq(old.stop(), 0, 'the old one ends')
        t.eq(new.http('PUT', '/dav/after', body=b'x').status, 201, 'the new one goes on')
        status, out, err = new.run('fsck', '--verify')
        t.eq(status, 0, 'fsck is clean: %s %s' % (out[-500:], err[-500:]))
    finally:
        for s in (old, new):
            if s:
                s.kill9()
        pg.close()


def taken_over(program, top):
    os.makedirs(os.path.join(top, 'three'))
    data = os.path.join(top, 'three', 'data')
    s = serve(program, data)
    t.eq(s.http('MKCOL', '/dav/folder').status, 201, 'the release before makes a folder')
    for i in range(50):
        s.http('PUT', '/dav/folder/f%d' % i, body=content_of('f%d' % i))
    tags = [s.http('HEAD', '/dav/folder/f%d' % i).header('ETag') for i in range(50)]
    s.stop()
    s.program = gh.binary()
    start(s)
    got = [s.http('GET', '/dav/folder/f%d' % i) for i in range(50)]
    t.eq([r.body for r in got], [content_of('f%d' % i) for i in range(50)], 'the new one has every file')
    t.eq([r.header('ETag') for r in got], tags, 'under the same entity tags')
    t.eq(s.http('PUT', '/dav/folder/new', body=b'x').status, 201, 'and writes')
    t.eq(s.run('fsck', '--verify')[0], 0, 'fsck is clean')
    s.stop()
    s.program = program
    try:
        start(s)
        t.ok(False, 'the old one refuses what the new one has migrated')
    except RuntimeError as e:
        t.has(str(e), 'newer gatehouse', 'the old one says why it refuses')
    s.kill9()


def main():
    with tempfile.TemporaryDirectory(prefix='gh-upgrade-', dir=os.environ.get('TEST_TMP') or None) as top:
        program = build_previous(top)
        taken_over(program, top)
        side_by_side(program, top)
    sys.exit(t.done())


main()
