#!/usr/bin/python3
# suite: default
# sanitizers: asan
# metadata: sqlite postgresql:all
"""The admin API as programs use it: every role against every operation, tokens, the description, bad input, the event
stream; and that all of it answers while every door for users is full. As the console uses it: admin_console.py."""
import json
import os
import re
import select
import signal
import socket
import sys
import threading
import time
import http.client

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402
from adminlib import ROLES, Api, Stream, reason, t, token_for  # noqa: E402

OWNERS = re.compile(r'^(tenant\.(add|set|move)|(user|token|group)\.(?!list)|acl\.(grant|deny|revoke|inherit)'
                    r'|operator\.(?!list|token\.list)|shard\.(?!list))')
LOOKS = re.compile(r'(\.(list|describe|now|history|explain)|^status|^doctor|^schema\.check)$')


def role_of(op):
    return 'owner' if OWNERS.match(op) else 'viewer' if LOOKS.search(op) else 'operator'


# ---- roles, tokens, description ----

def roles(s, tokens):
    owner = Api(s, tokens['owner'])
    description = owner.get('openapi.json').json
    ops = {path.rpartition('/')[2]: methods for path, methods in description['paths'].items()}
    t.ok(len(ops) > 40, 'the description has the operations', len(ops))
    for op, methods in sorted(ops.items()):
        needs = role_of(op)
        t.eq(methods['post']['x-role'], needs, '%s takes the role that it should' % op)
        for role in ROLES:
            # An argument that nobody takes: what is let through is refused for that, and nothing happens.
            r = Api(s, tokens[role]).post(op, {'no such argument': 1})
            want = (400, 'invalid') if ROLES.index(role) >= ROLES.index(needs) else (403, 'denied')
            t.eq(reason(r), want, '%s as %s' % (op, role))
        t.eq(reason(Api(s).post(op, {})), (401, 'unauth'), '%s as nobody' % op)
        look = Api(s, tokens['owner']).get(op + '?no_such=1')
        t.eq(look.status, 400 if 'get' in methods else 405, 'GET %s' % op)


def description(s, tokens):
    d = Api(s, tokens['viewer']).get('openapi.json').json
    t.eq(d['openapi'][:2], '3.', 'it is OpenAPI 3')
    for path, methods in d['paths'].items():
        post = methods['post']
        schema = post['requestBody']['content']['application/json']['schema']
        t.eq(schema['type'], 'object', '%s takes an object' % path)
        t.eq(schema['additionalProperties'], False, '%s takes nothing else' % path)
        t.ok(all(r in schema['properties'] for r in schema['required']), '%s requires what it has' % path)
        if 'get' in methods:
            t.eq(sorted(p['name'] for p in methods['get']['parameters']), sorted(schema['properties']),
                 '%s: the same arguments by GET' % path)
    switch = d['paths']['/admin/v1/switch.set']['post']['requestBody']['content']['application/json']['schema']
    t.eq(switch['required'], ['mode'], 'what switch.set requires')
    t.eq(switch['properties']['for_s'], {'type': 'integer'}, 'with its type')
    t.eq(d['paths']['/admin/v1/switch.set'].get('get'), None, 'what changes something is no GET')
    t.eq(reason(Api(s).get('openapi.json')), (401, 'unauth'), 'it is not for everybody')


def changes(s, tokens):
    api = Api(s, tokens['owner'])
    api.ok('tenant.add', name='acme')
    t.has([i['tenant'] for i in api.get('tenant.list').json['items']], 'acme', 'a tenant made here is there')
    api.ok('user.add', tenant='acme', user='ann', password=gh.PASSWORD)
    t.ok(s.http('GET', '/api/v1/list/', user='acme/ann').status not in (401, 500), 'and so is its user')
    r = Api(s, tokens['viewer']).get('events.list?limit=100')
    mine = [e for e in r.json['items'] if e['what'] == 'user.add' and e['path'] == 'user:ann']
    t.eq([e['user'] for e in mine], ['token:test-owner'], 'the event names the token')
    r = api.get('live.history?seconds=5&points=2')
    t.eq(r.status, 200, 'numbers can be written in a query')
    t.eq(reason(api.get('live.history?seconds=five')), (400, 'invalid'), 'words for numbers cannot')
    t.eq(reason(api.get('user.list?tenant=no%2Fne')), (404, 'notfound'), 'percent encoding is understood')
    t.eq(len(api.get('user.list?tenant=acme').json['items']), 1, 'a text is a text')


