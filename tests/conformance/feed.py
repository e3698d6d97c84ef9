#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql:all pair
"""The event feed against a running server: rights, moves across their borders, long polls that wake, server-sent events with
resume, cursors that are of no use any more, many waiting readers while others write, switches, restarts."""
import json
import os
import select
import socket
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh

t = gh.Checks()
API = '/api/v1/'
EVENTS = API + 'events'
MANY = 1000 if os.environ.get('GATEHOUSE_VARIANT', 'test') == 'test' and not gh.PAIR else 200


def cursor(s, user='admin'):
    return s.http('GET', EVENTS, user=user).json['next']


def behind(s, after, user='admin', wait=0, limit=1000):
    """What is told behind a cursor. PostgreSQL's log is told up to the oldest transaction that is under way, somebody's upkeep
    maybe: so there the same has to be told twice."""
    last = None
    for _ in range(10):
        r = s.http('GET', '%s?after=%s&wait=%d&limit=%d' % (EVENTS, after, wait, limit), user=user)
        if gh.METADATA == 'sqlite' or r.status != 200 or wait or (last == r.json['events'] and last):
            break
        last = r.json['events']
        time.sleep(0.05)
    t.eq(r.status, 200, 'events are told')
    return r.json


def words(answer):
    return [tuple(e[k] for k in ('type', 'path', 'to') if k in e) for e in answer['events']]


def put(s, path, body=b'x', **more):
    return s.http('PUT', API + 'content' + path, body=body, **more).status


def mkdir(s, path):
    t.eq(s.http('MKCOL', '/dav' + path).status, 201, 'MKCOL %s' % path)


def move(s, path, dest):
    t.among(s.http('MOVE', '/dav' + path, headers={'Destination': s.url('/dav' + urllib.parse.quote(dest))}).status, (201, 204), 'MOVE %s' % path)


class Stream:
    """A reader of server-sent events."""

    def __init__(self, s, user='admin', after='', last=None, target=None):
        self.sock = socket.create_connection(s.address('http'), timeout=20 * gh.SLOW)
        self.sock.sendall(('GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nAccept: text/event-stream\r\n%s\r\n' % (
            target or EVENTS + ('?after=' + after if after else ''), gh.basic(user, gh.PASSWORD),
            'Last-Event-ID: %s\r\n' % last if last else '')).encode())
        self.file = self.sock.makefile('rb')
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while True:
            line = self.file.readline().strip().decode()
            if not line:
                break
            k, _, v = line.partition(':')
            self.headers[k.lower()] = v.strip()
        self.id, self.text = None, b''

    def more(self):
        """The next chunk; False at the end."""
        size = self.file.readline().strip()
        if not size or int(size, 16) == 0:
            return False
        self.text += self.file.read(int(size, 16))
        self.file.readline()
        return True

    def event(self):
        """(name, data) of the next one that has data; None at the end."""
        while True:
            while b'\n\n' not in self.text:
                if not self.more():
                    return None
            one, _, self.text = self.text.partition(b'\n\n')
            name, data = 'message', None
            for line in one.decode().split('\n'):
                k, _, v = line.partition(': ')
                if k == 'id':
                    self.id = v
                elif k == 'event':
                    name = v
                elif k == 'data':
                    data = v
            if data is not None:
                return name, json.loads(data)

    def began(self):
        """Until it has its first cursor."""
        while self.id is None:
            if b'\n\n' not in self.text and not self.more():
                return
            one, _, self.text = self.text.partition(b'\n\n')
            for line in one.decode().split('\n'):
                if line.startswith('id: '):
                    self.id = line[4:]

    def close(self):
        self.file.close()
        self.sock.close()


