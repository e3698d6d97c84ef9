#!/usr/bin/env python3
# suite: default
# sanitizers: asan
"""An installation goes from the embedded database to PostgreSQL and back. What a client can see is written down before, and has
to be the same after each way: trees, content, entity tags, ids, properties, locks (which still hold), users, passwords,
tokens, rights, limits, rules, trash and events. Where it is not done the old database is as it was, and the next step is
said: a target that is not empty, a wrong password, a disk that is full, a server that runs."""
import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402
import pglib  # noqa: E402

t = gh.Checks()
LOCK = ('<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>me</owner></lockinfo>')
FOLDERS = ['/', '/docs/', '/docs/deep/', '/copy/', '/straße ✓/']


def config(kind, conninfo):
    return 'metadata: %s\npostgresql:\n  conninfo: "%s"\n' % (kind, conninfo)


class House(gh.Server):
    """One data directory; which database it has is said anew at each start."""

    def use(self, kind, conninfo):
        with open(self.config_path, 'w') as f:
            f.write(config(kind, conninfo))
        return self

    def migrate(self, to, *more):
        return self.run('migrate', '--to', to, '-c', self.config_path, *more)


def fill(s):
    for folder in ('docs', 'docs/deep', 'stra%C3%9Fe%20%E2%9C%93', 'gone'):
        t.eq(s.http('MKCOL', '/dav/' + folder).status, 201, 'MKCOL ' + folder)
    for i in range(300):  # and a copy: more than a page of rows
        s.http('PUT', '/dav/docs/deep/f%03d.txt' % i, body=b'file %d' % i)
    s.http('PUT', '/dav/docs/big.bin', body=bytes(range(256)) * 2000)
    s.http('PUT', '/dav/docs/empty', body=b'')
    s.http('PUT', '/dav/stra%C3%9Fe%20%E2%9C%93/na%C3%AFve.txt', body=b'unicode')
    f = s.ftp()
    f.storbinary('STOR /docs/grown.txt', io.BytesIO(b'one '))
    f.storbinary('APPE /docs/grown.txt', io.BytesIO(b'two'))
    f.quit()
    s.http('COPY', '/dav/docs', {'Destination': s.url('/dav/copy')})
    s.http('PUT', '/dav/gone/x', body=b'trash')
    t.eq(s.http('DELETE', '/dav/gone').status, 204, 'something is deleted')
    t.eq(s.http('PROPPATCH', '/dav/docs/empty', {}, '<propertyupdate xmlns="DAV:"><set><prop><c xmlns="x" xml:lang="de">rot &amp; '
                'blau</c></prop></set></propertyupdate>').status, 207, 'a property is set')
    lock = s.http('LOCK', '/dav/docs/big.bin', {'Timeout': 'Second-3600'}, LOCK)
    t.eq(lock.status, 200, 'a lock is taken')
    s.tenant('acme', '--case-sensitive', '--host', 'acme.example')
    s.user('default/ann')
    s.user('acme/bob')
    s.cli('group', 'add', 'default/staff', 'ann')
    s.cli('acl', 'grant', 'default', '/docs', 'group:staff', 'list,read')
    s.cli('acl', 'deny', 'default', '/docs/deep', 'user:ann', 'full')
    s.cli('limit', 'set', 'acme', '--bytes', '1GiB')
    s.cli('limit', 'set', 'default', 'ann', '--files', '10')
    s.cli('switch', 'set', 'ftp', '--tenant', 'acme', '--mode', 'off', '--message', 'not here')
    s.cli('flag', 'list')
    s.cli('operator', 'add', 'olga', '--role', 'viewer', '--password-stdin', stdin=gh.PASSWORD + '\n')
    token = s.cli_json('user', 'token', 'add', 'default/ann', '--name', 'laptop')
    s.http('PUT', '/dav/Hello.txt', body=b'of acme', user='acme/admin')
    s.http('PUT', '/dav/hello.txt', body=b'also of acme', user='acme/admin')
    return lock.header('Lock-Token'), token['password']


