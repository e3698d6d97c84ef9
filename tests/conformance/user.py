#!/usr/bin/python3
# suite: quick
"""Started as root with the key `user`, the server opens its ports and becomes that user for good: no thread of it is root
any more, what it writes is that user's, and a port below 1024 is served all the same."""
import os
import pwd
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

if os.geteuid() != 0:
    gh.skip('only root can become somebody else')
WHO = pwd.getpwnam('nobody')


def ids(path, key):
    with open(path) as f:
        return [set(map(int, line.split()[1:])) for line in f if line.startswith(key)][0]


t = gh.Checks()
server = gh.Server(args=['--http', '127.0.0.1:843'], config='user: nobody\n', start=False)
os.chmod(server.top, 0o755)
os.makedirs(server.data, exist_ok=True)
os.chown(server.data, WHO.pw_uid, WHO.pw_gid)
with server as s:
    s.start()
    t.eq(s.address('http')[1], 843, 'the port below 1024 is open')
    t.eq(s.http('PUT', '/dav/a', body=b'hello').status, 201, 'a file is written')
    t.eq(s.http('GET', '/dav/a').body, b'hello', 'and read')
    for task in os.listdir('/proc/%d/task' % s.proc.pid):
        status = '/proc/%d/task/%s/status' % (s.proc.pid, task)
        t.eq(ids(status, 'Uid:'), {WHO.pw_uid}, 'a thread is nobody, and cannot be root again')
        t.eq(ids(status, 'Gid:'), {WHO.pw_gid}, 'its group too')
        t.ok(0 not in ids(status, 'Groups:'), 'nor is it in a group of root')
    for top, dirs, files in os.walk(s.data):
        for name in dirs + files:
            t.eq(os.lstat(os.path.join(top, name)).st_uid, WHO.pw_uid, name + ' is nobody\'s')
with tempfile.NamedTemporaryFile('w', suffix='.conf') as f:
    f.write('user: no-such-user\n')
    f.flush()
    out = subprocess.run([gh.binary(), 'serve', '--check', '-c', f.name], capture_output=True, text=True)
    t.ok(out.returncode != 0, 'a user that does not exist is refused')
    t.has(out.stdout + out.stderr, 'no-such-user', 'by name')
sys.exit(t.done())