def told(s):
    c = cursor(s)
    put(s, '/a.txt')
    put(s, '/a.txt', b'two')
    mkdir(s, '/d')
    move(s, '/a.txt', '/d/b "q".txt')
    s.http('COPY', '/dav/d', headers={'Destination': s.url('/dav/e')})
    s.http('DELETE', '/dav/d')
    a = behind(s, c)
    t.eq(words(a), [('created', '/a.txt'), ('changed', '/a.txt'), ('created', '/d'), ('moved', '/a.txt', '/d/b "q".txt'),
                    ('resync', '/e'), ('gone', '/d')], 'what happened, in order')
    t.eq(a['events'][0]['id'], a['events'][3]['id'], 'a moved file is the same one')
    t.eq(s.http('GET', API + 'stat/e').json['type'], 'folder', 'and what is to be looked at is there')
    t.eq(a['next'], a['newest'], 'all of it')
    t.eq(words(behind(s, a['next'])), [], 'once')
    part = behind(s, c, limit=2)
    t.eq(len(part['events']), 2, 'as much as is asked for')
    t.eq(words(behind(s, part['next'])), words(a)[2:], 'and then the rest')
    for i, e in enumerate(a['events']):
        t.eq(words(behind(s, e['cursor'])), words(a)[i + 1:], 'from any event on')
    t.ok(len(behind(s, a['oldest'])['events']) >= 6, 'from the oldest on')
    r = s.http('GET', EVENTS)
    t.eq((r.json['events'], r.json['next']), ([], r.json['newest']), 'without a cursor: where to begin')


def rights(s):
    ann, bob = s.user('default/ann'), s.user('default/bob')
    for path in ('/in', '/out', '/in/deep'):
        mkdir(s, path)
    s.cli('acl', 'grant', 'default', '/in', 'user:ann', 'list,read')
    s.cli('acl', 'grant', 'default', '/out', 'user:bob', 'list,read')
    mkdir(s, '/in/secret')
    s.cli('acl', 'deny', 'default', '/in/secret', 'user:ann', 'full')
    c = cursor(s)
    t.eq(behind(s, c, ann)['events'], [], 'nothing yet')  # from here on memory knows the rights of every time
    put(s, '/in/f')
    put(s, '/out/g')
    put(s, '/in/secret/name')
    move(s, '/in/f', '/out/f')
    move(s, '/in/secret', '/out/kept')
    put(s, '/in/deep/x')
    move(s, '/in/deep/x', '/in/y')
    t.eq(words(behind(s, c, ann)), [('created', '/in/f'), ('gone', '/in/f'), ('created', '/in/deep/x'),
                                    ('moved', '/in/deep/x', '/in/y')], 'ann hears of what is hers')
    t.eq(words(behind(s, c, bob)), [('created', '/out/g'), ('resync', '/out/f'), ('resync', '/out/kept')],
         'bob of what comes to where he is')
    c = cursor(s)
    put(s, '/in/z')
    s.cli('acl', 'revoke', 'default', '/in', 'user:ann')
    t.eq(words(behind(s, c, ann))[-1], ('resync', '/'), 'what a right showed is gone with it')
    t.hasnt(json.dumps(behind(s, c, ann)), '/in', 'and is not told of any more')
    c = cursor(s)
    s.cli('group', 'add', 'default/staff', 'ann')
    s.cli('acl', 'grant', 'default', '/in/deep', 'group:staff', 'list,read')
    t.eq(words(behind(s, c, ann)), [('resync', '/')], 'a right comes: from the first folder on that shows')
    c = cursor(s)
    put(s, '/in/other')
    put(s, '/in/deep/two')
    t.eq(words(behind(s, c, ann)), [('created', '/in/deep/two')], 'a folder that is only a way tells no names')
    c = cursor(s)
    s.cli('group', 'leave', 'default/staff', 'ann')
    t.eq(words(behind(s, c, ann)), [('resync', '/')], 'who leaves a group is told')
    t.eq(words(behind(s, c, bob)), [], 'and nobody else')
    s.cli('acl', 'grant', 'default', '/in/deep', 'user:ann', 'create')
    c = cursor(s)
    put(s, '/in/deep/dropped')
    t.eq(words(behind(s, c, ann)), [], 'a folder that may not be listed tells no names')


