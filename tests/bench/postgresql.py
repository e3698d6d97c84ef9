#!/usr/bin/python3
"""Metadata in PostgreSQL against what PostgreSQL itself does (pgbench) and against the embedded default, in the same run, in
alternation (A B A B ...), everything on the same processors; what counts is the median of the ratios of neighbours.

  get        GET of 4 KiB from a warm gateway, 16 connections               : the embedded default's       >= 0.95
  cold       PROPFIND of names the gateway has never seen, 16 connections   : pgbench -S at 16             >= 0.5
  put        durable PUT of 4 KiB, 16 connections, one tenant               : pgbench -N at 16             >= 0.6
  folder     16 writers in one folder, to 1                                 : pgbench of two inserts, 16:1 >= 0.8
  propfind   PROPFIND of 10,000 entries, cold                               : the time of the bare SELECT  <= 2

Usage: postgresql.py [--rounds N] [--seconds N] [NAME...]; writes its section of tests/bench/RESULTS.md. fsync is on.
Needs wrk and PostgreSQL's pgbench."""
import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'tests', 'conformance'))
import gh  # noqa: E402
import pglib  # noqa: E402
import results  # noqa: E402

GOALS = {'get': ('>=', 0.95), 'cold': ('>=', 0.5), 'put': ('>=', 0.6), 'folder': ('>=', 0.8), 'propfind': ('<=', 2.0)}
SMALL = 500
LUA = '''
local headers = { ["Authorization"] = "%(auth)s"%(more)s }
local body = %(body)s
local n, id, threads = 0, 0, 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end
request = function() n = n + 1; return wrk.format("%(method)s", %(path)s, headers, body) end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %%d %%d %%d\\n", summary.requests, summary.duration, e.status + e.connect + e.read + e.write + e.timeout))
end
'''


def wrk(s, method, path, connections, seconds, body=None, more=''):
    """Requests a second. path: of Lua, with n and id."""
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as f:
        f.write(LUA % {'auth': gh.basic('admin', gh.PASSWORD), 'more': more, 'method': method, 'path': path,
                       'body': 'string.rep("x", %d)' % body if body else 'nil'})
        f.flush()
        out = subprocess.run(['wrk', '-t1', '-c%d' % connections, '-d%ds' % seconds, '-s', f.name, s.url()], text=True,
                             stdout=subprocess.PIPE).stdout
    requests, us, errors = map(int, re.search(r'RESULT (\d+) (\d+) (\d+)', out).groups())
    if errors:
        raise RuntimeError('%s: %d answers were errors\n%s' % (method, errors, out))
    return requests / (us / 1e6)


