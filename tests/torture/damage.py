#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql pair:all
"""Damage at rest. Flipped bytes in packs and files are found: exactly the files that hold them fail, hard, on every
door; the rest is served and fsck names the loss. A damaged or foreign database is named and not touched. A second serve
on the same data is refused and names the first."""
import ftplib
import hashlib
import http.client
import io
import os
import random
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh  # noqa: E402

t = gh.Checks()
MARK = b'find me: '


def content(name, size):
    line = MARK + name.encode() + b'|' + hashlib.sha256(name.encode()).hexdigest().encode() + b'\n'
    return (line * (size // len(line) + 1))[:size]


def blob_files(s):
    for folder, _, names in os.walk(os.path.join(s.data, 'blobs')):
        for n in names:
            yield os.path.join(folder, n)


def where_is(s, name):
    """(file, offset) of the content of that name on disk."""
    needle = MARK + name.encode() + b'|'
    for path in blob_files(s):
        with open(path, 'rb') as f:
            at = f.read().find(needle)
        if at >= 0:
            return path, at
    raise AssertionError('%s is nowhere on disk' % name)


def flip(path, offset):
    with open(path, 'r+b') as f:
        f.seek(offset)
        b = f.read(1)
        f.seek(offset)
        f.write(bytes([b[0] ^ 0x40]))


def read_all_doors(s, name, whole):
    """What each door makes of a file: 'good', 'failed', or what is wrong with the answer."""
    out = []
    for prefix in ('/dav/', '/api/v1/content/'):
        try:
            c = s.client()
            r = c.request('GET', prefix + name, reconnect=False)
            c.close()
            out.append('good' if r.status == 200 and r.body == whole else
                       'failed' if r.status >= 500 else 'status %d, %d bytes' % (r.status, len(r.body)))
        except (http.client.HTTPException, ConnectionError):
            out.append('failed')  # cut: the length was told and is not reached
    got = io.BytesIO()
    f = s.ftp()
    try:
        f.retrbinary('RETR /' + name, got.write)
        out.append('good' if got.getvalue() == whole else '226 and wrong bytes')
    except (ftplib.Error, EOFError, OSError):
        out.append('failed')
    f.close()
    return out


def flipped_bytes():
    rnd = random.Random(5)
    sizes = {'pack%d' % i: rnd.randrange(100, 60000) for i in range(12)}
    sizes.update({'file%d' % i: rnd.randrange(200000, 900000) for i in range(6)})
    with gh.Server() as s:
        for name, size in sizes.items():
            t.eq(s.http('PUT', '/dav/' + name, body=content(name, size)).status, 201, 'PUT ' + name)
        s.stop()
        bad = ['pack1', 'pack5', 'pack11', 'file0', 'file4']
        for name in bad:
            path, at = where_is(s, name)
            flip(path, at + rnd.randrange(min(sizes[name], 60000)))
        status, out, err = s.run('fsck', '--verify')
        t.eq(status, 1, 'fsck without a server finds the damage')
        s.start()
        for name, size in sizes.items():
            want = ['failed'] * 3 if name in bad else ['good'] * 3
            got = read_all_doors(s, name, content(name, size))
            if name.startswith('file') and name in bad:
                # large plain downloads may leave by sendfile, unseen: that is the scrubber's share; never a short 200
                t.ok(all(g in ('failed', 'good') or g.startswith('status 200, %d' % size) or 'wrong' in g for g in got),
                     name + ' is whole in length or fails', repr(got))
            else:
                t.eq(got, want, name)
        status, out, err = s.run('fsck', '--verify')
        t.eq(status, 1, 'fsck finds it in a running server')
        t.eq(s.cli_json_any('fsck', '--verify')['loss'], len(bad), 'and each of them once')
        for name in bad:
            t.eq(s.http('PUT', '/dav/' + name, body=b'mended').status, 204, 'a damaged file can be replaced')
            t.eq(s.http('GET', '/dav/' + name).body, b'mended', 'and is well again')


def truncated_pack():
    with gh.Server() as s:
        for i in range(20):
            s.http('PUT', '/dav/f%d' % i, body=content('f%d' % i, 3000))
        s.stop()
        places = [where_is(s, 'f%d' % i) for i in range(20)]
        path, at = places[12]
        os.truncate(path, at + 1000)
        s.start()
        good = [i for i in range(20) if s.http('GET', '/dav/f%d' % i).body == content('f%d' % i, 3000)]
        t.eq(good, [i for i, (p, o) in enumerate(places) if p != path or o < at], 'what lies before the cut is served, the rest fails')
        t.eq(s.http('PUT', '/dav/new', body=b'x').status, 201, 'and writing goes on')
        t.eq(s.run('fsck')[0], 1, 'fsck says so')


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


def refused(s, what, word):
    try:
        s.start(wait_s=10)
        t.ok(False, what + ': serve is refused')
    except RuntimeError as e:
        t.has(str(e), word, what + ': says why')


def damaged_database():
    if gh.METADATA != 'sqlite':
        return  # a server looks after its files itself
    for label, spoil in (('garbage', lambda d: b'not a database at all ' * 500),
                         ('torn header', lambda d: b'\0' * 100 + d[100:])):
        with gh.Server() as s:
            s.http('PUT', '/dav/a', body=b'a')
            s.stop()
            db = os.path.join(s.data, 'meta.db')
            with open(db, 'rb') as f:
                data = f.read()
            with open(db, 'wb') as f:
                f.write(spoil(data))
            before = digest(db)
            refused(s, label, 'meta.db')
            t.eq(digest(db), before, label + ': nothing is overwritten')
            with open(db, 'wb') as f:
                f.write(data)
            s.start()
            t.eq(s.http('GET', '/dav/a').body, b'a', label + ': with the old file back it serves')


def newer_schema():
    with gh.Server() as s:
        s.stop()
        s.sql("INSERT INTO schema_version (version, name, applied_us) VALUES (9999, '9999_future', 0)")
        refused(s, 'a schema from the future', 'newer gatehouse')


def second_serve():
    with gh.Server() as s:
        other = gh.Server(start=False, data=s.data)
        pid = s.proc.pid
        keep = os.path.join(s.data, 'run', 'addresses.json')
        shutil.copy(keep, keep + '.kept')
        try:
            other.start(wait_s=10)
            t.ok(False, 'a second serve is refused')
        except RuntimeError as e:
            t.has(str(e), str(pid), 'a second serve is refused and names the first')
        shutil.copy(keep + '.kept', keep)
        t.eq(s.http('OPTIONS', '/dav/').status, 200, 'the first one goes on')


def cli_json_any(self, *args):
    """JSON of a command whatever its exit status."""
    import json
    return json.loads(self.run(*args, '--json')[1])


gh.Server.cli_json_any = cli_json_any
for test in (flipped_bytes, truncated_pack, damaged_database, newer_schema, second_serve):
    test()
sys.exit(t.done())