def waits(s):
    best = 9
    for n in range(3):
        c = cursor(s)
        done = []
        thread = threading.Thread(target=lambda: (time.sleep(0.3), done.append(time.monotonic()),
                                                  s.client().request('PUT', API + 'content/w%d' % n, body=b'x')))
        thread.start()
        a = behind(s, c, wait=20)
        best = min(best, time.monotonic() - done[0])
        thread.join()
        t.eq(words(a), [('created', '/w%d' % n)], 'a long poll hears of it')
    t.ok(best < 1 * gh.SLOW, 'within a second', '%.3f s' % best)
    began = time.monotonic()
    a = behind(s, cursor(s), wait=1)
    t.ok(a['events'] == [] and time.monotonic() - began >= 0.9, 'an empty answer comes after the wait')


def streams(s):
    st = Stream(s)
    t.eq((st.status, st.headers['content-type']), (200, 'text/event-stream'), 'a stream')
    st.began()
    first = st.id
    t.eq(len(first), 64, 'that begins with a cursor')
    put(s, '/s1')
    t.eq(st.event()[1]['path'], '/s1', 'an event comes')
    put(s, '/s2')
    name, e = st.event()
    t.eq((e['path'], e['cursor']), ('/s2', st.id), 'its id is its cursor')
    last = st.id
    st.close()
    put(s, '/s3')
    st = Stream(s, last=last, after=first)
    t.eq(st.event()[1]['path'], '/s3', 'Last-Event-ID goes on where it was left')
    st.close()
    for i in range(300):
        put(s, '/many%d' % i)
    st = Stream(s, after=last)
    t.eq([st.event()[1]['path'] for i in range(301)], ['/s3'] + ['/many%d' % i for i in range(300)], 'and misses nothing')
    st.close()


def useless(s):
    c = cursor(s)
    other = s.tenant('other')
    for bad in ('0' * 64, c[:-1] + ('0' if c[-1] != '0' else '1'), 'x', c + '0', c.upper() if c.upper() != c else 'y'):
        r = s.http('GET', EVENTS + '?after=' + bad)
        t.eq((r.status, r.header('Content-Type')), (410, 'application/problem+json'), 'no cursor of ours')
        t.eq(r.json['reason'], 'cursor-expired', 'is called so')
        t.has(r.json['detail'], 'list again', 'with what to do')
    t.eq(s.http('GET', EVENTS + '?after=' + c, user=other).status, 410, 'another tenant has other cursors')
    t.eq(Stream(s, after='0' * 64).status, 410, 'to a stream likewise')
    for bad in ('limit=0', 'limit=-1', 'limit=1e3', 'wait=x', 'wait=-1', 'after=%00'):
        t.among(s.http('GET', EVENTS + '?' + bad).status, (200 if bad == 'after=%00' else 400,), bad)
    t.eq(s.http('GET', EVENTS + '/x').status, 404, 'nothing below it')
    t.eq(s.http('GET', EVENTS, auth=False).status, 401, 'not without a login')


def behind_all(s, mark):
    """A cursor behind everything that was done before this: what a feed tells may lag behind what is done."""
    c = cursor(s)
    t.eq(put(s, mark), 201, 'a mark')
    for _ in range(100):
        r = s.http('GET', '%s?after=%s&wait=1' % (EVENTS, c)).json
        c = r['next']
        if any(e.get('path') == mark for e in r['events']):
            break
    return c