def tokens_end(s, tokens):
    api = Api(s, tokens['owner'])
    made = api.ok('operator.token.add', name='short', role='viewer')
    short = Api(s, made['token'])
    t.eq(short.get('status').status, 200, 'a token is good at once')
    api.ok('operator.token.revoke', id=made['id'])
    t.eq(reason(short.get('status')), (401, 'unauth'), 'and revoked at once')
    for wrong in ('gho_', made['token'][:-1] + ('0' if made['token'][-1] != '0' else '1'), 'x' * 5000, ''):
        t.eq(reason(Api(s, wrong).get('status')), (401, 'unauth'), 'a wrong token %r' % wrong[:20])
    r = Api(s).get('status')
    t.eq(r.header('WWW-Authenticate'), 'Bearer realm="Gatehouse"', 'no browser asks for a password by itself')
    basic = Api(s).get('status', headers={'Authorization': gh.basic('admin', gh.PASSWORD)})
    t.eq(reason(basic), (401, 'unauth'), 'Basic opens nothing here')
    t.eq(reason(Api(s, tokens['owner'] + ' x').get('status')), (401, 'unauth'), 'nor does a token with more behind it')


# ---- bad input ----

def bad_input(s, tokens):
    api = Api(s, tokens['owner'])

    def body(text, **more):
        return api.request('POST', '/admin/v1/tenant.list', text, **more)

    for text in ('{', '[]', '7', 'null', '{"a":1,"a":2}', '{"a":"\\ud800"}', '{"a":"\\u0000"}', '\xff', '[' * 100000, '"x"'):
        t.eq(reason(body(text.encode('latin-1'))), (400, 'invalid'), 'a body like %r' % text[:20])
    t.eq(body('').status, 200, 'no body is no arguments')
    big = json.dumps({'x': 'y' * (2 << 20)})
    t.eq(body(big).status, 413, 'a body of 2 MiB')
    chunked = b'%x\r\n' % len(big) + big.encode() + b'\r\n0\r\n\r\n'
    r = s.raw(b'POST /admin/v1/tenant.list HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: '
              b'application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n' % tokens['owner'].encode() + chunked,
              listener='admin')
    t.has(r[:20], b' 413 ', 'nor unannounced')
    r = Api(s).request('POST', '/admin/v1/sign-in', json.dumps({'name': 'x' * 20000, 'password': 'y'}))
    t.eq(r.status, 413, 'who is nobody sends little')
    t.eq(reason(api.post('tenant.fly', {})), (404, 'notfound'), 'an operation that is not')
    t.has(api.post('tenant.fly', {}).json['detail'], 'there is no operation "tenant.fly"', 'is named')
    for path in ('', '/', 'x' * 300, 'tenant.list/', 'tenant.list/x', '..', '%2e%2e', 'tenant%2elist'):
        t.eq(api.request('GET', '/admin/v1/' + path).status, 404, 'no operation at %r' % path[:20])
    t.eq(reason(api.post('tenant.list', {'colour': 'red'})), (400, 'invalid'), 'an argument that is not')
    t.has(api.post('tenant.list', {'colour': 'red'}).json['detail'], 'colour', 'is named')
    for query in ('tenant=a&tenant=b', 'tenant=%00', 'tenant=%zz', 'tenant', '=x', 'Tenant=a', 'a' * 100 + '=1'):
        t.eq(reason(api.get('user.list?' + query)), (400, 'invalid'), 'a query like %r' % query[:20])
    r = api.get('tenant.add?name=x')
    t.eq((r.status, r.header('Allow')), (405, 'POST'), 'nothing is changed by GET')
    t.eq(api.request('DELETE', '/admin/v1/tenant.list').status, 405, 'nor are there other methods')
    smuggle = (b'POST /admin/v1/tenant.list HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n'
               b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
    t.has(s.raw(smuggle, listener='admin')[:20], b' 400 ', 'the request guard stands here too')
    t.eq(api.get('status').status, 200, 'and after all that it answers')


def lost_connection(s, tokens):
    """Who goes away in the middle of a call has asked for all of it or for nothing."""
    api = Api(s, tokens['owner'])
    body = json.dumps({'protocols': ['rest'], 'tenant': 'acme', 'mode': 'read-only', 'for_s': 600})
    whole = ('POST /admin/v1/switch.set HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n'
             'Content-Length: %d\r\n\r\n' % (tokens['owner'], len(body))).encode() + body.encode()
    with socket.create_connection(s.address('admin')) as c:
        c.sendall(whole[:-5])
    time.sleep(0.3)
    t.eq(api.ok('switch.list')['items'], [], 'half a call sets no rule')
    with socket.create_connection(s.address('admin')) as c:
        c.sendall(whole)
    end = time.monotonic() + 5 * gh.SLOW
    while not api.ok('switch.list')['items'] and time.monotonic() < end:
        time.sleep(0.05)
    rules = api.ok('switch.list')['items']
    t.eq([(r['mode'], r['tenant'], r['protocols']) for r in rules], [('read-only', 'acme', ['rest'])], 'a whole one sets all of it')
    t.eq([r['who'] for r in rules], ['token:test-owner'], 'in the name of who asked')
    for r in rules:
        api.ok('switch.clear', id=r['id'])


# ---- the event stream ----

def events(s, tokens):
    api = Api(s, tokens['owner'])
    stream = Stream(Api(s, tokens['viewer']))
    t.eq((stream.r.status, stream.r.getheader('Content-Type')), (200, 'text/event-stream'), 'the event stream')
    first, second = stream.wait('sample'), stream.wait('sample')
    t.ok(first and second and second['t'] > first['t'], 'has a sample a second', (first or {}).get('t'))
    t.ok('webdav' in second['doors'] and 'queue' in second and 'tenants' in second, 'with what samples have')
    rule = api.ok('switch.set', tenant='acme', mode='drain', for_s=60)
    change = stream.wait('change')
    t.eq(change, {'what': 'switch'}, 'and tells of every change')
    api.ok('switch.clear', id=rule['id'])
    t.eq(stream.wait('change'), {'what': 'switch'}, 'also of its end')
    api.ok('switch.set', tenant='acme', mode='drain', for_s=1)
    t.eq([stream.wait('change'), stream.wait('change')], [{'what': 'switch'}] * 2, 'and when a rule ends by itself')
    stream.close()
    t.eq(Stream(Api(s)).r.status, 401, 'it is not for everybody')

    made = api.ok('operator.token.add', name='stream', role='viewer')
    stream = Stream(Api(s, made['token']))
    stream.wait('sample')
    api.ok('operator.token.revoke', id=made['id'])
    t.eq(stream.wait('never', most=10), None, 'it ends with its token')
    t.ok(stream.r.isclosed(), 'at once', stream.r)
    stream.close()

    console = Api(s)
    console.sign_in('admin', gh.PASSWORD)
    stream = Stream(console)
    stream.wait('sample')
    console.post('sign-out')
    stream.wait('never', most=10)
    t.ok(stream.r.isclosed(), 'and with its session')
    stream.close()

    viewers = []
    while len(viewers) < 40 and (not viewers or viewers[-1].r.status == 200):
        viewers.append(Stream(Api(s, tokens['viewer'])))
    t.ok(20 <= len(viewers) < 40 and viewers[-1].r.status == 503, 'their number is bounded', len(viewers))
    t.eq(api.get('status').status, 200, 'and the API answers all the same')
    for v in viewers:
        v.close()


# ---- while everything is full ----

def refused(c, wait=0):
    """Whether the server has closed connection c, in which nothing came (a greeting is no refusal)."""
    if not select.select([c], [], [], wait)[0]:
        return False
    try:
        return c.recv(1, socket.MSG_PEEK) == b''
    except ConnectionResetError:
        return True


PER_ADDRESS = 100  # connections of ours that the server lets in


class Flood:
    """Every door for users, as full as it gets: connections to the limit, logins and uploads without end."""

    def __init__(self, s):
        self.s, self.stop, self.threads, self.held = s, False, [], []
        self.fill()
        for work in [self.logins] * 6 + [self.uploads] * 6:
            self.threads.append(threading.Thread(target=work, daemon=True))
            self.threads[-1].start()

    def fill(self):
        """Until nobody is let in any more. Each loop takes from a queue of its own, so the last to come need not be the
        last to be asked: who comes after all of them were let in or refused is."""
        for door in ('http', 'ftp'):
            self.held += [socket.create_connection(self.s.address(door), timeout=5) for _ in range(200)]
            wait_for(lambda: sum(map(refused, self.held)) >= len(self.held) - PER_ADDRESS)
            last = socket.create_connection(self.s.address(door), timeout=5 * gh.SLOW)
            self.held.append(last)
            t.ok(refused(last, 5 * gh.SLOW), 'nobody gets in at %s any more' % door,
                 sum(map(refused, self.held)))

    def logins(self):
        n = 0
        while not self.stop:
            n += 1
            try:
                self.s.client('acme/u%d' % n, 'wrong', timeout=5).request('GET', '/api/v1/list/')
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)

    def uploads(self):
        while not self.stop:
            try:
                self.s.client(timeout=5).request('PUT', '/dav/flood', body=os.urandom(300000))
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)

    def end(self):
        self.stop = True
        for c in self.held:
            c.close()
        for thread in self.threads:
            thread.join()


