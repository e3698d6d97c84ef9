#!/usr/bin/python3
# suite: default
"""The console in headless Chromium against a real gateway (tests/console/gateway.mjs): sign in, shut FTP for one tenant
for an hour with a message while an FTP session is open, watch it go, see the plot move, undo; every page of it, looked at
with what a busy gateway has to show. Pictures go to CONSOLE_SHOTS, or into the build
folder, console-test/shots."""
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

SOURCE = os.environ.get('GATEHOUSE_SOURCE', os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))


def modules():
    """What modules.sh found, as environment."""
    p = subprocess.run([os.path.join(SOURCE, 'tests/console/modules.sh')], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.returncode == 77:
        gh.skip(p.stderr.strip().removeprefix('SKIP: '))
    if p.returncode:
        print(p.stderr)
        sys.exit(1)
    return dict(part.split('=', 1) for part in p.stdout.strip().replace("'", '').split(' '))


def furnish(s):
    """Something on every page."""
    for tenant in ('acme', 'globex'):
        s.tenant(tenant)
        s.user(tenant + '/ann')
        s.cli('group', 'add', tenant + '/staff', 'ann')
        s.cli('acl', 'grant', tenant, '/', 'group:staff', 'full')
        s.http('MKCOL', '/dav/plans', user=tenant + '/admin')
        s.http('PUT', '/dav/plans/a.txt', body=b'plan', user=tenant + '/ann')
    lock = ('<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
            '<D:locktype><D:write/></D:locktype></D:lockinfo>')
    s.http('LOCK', '/dav/plans/a.txt', {'Timeout': 'Second-3600'}, body=lock, user='globex/ann')


class Work:
    """Clients that read and write, so that there is something to plot."""

    def __init__(self, s):
        self.s, self.stop = s, False
        self.threads = [threading.Thread(target=self.run, args=(who,), daemon=True) for who in ('acme/ann', 'globex/ann')]
        for thread in self.threads:
            thread.start()

    def run(self, who):
        c = self.s.client(who)
        while not self.stop:
            c.request('PUT', '/dav/plans/b.bin', body=b'x' * 20000)
            for _ in range(5):
                c.request('GET', '/dav/plans/b.bin')
            time.sleep(0.2)

    def end(self):
        self.stop = True
        for thread in self.threads:
            thread.join()


def main():
    environment = dict(os.environ, **modules())
    with gh.Server() as s:
        furnish(s)
        work = Work(s)
        try:
            environment.update(CONSOLE_URL='http://%s/' % s.addresses['admin'], CONSOLE_FTP=s.addresses['ftp'],
                               CONSOLE_PASSWORD=gh.PASSWORD)
            status = subprocess.call(['node', os.path.join(SOURCE, 'tests/console/gateway.mjs')], env=environment)
        finally:
            work.end()
    sys.exit(1 if status else 0)


main()