def look(s, token):
    """Everything that stays the same."""
    seen = {}
    for folder in FOLDERS:
        r = s.http('GET', '/api/v1/files' + urllib.parse.quote(folder))
        seen['list ' + folder] = r.json if r.status == 200 else r.status
        r = s.http('PROPFIND', '/dav' + urllib.parse.quote(folder), {'Depth': '1'})
        seen['propfind ' + folder] = re.sub(r'Second-\d+', 'Second-N', r.text)
    for path in ('/docs/big.bin', '/docs/empty', '/docs/grown.txt', '/docs/deep/f299.txt', '/copy/grown.txt',
                 '/straße ✓/naïve.txt'):
        r = s.http('GET', '/dav' + urllib.parse.quote(path))
        seen['get ' + path] = (r.status, r.header('ETag'), r.header('Last-Modified'), r.body)
    for user, password in (('ann', gh.PASSWORD), ('ann', token), ('acme/bob', gh.PASSWORD)):
        seen['as %s/%d' % (user, len(password))] = [s.http('GET', '/dav' + p, user=user, password=password).status
                                                    for p in ('/docs/empty', '/docs/deep/f001.txt', '/Hello.txt')]
    for name in ('Hello.txt', 'hello.txt'):
        seen['acme ' + name] = s.http('GET', '/dav/' + name, user='acme/admin').body
    for command in (('tenant', 'list'), ('user', 'list', 'default'), ('user', 'list', 'acme'), ('group', 'list', 'default'),
                    ('acl', 'list', 'default'), ('user', 'token', 'list', 'default/ann'), ('limit', 'list'), ('quota', 'list'),
                    ('locks', 'list'), ('switch', 'list'), ('flag', 'list'), ('operator', 'list'),
                    ('events', 'list', 'default', '--limit', '1000')):
        seen[' '.join(command)] = steady(s.cli_json(*command))
    return seen


def steady(value):
    """Without what passes while nobody does anything."""
    if isinstance(value, dict):
        return {k: steady(v) for k, v in value.items() if k not in ('remaining_s', 'leased')}
    if isinstance(value, list):
        return [steady(v) for v in value]
    return value


def same(before, after, words):
    for key in before:
        if before[key] != after[key]:
            t.ok(False, '%s: %s is the same' % (words, key), '\n  was %.1500r\n  is  %.1500r' % (before[key], after[key]))
        else:
            t.ok(True, key)


def migrated(s, to):
    status, out, err = s.migrate(to, '--json')
    if not t.eq(status, 0, 'migrate --to %s' % to):
        print(out, err)
        return {}
    return {row['table']: (row['rows'], row['sum']) for row in json.loads(out)['tables']}


def still_works(s, lock, n):
    """Locks hold, new files get new ids, nothing is lost."""
    t.eq(s.http('PUT', '/dav/docs/big.bin', body=b'no').status, 423, 'the lock still holds')
    t.eq(s.http('LOCK', '/dav/docs/big.bin', {'If': '(%s)' % lock, 'Timeout': 'Second-3600'}).status, 200,
         'and is refreshed by its token')
    t.eq(s.http('PUT', '/dav/after-%d.txt' % n, body=b'x').status, 201, 'a new file')
    t.eq(s.http('DELETE', '/dav/after-%d.txt' % n).status, 204, 'goes')
    status, out, err = s.run('fsck', '--verify')
    t.eq(status, 0, 'fsck --verify finds nothing')
    if status:
        print(out, err)


def digest(path):
    with open(path, 'rb') as f:
        return f.read()


def refused(status, out, err, words, what):
    t.eq(status, 1, what)
    t.has(err, words, 'and it says why')
    t.eq(len([line for line in err.splitlines() if not line.startswith('ts=')]), 1, 'in one line: ' + err)


def two_shards(s, pg):
    """A file has no shards: tenants come to main before."""
    s.cli('shard', 'add', 'second', '--conninfo', pg.database('second'))
    s.cli('tenant', 'add', 'far', '--shard', 'second')
    s.user('far/ann', '--owner')
    t.eq(s.http('PUT', '/dav/a', body=b'far', user='far/ann').status, 201, 'a tenant works on a second shard')
    t.eq(s.stop(), 0, 'it ends')
    status, out, err = s.migrate('sqlite')
    refused(status, out, err, 'move them to shard main first', 'not while a tenant is on another shard')
    s.start()
    s.cli('tenant', 'move', 'far', '--to', 'main')
    t.eq(s.http('GET', '/dav/a', user='far/ann').body, b'far', 'it is moved')


