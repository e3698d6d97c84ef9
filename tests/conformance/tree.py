#!/usr/bin/python3
# suite: default
# timeout: 900
# metadata: sqlite postgresql:all pair:all
"""A real tree: /usr/include and /usr/share/doc copied with rclone over WebDAV into a case-sensitive tenant, read back
with lftp over FTP and over REST: the same names, sizes and bytes as at the source, and the same times at every door.
In a default tenant the second of two names that differ only in case replaces the first."""
import calendar
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

gh.need('rclone', 'lftp', 'curl')
SOURCES = ['/usr/include', '/usr/share/doc']
RCLONES = 8
FILES_MAX = int(os.environ.get('TREE_FILES', '6000' if os.environ.get('TEST_SUITE') == 'all' else '2400'))


def gather(top):
    """A copy of the sources without links and special files, so that every client sees the same."""
    total = 0
    for source in SOURCES:
        count = 0
        for folder, _, files in os.walk(source):
            for f in sorted(files):
                path = os.path.join(folder, f)
                if os.path.islink(path) or not os.path.isfile(path) or count >= FILES_MAX // len(SOURCES):
                    continue
                to = os.path.join(top, path[1:])
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copyfile(path, to)
                count += 1
        total += count
    # names that differ only in case, whatever this machine's headers have
    os.makedirs(os.path.join(top, 'case'))
    for name in ('README', 'readme', 'ReadMe'):
        with open(os.path.join(top, 'case', name), 'w') as f:
            f.write('I am %s\n' % name)
    return total + 3


def files_of(top):
    out = {}
    for folder, _, files in os.walk(top):
        for f in files:
            path = os.path.join(folder, f)
            with open(path, 'rb') as h:
                out[os.path.relpath(path, top)] = h.read()
    return out


def run(cmd, **kw):
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600 * gh.SLOW, **kw)
    if p.returncode:
        print(p.stdout[-3000:])
    return p.returncode


def rclone(server, user, source, target, names):
    """Several at once, each with its share: rclone sends WebDAV servers one request per 10 ms and process."""
    obscured = subprocess.check_output(['rclone', 'obscure', gh.PASSWORD], text=True).strip()
    env = dict(os.environ, RCLONE_CONFIG='/dev/null', RCLONE_CONFIG_GH_TYPE='webdav', RCLONE_CONFIG_GH_VENDOR='other',
               RCLONE_CONFIG_GH_URL=server.url('/dav'), RCLONE_CONFIG_GH_USER=user, RCLONE_CONFIG_GH_PASS=obscured)
    shares = [names[i::RCLONES] for i in range(RCLONES)]
    running = []
    for i, share in enumerate(shares):
        listing = os.path.join(os.path.dirname(source), 'share%d' % i)
        with open(listing, 'w') as f:
            f.writelines(n + '\n' for n in share)
        running.append(subprocess.Popen(['rclone', 'copy', source, 'gh:' + target, '--files-from-raw', listing, '-q',
                                         '--no-traverse', '--transfers', '4', '--checkers', '4'], env=env))
    return max(p.wait(600 * gh.SLOW) for p in running)


def rest_walk(server, user, path=''):
    """(path, entry) of every file, by pages."""
    after = ''
    while True:
        r = server.http('GET', '/api/v1/list/%s?limit=500&after=%s' % (
            urllib.parse.quote(path), urllib.parse.quote(after)), user=user)
        if r.status != 200:
            raise RuntimeError('list of %s: %d %s' % (path, r.status, r.text[:200]))
        page = r.json
        for e in page.get('items', page.get('entries', [])):
            child = (path + '/' if path else '') + e['name']
            if e['type'] in ('folder', 'directory', 'dir'):
                yield from rest_walk(server, user, child)
            else:
                yield child, e
        after = page.get('next')
        if not after:
            return


def curl_all(server, user, paths, folder):
    """Every file over REST with one curl that reads its list from a file."""
    config = os.path.join(folder, 'curl.conf')
    os.makedirs(os.path.join(folder, 'out'))
    with open(config, 'w') as f:
        f.write('user = "%s:%s"\nfail\nsilent\nshow-error\ncreate-dirs\n' % (user, gh.PASSWORD))
        for p in paths:
            f.write('url = "%s"\noutput = "%s"\n' % (
                server.url('/api/v1/content/' + urllib.parse.quote(p)), os.path.join(folder, 'out', p)))
    return run(['curl', '-K', config])