def took(what):
    begun = time.monotonic()
    r = what()
    return r.status, time.monotonic() - begun


FEW = '''
limits: { total: 120, per_address: %d }
workers: { threads: 2, queue: 16 }
logins: { threads: 1, queue: 4 }
''' % PER_ADDRESS


def answers_while_full():
    with gh.Server(config=FEW) as s:
        s.tenant('acme')
        tokens = {'viewer': token_for(s, 'viewer'), 'owner': token_for(s, 'owner')}
        flood = Flood(s)
        try:
            api = Api(s, tokens['owner'])
            stream = Stream(Api(s, tokens['viewer']))
            t.ok(stream.wait('sample') and stream.wait('sample'), 'the event stream, while every door is full')
            stream.close()
            for what, call in (
                    ('the console', lambda: api.request('GET', '/')),
                    ('a probe', lambda: api.request('GET', '/healthz')),
                    ('metrics', lambda: api.request('GET', '/metrics')),
                    ('signing in', lambda: Api(s).sign_in('admin', gh.PASSWORD)),
                    ('a list', lambda: api.get('tenant.list')),
                    ('a sample', lambda: api.get('live.now')),
                    ('a rule', lambda: api.post('switch.set', {'tenant': 'acme', 'mode': 'read-only', 'for_s': 60})),
                    ('events', lambda: api.get('events.list?limit=10'))):
                tries = [took(call) for _ in range(3)]
                t.eq([status for status, _ in tries], [200] * 3, '%s, while every door is full' % what)
                t.ok(min(seconds for _, seconds in tries) < 3 * gh.SLOW, '%s comes within three seconds' % what, tries)
        finally:
            flood.end()