class Peer:
    """pgbench, on the same server."""

    def __init__(self, pg):
        self.pg = pg
        pg.database('peer')
        self.program('-i', '-q', '-s', '10')
        pg.sql('CREATE TABLE one (id bigserial PRIMARY KEY, t text); CREATE TABLE two (id bigserial PRIMARY KEY, t text)', 'peer')
        self.two = os.path.join(pg.dir, 'two.sql')
        with open(self.two, 'w') as f:
            f.write("BEGIN;\nINSERT INTO one (t) VALUES (repeat('x', 100));\nINSERT INTO two (t) VALUES (repeat('x', 100));\n"
                    'COMMIT;\n')

    def program(self, *args):
        found = subprocess.run('ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1', shell=True, text=True,
                               stdout=subprocess.PIPE).stdout.strip()
        return subprocess.run([os.path.join(found, 'pgbench') if found else 'pgbench', '-h', self.pg.dir, '-U', 'gatehouse', *args,
                               'peer'], text=True, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout

    def rate(self, clients, seconds, *args):
        return float(re.search(r'tps = ([\d.]+)', self.program('-n', '-M', 'prepared', '-j1', '-c%d' % clients, '-T%d' % seconds,
                                                               *args)).group(1))


def fill(s):
    for i in range(SMALL):
        if s.http('PUT', '/dav/f%d' % i, body=b'x' * 4096).status != 201:
            raise RuntimeError('cannot fill')


class Bench:
    def __init__(self, args, pg):
        self.args, self.pg, self.round, self.ten = args, pg, 0, False
        self.peer = Peer(pg)
        conninfo = pg.database('bench')
        self.s = gh.Server(config='metadata: postgresql\npostgresql:\n  conninfo: "%s"\n  readers: 16\n' % conninfo)
        self.embedded = gh.Server()
        fill(self.s)
        fill(self.embedded)

    def close(self):
        self.s.close()
        self.embedded.close()

    def get(self):
        path = '"/dav/f" .. (n %% %d)' % SMALL
        return (wrk(self.s, 'GET', path, 16, self.args.seconds), wrk(self.embedded, 'GET', path, 16, self.args.seconds))

    def cold(self):
        # a name that is not there is asked for anew each time: one indexed look-up, as pgbench's
        self.round += 1
        path = '"/dav/none%d-" .. n' % self.round
        found = wrk_missing(self.s, path, self.args.seconds)
        return found, self.peer.rate(16, self.args.seconds, '-S')

    def put(self):
        self.round += 1
        self.s.http('MKCOL', '/dav/p%d' % self.round)
        mine = wrk(self.s, 'PUT', '"/dav/p%d/" .. n' % self.round, 16, self.args.seconds, 4096)
        return mine, self.peer.rate(16, self.args.seconds, '-N')

    def folder(self):
        rates = []
        for connections in (1, 16):
            self.round += 1
            self.s.http('MKCOL', '/dav/w%d' % self.round)
            rates.append(wrk(self.s, 'PUT', '"/dav/w%d/" .. n' % self.round, connections, self.args.seconds, 4096))
        bare = [self.peer.rate(n, self.args.seconds, '-f', self.peer.two) for n in (1, 16)]
        return rates[1] / rates[0], bare[1] / bare[0]

    def propfind(self):
        if not self.ten:
            self.ten = True
            self.s.http('MKCOL', '/dav/ten')
            wrk_count(self.s, '/dav/ten', 10000)
            self.pg.sql('VACUUM ANALYZE', 'bench')
        parent = self.pg.sql("SELECT id FROM node WHERE name = 'ten'", 'bench')
        self.s.restart()
        self.s.http('GET', '/dav/f0')
        mine, answer = timed(self.s, 'PROPFIND', '/dav/ten/', 'Depth: 1\r\n')
        if not answer.startswith(b'HTTP/1.1 207') or answer.count(b'<D:response>') < 10000:
            raise RuntimeError('PROPFIND: %r' % answer[:40])
        tenant = self.pg.sql('SELECT tenant FROM node WHERE id = %s' % parent, 'bench')
        select = 'SELECT * FROM node WHERE tenant = %s AND parent = %s ORDER BY name_key;' % (tenant, parent)
        out = subprocess.run(['psql', '-h', self.pg.dir, '-U', 'gatehouse', '-d', 'bench', '-At', '-o', '/dev/null'], text=True,
                             input='\\timing on\n' + select, check=True, stdout=subprocess.PIPE).stdout
        return mine, float(re.search(r'Time: ([\d.]+) ms', out).group(1)) / 1000


def timed(s, method, path, headers):
    """Seconds, and the whole answer with its chunks. The time is that of the server: a client of HTTP in Python takes a fifth
    of it for itself."""
    room, have = memoryview(bytearray(b'x') * (32 << 20)), 0  # its pages are there before the time begins
    with socket.create_connection(s.address('http')) as c:
        request = '%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n%s\r\n' % (method, path, gh.basic('admin', gh.PASSWORD), headers)
        begin = time.monotonic()
        c.sendall(request.encode())
        while bytes(room[max(0, have - 5):have]) != b'0\r\n\r\n':
            n = c.recv_into(room[have:])
            if not n:
                raise RuntimeError('%s %s: cut' % (method, path))
            have += n
        return time.monotonic() - begin, bytes(room[:have])


def wrk_missing(s, path, seconds):
    try:
        return wrk(s, 'GET', path, 16, seconds)
    except RuntimeError as e:  # 404 is what was asked for; anything else is not
        out = str(e)
        requests, us, _ = map(int, re.search(r'RESULT (\d+) (\d+) (\d+)', out).groups())
        if re.search(r'Socket errors', out):
            raise
        return requests / (us / 1e6)


def wrk_count(s, folder, count):
    c = s.client()
    for i in range(count):
        if c.request('PUT', '%s/file-%05d.txt' % (folder, i), body=b'x').status != 201:
            raise RuntimeError('cannot fill')


def number(x):
    return '%.0f' % x if x >= 100 else '%.2f' % x if x >= 1 else '%.3f' % x


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--seconds', type=int, default=4)
    p.add_argument('--json', action='store_true')
    p.add_argument('names', nargs='*')
    args = p.parse_args()
    gh.need('wrk', 'psql')
    pg = pglib.Cluster('fsync=on', 'shared_buffers=256MB', 'max_wal_size=4GB')
    rows = {}
    try:
        b = Bench(args, pg)
        try:
            for name in args.names or GOALS:
                pairs = [getattr(b, name)() for _ in range(args.rounds)]
                ratios = [a / z for a, z in pairs]
                rows[name] = (statistics.median(a for a, _ in pairs), statistics.median(z for _, z in pairs),
                              statistics.median(ratios), min(ratios), max(ratios))
                print('%-9s %10s : %10s = %.2f (%.2f to %.2f), goal %s %.2f' % (
                    name, number(rows[name][0]), number(rows[name][1]), *rows[name][2:], *GOALS[name]), flush=True)
        finally:
            b.close()
    finally:
        pg.close()
    if args.json:
        return print(json.dumps(rows))
    text = ['## Metadata in PostgreSQL', '', __doc__.split('\n\n')[0], '', results.machine(), '',
            '| what | gateway | peer | median of ratios | least | most | goal |', '|---|---|---|---|---|---|---|']
    for name, (mine, peer, median, least, most) in rows.items():
        text.append('| %s | %s | %s | %.2f | %.2f | %.2f | %s %.2f |' % (name, number(mine), number(peer), median, least, most, *GOALS[name]))
    text += ['', 'get, cold, put: requests and transactions a second; folder: how many times the rate of one; propfind: seconds.']
    if set(rows) == set(GOALS):
        results.put_section(os.path.join(TOP, 'tests', 'bench', 'RESULTS.md'), 'postgresql', '\n'.join(text))


main()
