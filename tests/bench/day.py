#!/usr/bin/python3
"""A mixed day's load at the HTTP door: how many requests a second, how long each, with the database and the generator on
the same processors.

    make -C build bench && GATEHOUSE=build/gatehouse GATEHOUSE_SOURCE=. GATEHOUSE_BUILD=build tests/bench/day.py
        [--rounds 3] [--seconds 5] [--rate 2000,4000,6000,8000,10000] [--embedded] [--cold] [--tenants 1000] [--perf]

Requests are made by the clock (tests/bench/day.c): their times count from when they were due. Wanted: 10,000 a second with
a 99th percentile under 60 ms. Metadata in PostgreSQL (fsync on), or in the embedded default (--embedded). Before the first
request all tenants' passwords were verified once; what that costs is told, and credentials are remembered for an hour here,
so that it is in nobody's time. And each file and folder was looked at once; with --cold none was. --perf: the last rate
once more, under perf. Writes its section of RESULTS.md."""
import argparse
import concurrent.futures
import datetime
import json
import os
import re
import socket
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'conformance'))
import gh  # noqa: E402
import pglib  # noqa: E402
import results  # noqa: E402

DAY = os.path.join(os.environ.get('GATEHOUSE_BUILD', '.'), 'tests', 'bench', 'day')
TICKS = os.sysconf('SC_CLK_TCK')
CLASSES = ('stat', 'list', 'read', 'write', 'rest')
GOAL_RATE, GOAL_MS = 10000, 60
FOLDERS, FILES, CONNECTIONS = 4, 15, 2