def connections(s):
    metrics = Api(s).request('GET', '/metrics').text
    return int(re.search(r'gatehouse_connections\{door="admin"\} (\d+)', metrics).group(1)) - 1


def many_changes(s, token, count):
    c = http.client.HTTPConnection(*s.address('admin'), timeout=20 * gh.SLOW)
    headers = {'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json'}
    for _ in range(count):
        c.request('POST', '/admin/v1/defender.clear', '{"tenant":"acme"}', headers)
        c.getresponse().read()
    c.close()


def slow_reader(s, tokens):
    """Who takes nothing is dropped, and holds up nobody."""
    wait_for(lambda: connections(s) == 0)
    reader = Stream(Api(s, tokens['viewer']))
    t.eq(reader.r.status, 200, 'when those before have left, others may watch')
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    lazy.connect(s.address('admin'))
    lazy.sendall(b'GET /admin/v1/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n' % tokens['viewer'].encode())
    wait_for(lambda: connections(s) == 2)
    t.eq(connections(s), 2, 'two watch')
    read = threading.Thread(target=reader.swallow, daemon=True)
    read.start()
    changers = [threading.Thread(target=many_changes, args=(s, tokens['owner'], 1000)) for _ in range(4)]
    for c in changers:
        c.start()
    for c in changers:
        c.join()
    wait_for(lambda: connections(s) == 1, 30)
    t.eq(connections(s), 1, 'who takes nothing is let go')
    t.ok(read.is_alive(), 'who reads goes on')
    lazy.close()
    reader.shut()
    read.join()


def wait_for(what, seconds=5):
    end = time.monotonic() + seconds * gh.SLOW
    while not what() and time.monotonic() < end:
        time.sleep(0.1)


def idle_strangers(s, tokens):
    """Who only opens connections, or sends a byte now and then, holds nothing that others need."""
    s.proc.send_signal(signal.SIGSTOP)  # so that they come all at once
    held = [socket.create_connection(s.address('admin')) for _ in range(1000)]
    some = (b'', b'GET / HTTP/1.1\r\nHost', b'POST /admin/v1/sign-in HTTP/1.1\r\nHost: strange\r\nContent-Length: 10\r\n\r\n')
    for i, c in enumerate(held):
        try:
            c.sendall(some[i % len(some)])
        except OSError:
            pass
    threading.Timer(0.2, s.proc.send_signal, (signal.SIGCONT,)).start()
    status, seconds = took(lambda: Api(s, tokens['owner']).get('status'))
    t.ok(status == 200 and seconds < 3 * gh.SLOW, 'the API answers past 1000 idle strangers', (status, seconds))
    end, open_ = time.monotonic() + 20 * gh.SLOW, held  # a body, an answer, and headers that never end
    while open_ and time.monotonic() < end:
        still = []
        for c in open_:
            c.setblocking(False)
            try:
                c.sendall(b'x')
                if c.recv(1000) != b'':
                    still.append(c)
            except BlockingIOError:
                still.append(c)
            except OSError:
                pass
        open_ = still
        time.sleep(0.5)
    t.eq(len(open_), 0, 'and each is gone after a while')
    for c in held:
        c.close()


def main():
    with gh.Server() as s:
        tokens = {role: token_for(s, role) for role in ROLES}
        roles(s, tokens)
        description(s, tokens)
        changes(s, tokens)
        tokens_end(s, tokens)
        bad_input(s, tokens)
        lost_connection(s, tokens)
        events(s, tokens)
        slow_reader(s, tokens)
        idle_strangers(s, tokens)
        s.restart()
        t.eq(Api(s, tokens['owner']).get('status').status, 200, 'tokens outlive a restart')
    answers_while_full()
    sys.exit(t.done())


main()
