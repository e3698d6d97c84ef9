#!/usr/bin/python3
"""Measures against nginx with basic auth in the same run: GET 4 KiB, PUT 4 KiB, PROPFIND of 1,000 entries. Contenders
run in alternation (A B A B ...), server on CPU 0, load generator on CPU 1; what counts is the median of the ratios, and
the server's CPU time per request, which is steadier than rates on a shared machine.

    GATEHOUSE=build/gatehouse tests/bench/bench.py [--rounds 5] [--seconds 3] [--only get,put,propfind] [--profile]

Writes tests/bench/RESULTS.md. Peers sync nothing on PUT; every PUT of ours is durable before it is answered. Needs
nginx with the dav-ext module, wrk, htpasswd (Debian: nginx-extras wrk apache2-utils).
"""
import argparse
import base64
import datetime
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'conformance'))
import gh  # noqa: E402
import results  # noqa: E402

TICKS = os.sysconf('SC_CLK_TCK')
SMALL = 1000
CONNECTIONS = {'get': 32, 'put': 16, 'propfind': 8}

NGINX = """\
load_module %(modules)s/ngx_http_dav_ext_module.so;
user root; worker_processes 1; pid %(dir)s/nginx.pid; error_log %(dir)s/nginx.err; daemon off;
events { worker_connections 4000; use epoll; multi_accept on; }
http {
  default_type application/octet-stream; access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 100000000; client_max_body_size 0; client_body_temp_path %(dir)s/tmp; client_body_buffer_size 128k;
  dav_ext_lock_zone zone=foo:10m;
  server { listen 127.0.0.1:%(port)d backlog=4096; root %(dir)s; auth_basic "b"; auth_basic_user_file %(dir)s/htpasswd;
    location / { dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK; dav_ext_lock zone=foo; } }
}
"""

PROPFIND = ('<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/>'
            '<getetag/></prop></propfind>')

LUA = {
    'get': """
local n = 0
request = function() n = (n * 1103515245 + 12345) %% 1000003
  return wrk.format("GET", "%(prefix)s/small/f" .. (n %% %(small)d), headers) end
""",
    'put': """
local n = 0
local body = string.rep("x", 4096)
request = function() n = n + 1
  return wrk.format("PUT", "%(prefix)s/put%(round)s/p" .. id .. "-" .. n, headers, body) end
""",
    'propfind': """
headers["Depth"] = "1"
headers["Content-Type"] = "application/xml"
request = function() return wrk.format("PROPFIND", "%(prefix)s/d1000/", headers, [[%(body)s]]) end
""",
}
LUA_HEAD = """
headers = { ["Authorization"] = "%(auth)s", ["Host"] = "127.0.0.1" }
id = 0
local bad = 0
setup = function(thread) thread:set("id", counter or 0); counter = (counter or 0) + 1; threads = threads or {}
  table.insert(threads, thread) end
init = function() bad_count = 0 end
response = function(status) if status < 200 or status > 299 then bad_count = bad_count + 1 end end
done = function(summary, latency, requests)
  local bad = 0
  for _, t in ipairs(threads) do bad = bad + t:get("bad_count") end
  io.write(string.format("RESULT requests=%%d us=%%d p50=%%d p99=%%d bad=%%d errors=%%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), bad,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout)) end
"""


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        try:
            with open('/proc/%d/stat' % pid) as f:
                fields = f.read().rsplit(')', 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICKS


class Contender:
    def load(self, kind, seconds, round_):
        script = os.path.join(self.dir, kind + '.lua')
        auth = 'Basic ' + base64.b64encode(self.auth.encode()).decode()
        with open(script, 'w') as f:
            f.write(LUA_HEAD % {'auth': auth} + LUA[kind] % {
                'prefix': self.prefix, 'small': SMALL, 'round': round_, 'body': PROPFIND})
        before = cpu_seconds(self.pids())
        out = subprocess.run(['taskset', '-c', '1', 'wrk', '-t1', '-c%d' % CONNECTIONS[kind], '-d%ds' % seconds,
                              '--timeout', '20s', '-s', script, 'http://127.0.0.1:%d' % self.port],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds + 60).stdout
        used = cpu_seconds(self.pids()) - before
        m = re.search(r'RESULT requests=(\d+) us=(\d+) p50=(\d+) p99=(\d+) bad=(\d+) errors=(\d+)', out)
        if not m:
            raise RuntimeError('%s: %s' % (self.name, out))
        requests, us, p50, p99, bad, errors = map(int, m.groups())
        if bad or errors:
            raise RuntimeError('%s %s: %d bad answers, %d errors\n%s' % (self.name, kind, bad, errors, out))
        return {'rate': requests * 1e6 / us, 'cpu_us': used * 1e6 / max(1, requests), 'p50_ms': p50 / 1000,
                'p99_ms': p99 / 1000}


class Nginx(Contender):
    name, prefix, auth = 'nginx', '', 'bench:bench'

    def __init__(self, top):
        self.dir = os.path.join(top, 'nginx')
        for d in ('small', 'd1000', 'tmp'):
            os.makedirs(os.path.join(self.dir, d))
        for i in range(SMALL):
            with open(os.path.join(self.dir, 'small', 'f%d' % i), 'wb') as f:
                f.write(os.urandom(4096))
            with open(os.path.join(self.dir, 'd1000', 'file-%05d.txt' % i), 'w') as f:
                f.write('x' * 64)
        subprocess.run(['htpasswd', '-cbs', os.path.join(self.dir, 'htpasswd'), 'bench', 'bench'], check=True,
                       stderr=subprocess.DEVNULL)
        self.port = 18100 + os.getpid() % 1000
        conf = os.path.join(self.dir, 'nginx.conf')
        with open(conf, 'w') as f:
            f.write(NGINX % {'dir': self.dir, 'port': self.port, 'modules': '/usr/lib/nginx/modules'})
        self.proc = subprocess.Popen(['taskset', '-c', '0', 'nginx', '-c', conf], stdin=subprocess.DEVNULL)
        time.sleep(0.5)

    def pids(self):
        out = subprocess.run(['pgrep', '-P', str(self.proc.pid)], stdout=subprocess.PIPE, text=True).stdout
        return [self.proc.pid] + [int(p) for p in out.split()]

    def fresh(self, round_):
        os.makedirs(os.path.join(self.dir, 'put%s' % round_))

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait()


class Gatehouse(Contender):
    name, prefix = 'gatehouse', '/dav'

    def __init__(self, top):
        self.dir = os.path.join(top, 'gatehouse')
        os.makedirs(self.dir)
        mask = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {0})
        try:
            self.server = gh.Server(config='log:\n  access: ""\n', data=os.path.join(self.dir, 'data'))
        finally:
            os.sched_setaffinity(0, mask)
        self.port = self.server.address('http')[1]
        self.auth = 'admin:' + gh.PASSWORD
        for folder in ('small', 'd1000'):
            self.server.http('MKCOL', '/dav/' + folder)
        for i in range(SMALL):
            self.server.http('PUT', '/dav/small/f%d' % i, body=os.urandom(4096))
            self.server.http('PUT', '/dav/d1000/file-%05d.txt' % i, body=b'x' * 64)

    def pids(self):
        return [self.server.proc.pid]

    def fresh(self, round_):
        self.server.http('MKCOL', '/dav/put%s' % round_)

    def stop(self):
        self.server.stop()


