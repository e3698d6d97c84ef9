#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql pair
"""A full disk: every door refuses writes by its own means (507, 507, 552) and loses nothing; reads go on; a kill -9 in
the middle changes nothing; when space is there again writes go on by themselves. Needs root and a small tmpfs."""
import ftplib
import io
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh  # noqa: E402

SIZE_MIB = 96
CONFIG = 'collector:\n  every: 1s\n  grace: 1s\nblobs:\n  pack_size: 4MiB\n'
t = gh.Checks()


def ftp_put(s, path, body):
    f = s.ftp()
    try:
        try:
            return f.storbinary('STOR ' + path, io.BytesIO(body))[:3]
        except OSError:
            return f.getmultiline()[:3]  # the data connection was cut in the middle; the reply says why
    except ftplib.Error as e:
        return str(e)[:3]
    finally:
        f.close()


def fill(s, size, label):
    """Writes files of that size until one is refused; names of those acknowledged."""
    done = []
    for n in range(100000):
        name = '/%s%d' % (label, n)
        r = s.http('PUT', '/dav' + name, body=os.urandom(16) * (size // 16))
        if r.status != 201:
            return done, r
        done.append(name)
    raise AssertionError('the disk never filled')


def main():
    if os.geteuid() != 0:
        gh.skip('needs root to mount a small file system')
    top = tempfile.mkdtemp(prefix='gh-full-')
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%dm' % SIZE_MIB, 'gatehouse-test', top],
                      stderr=subprocess.DEVNULL).returncode:
        os.rmdir(top)
        gh.skip('cannot mount a tmpfs here')
    s = gh.Server(config=None, args=[], start=False, data=os.path.join(top, 'data'))
    with open(os.path.join(tempfile.gettempdir(), 'gh-full-%d.conf' % os.getpid()), 'w') as f:
        f.write(CONFIG)
    s.args += ['-c', f.name]
    s.log_path = f.name + '.log'
    try:
        s.start()
        kept = b'kept through it all\n' * 100
        t.eq(s.http('PUT', '/dav/kept', body=kept).status, 201, 'a file to keep')
        big, r = fill(s, 4 << 20, 'big')
        t.eq(r.status, 507, 'WebDAV says 507 to a large file')
        small, r = fill(s, 20000, 'small')
        t.eq(r.status, 507, 'and to a small one')
        t.eq(s.http('PUT', '/api/v1/content/x', body=b'x' * (8 << 20)).status, 507, 'REST says 507')
        t.eq(ftp_put(s, '/x', b'x' * (8 << 20)), '552', 'FTP says 552')
        t.eq(s.http('GET', '/dav/x').status, 404, 'what was refused is not there')
        t.eq(s.http('GET', '/dav/kept').body, kept, 'reads go on')
        t.eq(s.http('PUT', '/dav/kept', body=b'y' * (8 << 20)).status, 507, 'replacing is refused')
        t.eq(s.http('GET', '/dav/kept').body, kept, 'and the old file stays whole')
        for name in small[:3] + big[:3]:
            t.eq(s.http('GET', '/dav' + name).status, 200, 'acknowledged: ' + name)
        s.kill9()
        s.start()
        t.eq(s.http('GET', '/dav/kept').body, kept, 'after kill -9 on a full disk it starts and serves')
        gone = 0
        for name in big[: len(big) // 2]:
            gone += s.http('DELETE', '/dav' + name).status == 204
        t.ok(gone > 0, 'something can be removed on a full disk', '(%d of %d)' % (gone, len(big) // 2))
        end = time.monotonic() + 30 * gh.SLOW
        status = 0
        while time.monotonic() < end and status not in (201, 204):
            time.sleep(0.5)
            status = s.http('PUT', '/dav/again', body=b'z' * (1 << 20)).status
        t.among(status, (201, 204), 'once the collector has been by, writing goes on by itself')
        for name in small + big[len(big) // 2:]:
            if s.http('GET', '/dav' + name).status != 200:
                t.ok(False, 'lost: ' + name)
        t.eq(s.run('fsck')[0], 0, 'fsck is clean')
        s.stop()
    finally:
        if s.proc:
            s.proc.kill()
            s.proc.wait()
        if t.failures:
            print(s.log()[-3000:])
        subprocess.run(['umount', '-l', top])
        os.rmdir(top)
        for path in (f.name, s.log_path):
            if os.path.exists(path):
                os.unlink(path)
    sys.exit(t.done())


main()