def dav_times(server, user, folder):
    r = server.http('PROPFIND', '/dav/' + urllib.parse.quote(folder) + '/', {'Depth': '1'}, user=user)
    out = {}
    for part in re.split(r'<(?:\w+:)?response\b', r.text)[1:]:
        href = re.search(r'<(?:\w+:)?href>([^<]*)<', part).group(1)
        when = re.search(r'<(?:\w+:)?getlastmodified[^>]*>([^<]*)<', part)
        if when and not href.endswith('/'):
            name = urllib.parse.unquote(href.replace('&amp;', '&')).rsplit('/', 1)[1]
            out[name] = calendar.timegm(time.strptime(when.group(1), '%a, %d %b %Y %H:%M:%S GMT'))
    return out


def ftp_times(server, user, folder):
    f = server.ftp(user)
    out = {}
    for name, facts in f.mlsd('/' + folder):
        if facts['type'] == 'file':
            out[name] = calendar.timegm(time.strptime(facts['modify'][:14], '%Y%m%d%H%M%S'))
    f.close()
    return out


def rest_time(entry):
    value = entry.get('mtime')
    if isinstance(value, (int, float)):
        return int(value // 1000 if value > 1e11 else value)
    return calendar.timegm(time.strptime(value[:19], '%Y-%m-%dT%H:%M:%S'))


def main():
    t = gh.Checks()
    scratch = tempfile.mkdtemp(prefix='gh-tree-')
    source = os.path.join(scratch, 'source')
    count = gather(source)
    print('%d files' % count, flush=True)
    want = files_of(source)
    try:
        with gh.Server() as s:
            user = s.tenant('linux', '--case-sensitive')
            start = time.monotonic()
            t.eq(rclone(s, user, source, '', sorted(want)), 0, 'rclone copies the tree over WebDAV')
            print('rclone: %.1f s' % (time.monotonic() - start), flush=True)

            mirror = os.path.join(scratch, 'mirror')
            host, port = s.address('ftp')
            start = time.monotonic()
            t.eq(run(['lftp', '-c', 'set ftp:ssl-allow no; set net:max-retries 1; open -u "%s,%s" ftp://%s:%d; '
                      'mirror --parallel=4 / %s' % (user, gh.PASSWORD, host, port, mirror)]), 0, 'lftp mirrors it')
            print('lftp: %.1f s' % (time.monotonic() - start), flush=True)
            got = files_of(mirror)
            t.eq(sorted(got), sorted(want), 'FTP has the same names')
            t.eq([p for p in want if got.get(p) != want[p]][:5], [], 'FTP gives the same bytes')

            entries = dict(rest_walk(s, user))
            t.eq(sorted(entries), sorted(want), 'REST lists the same names')
            t.eq([p for p in want if p in entries and int(entries[p]['size']) != len(want[p])][:5], [],
                 'REST lists the same sizes')
            start = time.monotonic()
            t.eq(curl_all(s, user, sorted(want), scratch), 0, 'curl reads them over REST')
            print('curl: %.1f s' % (time.monotonic() - start), flush=True)
            got = files_of(os.path.join(scratch, 'out'))
            t.eq([p for p in want if got.get(p) != want[p]][:5], [], 'REST gives the same bytes')

            folders = sorted({os.path.dirname(p) for p in want})[::20] + ['case']
            for folder in folders:
                dav, ftp = dav_times(s, user, folder), ftp_times(s, user, folder)
                rest = {os.path.basename(p): rest_time(e) for p, e in entries.items() if os.path.dirname(p) == folder}
                t.eq(dav, ftp, 'times over WebDAV and FTP in ' + folder)
                t.eq(dav, rest, 'times over WebDAV and REST in ' + folder)

            # a default tenant folds case: one of the pair remains, the one that came last
            for name in ('README', 'readme'):
                s.http('PUT', '/dav/' + name, body=('I am %s\n' % name).encode())
            r = s.http('GET', '/dav/README')
            t.eq(r.body, b'I am readme\n', 'in a default tenant the second spelling replaces the first')
            names = [e['name'] for _, e in rest_walk(s, 'admin')]
            t.eq(names, ['README'], 'and there is one file, named as it was first')
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(t.done())


main()