def profile(contender, kind):
    """Where the server's CPU goes: perf's top symbols, when perf works here."""
    if not shutil.which('perf'):
        return 'perf is not installed\n'
    data = os.path.join(contender.dir, 'perf.data')
    p = subprocess.Popen(['perf', 'record', '-q', '-e', 'cpu-clock', '-F', '999', '-o', data, '-p',
                          str(contender.pids()[0])], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    contender.fresh('profile-' + kind)
    contender.load(kind, 4, 'profile-' + kind)
    p.send_signal(signal.SIGINT)
    p.wait()
    out = subprocess.run(['perf', 'report', '-i', data, '--stdio', '--no-children', '-s', 'dso,symbol', '--percent-limit',
                          '1'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    lines = [x.rstrip() for x in out.split('\n') if re.match(r'\s+\d', x)]
    return '\n'.join(lines[:25]) + '\n'


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--seconds', type=int, default=3)
    ap.add_argument('--only', default='get,put,propfind')
    ap.add_argument('--profile', action='store_true')
    ap.add_argument('--out', help='default: RESULTS.md, where all was measured')
    args = ap.parse_args()
    gh.need('nginx', 'wrk', 'htpasswd', 'taskset')
    top = tempfile.mkdtemp(prefix='gh-bench-')
    lines = ['# Results', '', 'Written by `tests/bench/bench.py`, %s, %d rounds of %d s in alternation, server on CPU 0, '
             'generator (wrk) on CPU 1, loopback, page cache hot, access logs off. nginx verifies a {SHA} password per '
             'request and syncs nothing; Gatehouse verifies Argon2id once and answers a PUT when it is durable.' % (
                 datetime.date.today().isoformat(), args.rounds, args.seconds), '',
             '| workload | nginx req/s (CPU us) | gatehouse req/s (CPU us) | p50 / p99 ms nginx | p50 / p99 ms gatehouse '
             '| ratio (min .. max) |', '|---|---|---|---|---|---|']
    floor = True
    gh.binary()  # says what is missing before anything is started
    try:
        a, b = Nginx(top), Gatehouse(top)
        for kind in args.only.split(','):
            runs = []
            for r in range(args.rounds):
                pair = []
                for c in (a, b):
                    c.fresh('%s-%d' % (kind, r))
                    pair.append(c.load(kind, args.seconds, '%s-%d' % (kind, r)))
                runs.append(pair)
                print('%s round %d: nginx %.0f gatehouse %.0f' % (kind, r, pair[0]['rate'], pair[1]['rate']), flush=True)
            ratios = [y['rate'] / x['rate'] for x, y in runs]
            med = [{k: statistics.median(p[i][k] for p in runs) for k in runs[0][i]} for i in (0, 1)]
            ratio = statistics.median(ratios)
            floor = floor and ratio >= 0.7
            label = {'get': 'GET 4 KiB, 32 connections', 'put': 'PUT 4 KiB, 16 connections',
                     'propfind': 'PROPFIND of 1,000 entries, 4 properties, 8 connections'}[kind]
            lines.append('| %s | %.0f (%.1f) | %.0f (%.1f) | %.2f / %.2f | %.2f / %.2f | **%.2f** (%.2f .. %.2f) |' % (
                label, med[0]['rate'], med[0]['cpu_us'], med[1]['rate'], med[1]['cpu_us'], med[0]['p50_ms'],
                med[0]['p99_ms'], med[1]['p50_ms'], med[1]['p99_ms'], ratio, min(ratios), max(ratios)))
        lines += ['', 'Floor: 0.7 of nginx with basic auth in each. %s' % ('Reached.' if floor else 'NOT reached.'), '']
        if args.profile:
            for kind in args.only.split(','):
                lines += ['## Profile: %s' % kind, '', '```', profile(b, kind).rstrip(), '```', '']
        a.stop()
        b.stop()
    finally:
        shutil.rmtree(top, ignore_errors=True)
    if args.out or args.only == ap.get_default('only'):
        results.put_head(args.out or os.path.join(HERE, 'RESULTS.md'), '\n'.join(lines))
    print('\n'.join(lines))


main()