def cpu_s(pid, children=False):
    """Of a process; with those of its children that have ended."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            fields = f.read().rsplit(')', 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(x) for x in fields[11:15 if children else 13]) / TICKS


class Place:
    """A gateway with tenants, and its database."""

    def __init__(self, args):
        self.tenants, self.runs, self.pg, more = args.tenants, 0, None, ''
        if not args.embedded:
            self.pg = pglib.Cluster('fsync=on', 'shared_buffers=256MB', 'max_wal_size=4GB')
            more = 'metadata: postgresql\npostgresql:\n  conninfo: "%s"\n  readers: 16\n' % self.pg.conninfo
        # As many kept connections as are made here are more than the default keeps of idle ones.
        self.s = gh.Server(config='log:\n  access: ""\nlogins:\n  credential_ttl: 1h\nlimits:\n  per_address: 100000\n'
                                  'http:\n  idle_memory: 1GiB\n' + more)
        try:
            self.fill(args)
        except BaseException:
            self.close()
            raise

    def close(self):
        try:
            self.s.close()
        finally:
            if self.pg:
                self.pg.close()

    def people(self, i):
        for what, more in (('tenant.add', {'name': 't%04u' % i}),
                           ('user.add', {'tenant': 't%04u' % i, 'user': 'admin', 'password': gh.PASSWORD, 'owner': True})):
            with socket.socket(socket.AF_UNIX) as c:
                c.connect(os.path.join(self.s.data, 'admin.sock'))
                c.sendall(json.dumps({'op': what, 'args': more}).encode() + b'\n')
                with c.makefile('rb') as f:
                    reply = json.loads(f.readline())
            if not reply['ok']:
                raise RuntimeError('%s: %s' % (what, reply))

    def fill(self, args):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(self.people, range(self.tenants)))
        used = cpu_s(self.s.proc.pid)
        told = self.day('login')
        self.login = ((cpu_s(self.s.proc.pid) - used) / self.tenants, told['seconds'])
        self.day('fill')
        if self.pg:
            self.pg.sql('VACUUM ANALYZE')
        if not args.cold:
            self.day('warm')

    def start(self, *what):
        self.runs += 1
        return subprocess.Popen([DAY, '-t', str(self.tenants), '-d', str(FOLDERS), '-f', str(FILES), '-c', str(CONNECTIONS),
                                 '-n', str(self.runs), self.s.addresses['http'], gh.PASSWORD] + [str(x) for x in what],
                                stdout=subprocess.PIPE, text=True)

    @staticmethod
    def told(p):
        out = p.communicate()[0]
        if p.returncode:
            raise RuntimeError('the generator failed')
        return json.loads(out)

    def day(self, *what, judge=True):
        told = self.told(self.start(*what))
        if judge and (told['wrong'] or told['lost'] or told['unanswered']):
            raise RuntimeError('%s: %s' % (what[0], told))
        return told

    def used(self):
        """Processor time so far, of the gateway and of the database."""
        return (cpu_s(self.s.proc.pid), sum(cpu_s(pid, True) for pid in self.pg.pids()) if self.pg else 0.0)

    def counted(self):
        """What the gateway counts: operations that went to a worker; look-ups of nodes and of listings in memory, and finds."""
        host, port = self.s.address('admin')
        text = gh.Client(host, port).request('GET', '/metrics').text
        got = {m.group(1): float(m.group(2)) for m in re.finditer(r'gatehouse_(\w+\{\w+="\w+")\} (\S+)', text)}
        row = [got['fastpath_total{path="worker"']]
        for name in ('node', 'list'):
            hit, miss = (got['%s_cache_total{result="%s"' % (name, x)] for x in ('hit', 'miss'))
            row += [hit + miss, hit]
        return row

    def measure(self, rate, seconds):
        counts, used = self.counted(), self.used()
        told = self.day('run', rate, seconds, judge=False)
        after = self.used()
        told['gateway_s'], told['database_s'] = after[0] - used[0], after[1] - used[1]
        workers, nodes, nodes_found, lists, lists_found = (b - a for a, b in zip(counts, self.counted()))
        told['workers'] = workers / max(1, told['sent'])
        told['nodes'], told['lists'] = nodes_found / max(1, nodes), lists_found / max(1, lists)
        return told


def middle(runs, *keys):
    values = []
    for r in runs:
        for k in keys:
            r = r[k]
        values.append(r)
    return statistics.median(values)


def total(runs, key):
    return sum(r[key] for r in runs)


def refused(runs):
    return sum(n for r in runs for code, n in r['status'].items() if code in ('429', '503', '507'))


def row(rate, runs):
    """Of a rate, the medians of its rounds; and whether it was kept."""
    took = middle(runs, 'seconds')
    p99 = middle(runs, 'ms', 'all', 'p99')
    clean = not any(total(runs, k) for k in ('wrong', 'lost', 'unanswered'))
    text = '| %d | %.0f | %.1f / **%.1f** / %.1f |' % (rate, middle(runs, 'sent') / took, middle(runs, 'ms', 'all', 'p50'), p99,
                                                      middle(runs, 'ms', 'all', 'p999'))
    text += ''.join(' %.1f / %.1f / %.1f |' % tuple(middle(runs, 'ms', c, p) for p in ('p50', 'p99', 'p999')) for c in CLASSES)
    text += ' %d, %d, %d | %d, %d |' % (total(runs, 'wrong'), refused(runs), total(runs, 'lost') + total(runs, 'unanswered'),
                                        total(runs, 'waited'), total(runs, 'late'))
    text += ' %.0f, %.0f, %.0f %% |' % tuple(100 * middle(runs, k) / took for k in ('cpu_s', 'gateway_s', 'database_s'))
    text += ' %.0f, %.0f | %.2f, %.0f %%, %.0f %% |' % (
        1e6 * middle(runs, 'gateway_s') / middle(runs, 'sent'), 1e6 * middle(runs, 'database_s') / middle(runs, 'sent'),
        middle(runs, 'workers'), 100 * middle(runs, 'nodes'), 100 * middle(runs, 'lists'))
    return text, clean and p99 < GOAL_MS


HEAD = ['| a second | served | all | ' + ' | '.join(CLASSES) + ' | wrong, refused, lost | waited, late | generator, gateway, database '
        '| gateway, database us | workers, nodes, lists |', '|' + '---|' * 12]


def told_mix():
    mix = json.loads(subprocess.run([DAY, 'mix'], stdout=subprocess.PIPE, check=True, text=True).stdout)
    return '; '.join('%s %g %%: %s' % (c, sum(k['permille'] for k in mix if k['class'] == c) / 10,
                                       ', '.join('%s %g' % (k['what'], k['permille'] / 10) for k in mix if k['class'] == c))
                     for c in CLASSES)


def profile(place, rate, seconds):
    """Where the gateway's processor time goes at that rate."""
    load = place.start('run', rate, seconds)
    data = os.path.join(place.s.top, 'perf.data')
    subprocess.run(['perf', 'record', '-q', '-F', '997', '-p', str(place.s.proc.pid), '-o', data, 'sleep', str(seconds)],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    load.communicate()
    out = subprocess.run(['perf', 'report', '-i', data, '--stdio', '--percent-limit', '1', '--sort', 'dso,symbol'],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return [line for line in out.split('\n') if line.strip() and not line.startswith('#')]


def section(args, place, rows, kept, lines):
    where = ('the embedded default' if args.embedded else 'PostgreSQL') + (', a cold gateway' if args.cold else '')
    flags = ''.join(' --' + f for f in ('embedded', 'cold') if getattr(args, f))
    return '\n'.join([
        '## A mixed day\'s load, metadata in %s' % where, '',
        'Written by `tests/bench/day.py%s`, %s, %d rounds of %d s. %s.' % (
            flags, datetime.date.today(), args.rounds, args.seconds, results.machine()), '',
        '%d tenants with a user, %d folders and %d files each, %d connections for each; half of the requests are of a tenth of the '
        'tenants. The mix: %s. Requests are due at random (a Poisson stream), whatever the server does, and times count from then. '
        'Generator, gateway and database share all processors.' % (args.tenants, FOLDERS, FOLDERS * FILES, CONNECTIONS, told_mix()),
        '', 'Times in ms: p50 / p99 / p99.9, medians of the rounds. waited: found all connections of its tenant busy; late: left the '
        'generator more than 5 ms after it was due; both are in the times. Processor: of one core; us: for a request. workers: '
        'operations a request that memory could not answer; nodes, lists: look-ups that found it in '
        'memory.', ''] + HEAD + rows + [
        '', 'Wanted: %d a second with a p99 under %d ms. %s.' % (GOAL_RATE, GOAL_MS, 'Reached' if GOAL_RATE in kept else
                                                              'Not reached: %s' % ('up to %d' % max(kept) if kept else 'at no rate')),
        '', 'Not in it: verifying passwords, %.1f ms of processor time for each tenant, %.1f s for all of them, two at a time; '
        'with credentials remembered for 5 minutes that is %.0f %% of a core while all tenants are there.' % (
            place.login[0] * 1e3, place.login[1], 100 * place.login[0] * args.tenants / 300), ''] + lines)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    ap.add_argument('--rounds', type=int, default=3)
    ap.add_argument('--seconds', type=int, default=5)
    ap.add_argument('--rate', default='2000,4000,6000,8000,10000')
    ap.add_argument('--tenants', type=int, default=1000)
    ap.add_argument('--embedded', action='store_true')
    ap.add_argument('--cold', action='store_true')
    ap.add_argument('--perf', action='store_true')
    ap.add_argument('--out', default=os.path.join(HERE, 'RESULTS.md'))
    args = ap.parse_args()
    rates = [int(r) for r in args.rate.split(',')]
    place = Place(args)
    rows, kept, lines = [], [], []
    try:
        for rate in rates:
            text, good = row(rate, [place.measure(rate, args.seconds) for _ in range(args.rounds)])
            rows.append(text)
            kept += [rate] * good
            print(text, flush=True)
        if args.perf:
            lines = ['### Profile of the gateway at %d a second' % rates[-1], '', '```'] + profile(place, rates[-1], args.seconds) + ['```']
            print('\n'.join(lines))
        results.put_section(args.out, 'day.py' + ' embedded' * args.embedded + ' cold' * args.cold, section(args, place, rows, kept, lines))
    finally:
        place.close()


if __name__ == '__main__':
    main()
