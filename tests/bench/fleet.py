#!/usr/bin/python3
"""What ten thousand tenants on sixteen shards cost a gateway: memory, and the time of a start.

    GATEHOUSE=build/gatehouse GATEHOUSE_SOURCE=. GATEHOUSE_BUILD=build tests/bench/fleet.py [--tenants N] [--shards N]

One PostgreSQL server with a database for each shard, tenants spread evenly. A start lasts from the call until /readyz says so.
Memory is what the process has resident: without tenants, after a start with all of them, and when users of a thousand of them
have logged in and looked at a folder; what a gateway keeps for a tenant that it has met is the difference to when the first
fifty had, since then the memory that hashing passwords takes is there. The connections to shards are counted at the
server. Writes its section of tests/bench/RESULTS.md."""
import argparse
import base64
import datetime
import http.client
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'conformance'))
import gh  # noqa: E402
import pglib  # noqa: E402
import results  # noqa: E402

WARM = 50


def resident_mib(s):
    with open('/proc/%d/status' % s.proc.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmRSS:')) / 1024


def start_s(s):
    """Stops it and starts it again; how long until it was ready."""
    s.stop()
    began = time.monotonic()
    s.start(120)
    while s.http('GET', '/readyz', auth=False).status != 200:
        time.sleep(0.005)
    return time.monotonic() - began


def add(s, tenant, shard):
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(os.path.join(s.data, 'admin.sock'))
        c.sendall(json.dumps({'op': 'tenant.add', 'args': {'name': tenant, 'shard': shard}}).encode() + b'\n')
        with c.makefile('rb') as f:
            reply = json.loads(f.readline())
    if not reply['ok']:
        raise RuntimeError('%s: %s' % (tenant, reply['message']))


def meet(s, names):
    """A user logs in at each of these tenants and looks at its folder."""
    conn = http.client.HTTPConnection(*s.address('http'), timeout=60)
    for n in names:
        who = base64.b64encode(('%s/admin:%s' % (n, gh.PASSWORD)).encode()).decode()
        conn.request('PROPFIND', '/dav/', headers={'Authorization': 'Basic ' + who, 'Depth': '1'})
        r = conn.getresponse()
        r.read()
        if r.status != 207:
            raise RuntimeError('%s answered %d' % (n, r.status))


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ap.add_argument('--tenants', type=int, default=10000)
    ap.add_argument('--shards', type=int, default=16)
    ap.add_argument('--met', type=int, default=1000)
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--out', default=os.path.join(HERE, 'RESULTS.md'))
    args = ap.parse_args()
    blobs = tempfile.mkdtemp(prefix='gh-blobs-')
    pg = pglib.Cluster('max_connections=500')
    try:
        config = ('log:\n  access: ""\nmetadata: postgresql\npostgresql:\n  conninfo: "%s"\nblobs:\n  path: %s\n' % (pg.conninfo, blobs))
        with gh.Server(config=config) as s:
            alone = (statistics.median(start_s(s) for _ in range(args.rounds)), resident_mib(s))
            for i in range(1, args.shards):
                s.cli('shard', 'add', 'shard%d' % i, '--conninfo', pg.database('shard%d' % i))
            names = ['t%05d' % i for i in range(args.tenants)]
            began = time.monotonic()
            for i, n in enumerate(names):
                add(s, n, 'shard%d' % (i % args.shards) if i % args.shards else 'main')
            added = args.tenants / (time.monotonic() - began)
            starts = [start_s(s) for _ in range(args.rounds)]
            after = resident_mib(s)
            connections = pg.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
            for n in names[:WARM + args.met]:
                s.user(n + '/admin', '--owner')
            meet(s, names[:WARM])
            before = resident_mib(s)
            meet(s, names[WARM:WARM + args.met])
            met = resident_mib(s)
        text = '\n'.join([
            '## %d tenants on %d shards' % (args.tenants, args.shards), '',
            'Written by `tests/bench/fleet.py`, %s, %d rounds. %s.' % (datetime.date.today(), args.rounds, results.machine()), '',
            '| | start until ready | resident |', '|---|---|---|',
            '| one database, one tenant | %.2f s | %.1f MiB |' % alone,
            '| %d tenants, %d shards | %.2f s (%.2f .. %.2f) | %.1f MiB |' % (
                args.tenants, args.shards, statistics.median(starts), min(starts), max(starts), after),
            '| %d of them met: %.1f KiB each | | %.1f MiB |' % (WARM + args.met, (met - before) * 1024 / args.met, met), '',
            '%s connections to the server after the start; tenants were added at %.0f a second.' % (connections.strip(), added), ''])
        results.put_section(args.out, 'fleet.py', text)
        print(text)
    finally:
        pg.close()
        shutil.rmtree(blobs, ignore_errors=True)


if __name__ == '__main__':
    main()