def many(s):
    """A thousand readers wait while others write: each hears of it, and nobody else waits for them."""
    s.cli('acl', 'grant', 'default', '/in', 'user:ann', 'list,read')
    request = ('GET %s?after=%s&wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n' % (
        EVENTS, behind_all(s, '/in/mark'), gh.basic('ann', gh.PASSWORD))).encode()
    readers = []
    for i in range(MANY):
        k = socket.create_connection(s.address('http'), timeout=30 * gh.SLOW)
        k.sendall(request)
        readers.append(k)
    for i in range(100):
        status, text = s.http('GET', '/healthz', auth=False).status, ''
        if s.control('live.now')[0] and waiting(s) >= MANY:
            break
        time.sleep(0.1)
    early = select.select(readers[:500], [], [], 0)[0]
    t.ok(waiting(s) >= MANY, 'all of them wait', (waiting(s), [k.recv(1000) for k in early[:3]]))
    for i in range(20):
        t.eq(put(s, '/elsewhere%d' % i), 201, 'others write')
    time.sleep(0.3)
    t.eq(len([k for k in select.select(readers[:500], [], [], 0)[0] if k not in early]), 0, 'what is not theirs wakes nobody')
    began = time.monotonic()
    put(s, '/in/for-ann')
    heard = 0
    for k in readers:
        data = b''
        while b'"newest"' not in data:
            part = k.recv(65536)
            if not part:
                break
            data += part
        heard += b'/in/for-ann' in data and b'elsewhere' not in data
        k.close()
    t.eq(heard, MANY, 'every one hears of it')
    print('%d readers were told within %.2f s' % (MANY, time.monotonic() - began))


def waiting(s):
    texts = [gh.Client(host, port).request('GET', '/metrics').text for host, port in s.admins()]
    return sum(int(next(line.split()[1] for line in text.split('\n') if line.startswith('gatehouse_feed_waiting ')))
               for text in texts)


def switches(s):
    for command, kind, text in ((('switch', 'off', 'rest'), 'off', 'closed for a while'),
                                (('switch', 'off', 'rest', '--mode', 'drain'), 'draining', 'moving house')):
        c = cursor(s)
        out = []
        st = Stream(s)
        st.began()
        client = s.client()
        thread = threading.Thread(target=lambda: out.append(client.request('GET', EVENTS + '?wait=50&after=' + c)))
        thread.start()
        for i in range(100):
            if waiting(s) >= 2:
                break
            time.sleep(0.05)
        began = time.monotonic()
        s.cli(*command, '--for', '1h', '--message', text)
        thread.join(20)
        name, last = st.event()
        t.ok(time.monotonic() - began < 5 * gh.SLOW, 'whoever waits is reached at once')
        t.eq((out[0].status, out[0].json['reason'], out[0].json['text']), (503, kind, text), 'a poll hears why')
        t.eq((name, last['reason'], last['text']), ('end', kind, text), 'a stream, too')
        t.eq(st.event(), None, 'and then ends')
        st.close()
        s.cli('switch', 'on', 'rest')


def restarts(s):
    c = cursor(s)
    held = []
    client = s.client()
    thread = threading.Thread(target=lambda: held.append(client.request('GET', EVENTS + '?wait=50&after=' + c)))
    thread.start()
    st = Stream(s)
    st.began()
    while waiting(s) < 2:
        time.sleep(0.05)
    began = time.monotonic()
    t.eq(s.stop(), 0, 'it stops')
    t.ok(time.monotonic() - began < 3 * gh.SLOW, 'without waiting for those who wait', time.monotonic() - began)
    thread.join(10)
    t.eq((held[0].status, held[0].json['reason']), (503, 'stopping'), 'who is told why')
    t.eq(st.event()[0], 'end', 'and so are streams')
    st.close()
    s.start()
    put(s, '/while-away')
    s.kill9()
    s.start()
    put(s, '/after')
    t.eq(words(behind(s, c)), [('created', '/while-away'), ('created', '/after')], 'nothing is missed')
    t.eq(words(behind(s, c, 'bob')), [], 'nor told to whom it does not concern')


with gh.Server() as server:
    for check in (told, rights, waits, streams, useless, many, switches, restarts):
        check(server)
        t.ok(server.alive(), 'alive after ' + check.__name__)
sys.exit(t.done())