def main():
    pg = pglib.Cluster()
    conninfo = pg.database('there')
    s = House(config=config('sqlite', ''))
    try:
        lock, token = fill(s)
        status, out, err = s.use('sqlite', conninfo).migrate('postgresql')
        t.eq(status, 1, 'not while it is served')
        t.has(err, str(s.proc.pid), 'and the process is named')
        before = look(s, token)
        s.stop()

        file = digest(s.data + '/meta.db')
        status, out, err = s.use('sqlite', '').migrate('postgresql')
        refused(status, out, err, 'postgresql.conninfo', 'not without a database')
        status, out, err = s.use('sqlite', conninfo.replace('dbname=there', 'dbname=nowhere')).migrate('postgresql')
        refused(status, out, err, 'nowhere', 'not into a database that is not there')
        pg.sql('CREATE TABLE mine (x int)', 'postgres')
        status, out, err = s.use('sqlite', conninfo.replace('dbname=there', 'dbname=postgres')).migrate('postgresql')
        refused(status, out, err, 'another program', 'not into the database of another program')
        t.eq(pg.sql('SELECT count(*) FROM pg_tables WHERE schemaname = \'public\'', 'postgres'), '1', 'which has only its own')
        pg.sql("CREATE ROLE poor LOGIN PASSWORD 'right'", 'postgres')
        status, out, err = s.use('sqlite', conninfo.replace('user=gatehouse', 'user=poor')).migrate('postgresql')
        refused(status, out, err, 'there', 'not by somebody who may not')
        t.eq(digest(s.data + '/meta.db'), file, 'the old database is as it was')

        s.use('sqlite', conninfo)
        there = migrated(s, 'postgresql')
        t.ok(there.get('node', (0,))[0] > 600 and there['event'][0] > 300, 'with all rows', there)
        t.eq(digest(s.data + '/meta.db'), file, 'the old database is as it was')
        status, out, err = s.migrate('postgresql')
        refused(status, out, err, 'is not empty', 'not twice')
        shutil.move(s.data + '/meta.db', s.top + '/old.db')
        s.use('postgresql', conninfo).start()
        same(before, look(s, token), 'in PostgreSQL')
        status, out, err = s.run('migrate', '--to', 'sqlite', '-c', s.config_path)
        t.eq(status, 1, 'back: not while it is served')
        still_works(s, lock, 1)
        two_shards(s, pg)
        before = look(s, token)
        s.kill9()

        status, out, err = s.migrate('sqlite')
        refused(status, out, err, 'stop it first', 'nor while the database believes that a gateway runs')
        pg.sql('UPDATE gateway SET expires_us = 0', 'there')
        shutil.copy(s.top + '/old.db', s.data + '/meta.db')
        status, out, err = s.migrate('sqlite')
        refused(status, out, err, 'is not empty', 'not over an old database')
        os.unlink(s.data + '/meta.db')
        full_disk(s)
        back = migrated(s, 'sqlite')
        t.eq({k for k in back}, {k for k in there}, 'the same tables come back')
        again_into(s, pg, back)
        s.use('sqlite', '').start()
        same(before, look(s, token), 'back in the file')
        t.eq(s.http('GET', '/dav/a', user='far/ann').body, b'far', 'with the tenant that was on another shard')
        still_works(s, lock, 2)
        t.eq(s.stop(), 0, 'it ends')
    finally:
        s.close()
        pg.close()
    return t.done()


def full_disk(s):
    """A limit on the size of files does for a disk that is full."""
    p = subprocess.run(['sh', '-c', 'trap "" XFSZ; ulimit -f 1200; exec "$@"', 'sh', gh.binary(), 'migrate', '--to', 'sqlite',
                        '-c', s.config_path, '-D', s.data], text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    refused(p.returncode, p.stdout, p.stderr, 'the storage is full: make room there and start again',
            'not onto a full disk')


def again_into(s, pg, rows):
    """The same file into another database gives the same sums: nothing was bent on the way."""
    s.use('sqlite', pg.database('again'))
    t.eq(migrated(s, 'postgresql'), rows, 'into another database the same rows have the same sums')


if __name__ == '__main__':
    sys.exit(main())
