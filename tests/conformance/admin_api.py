#!/usr/bin/python3
# suite: default
# sanitizers: asan
"""The admin API as programs and the console use it: every role against every operation, tokens, signing in with and
without one-time codes, cookies, CSRF, foreign origins and hosts, guessing, bad input, the description, the event stream,
the console's files; and that all of it answers while every door for users is full."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402

t = gh.Checks()
ROLES = ('viewer', 'operator', 'owner')
OWNERS = re.compile(r'^(tenant\.(add|set)|(user|token|group)\.(?!list)|acl\.(grant|deny|revoke|inherit)'
                    r'|operator\.(?!list|token\.list))')
LOOKS = re.compile(r'(\.(list|describe|now|history|explain)|^status|^doctor)$')


def role_of(op):
    return 'owner' if OWNERS.match(op) else 'viewer' if LOOKS.search(op) else 'operator'


class Api:
    """Whoever talks to the admin listener: with a token, with a cookie, or as nobody."""

    def __init__(self, s, token=None):
        self.s, self.token, self.cookie, self.csrf = s, token, None, None
        self.host, self.port = s.address('admin')

    def request(self, method, path, body=None, headers=None, timeout=15):
        all_headers = {}
        if self.token:
            all_headers['Authorization'] = 'Bearer ' + self.token
        if self.cookie:
            all_headers['Cookie'] = self.cookie
        if self.csrf and method == 'POST':
            all_headers['X-CSRF-Token'] = self.csrf
        if body is not None:
            all_headers['Content-Type'] = 'application/json'
        all_headers.update(headers or {})
        c = http.client.HTTPConnection(self.host, self.port, timeout=timeout * gh.SLOW)
        try:
            c.putrequest(method, path, skip_host='Host' in all_headers, skip_accept_encoding=True)
            data = body.encode() if isinstance(body, str) else body
            if data is not None and 'Transfer-Encoding' not in all_headers and 'Content-Length' not in all_headers:
                c.putheader('Content-Length', str(len(data)))
            for name, value in all_headers.items():
                if value is not None:
                    c.putheader(name, value)
            c.endheaders(data)
            r = c.getresponse()
            return gh.Response(r.status, r.reason, r.getheaders(), r.read())
        finally:
            c.close()

    def post(self, op, args=None, **more):
        return self.request('POST', '/admin/v1/' + op, json.dumps(args or {}), **more)

    def get(self, op, **more):
        return self.request('GET', '/admin/v1/' + op, **more)

    def ok(self, op, **args):
        r = self.post(op, args)
        t.eq(r.status, 200, '%s %r: %s' % (op, args, r.text[:300]))
        return r.json

    def sign_in(self, name, password, code=None, **more):
        """The answer; where it is 200 this is that session from now on."""
        args = {'name': name, 'password': password}
        if code is not None:
            args['code'] = code
        r = self.post('sign-in', args, **more)
        if r.status == 200:
            self.cookie = r.header('Set-Cookie').split(';')[0]
            self.csrf = r.json['csrf']
        return r


def reason(r):
    return (r.status, r.json.get('reason')) if r.header('Content-Type') == 'application/problem+json' else (r.status, None)


def totp(secret, offset=0):
    step = int(time.time()) // 30 + offset
    mac = hmac.new(base64.b32decode(secret), struct.pack('>Q', step), hashlib.sha1).digest()
    at = mac[19] & 15
    return '%06d' % ((struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000)


def token_for(s, role):
    return s.cli_json('operator', 'token', 'add', 'test-' + role, '--role', role)['token']


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


# ---- the console's session ----

def signing_in(s):
    api = Api(s)
    r = api.sign_in('admin', gh.PASSWORD)
    t.eq(r.status, 200, 'the first operator signs in')
    t.eq((r.json['name'], r.json['role']), ('admin', 'owner'), 'and is who it is')
    cookie = r.header('Set-Cookie')
    for flag in ('HttpOnly', 'SameSite=Strict', 'Path=/'):
        t.has(cookie, flag, 'the cookie is %s' % flag)
    t.hasnt(cookie, 'Secure', 'without TLS it is not Secure')
    t.ok(len(cookie.split(';')[0]) >= 64, 'it is long enough')
    t.eq(api.get('session').json, {'name': 'admin', 'role': 'owner', 'csrf': api.csrf}, 'the session tells who it is')
    t.eq(api.get('tenant.list').status, 200, 'it looks')
    api.ok('flag.list')
    secure = Api(s).sign_in('admin', gh.PASSWORD, headers={'Host': 'localhost', 'Origin': 'https://localhost'})
    t.has(secure.header('Set-Cookie') or '', '; Secure', 'behind TLS the cookie is Secure')
    for body in ({'name': 'admin'}, {'name': 'admin', 'password': 7}, {'name': 'admin', 'password': 'x', 'role': 'owner'}, []):
        t.eq(reason(Api(s).post('sign-in', body)), (400, 'invalid'), 'signing in with %r' % body)
    seen = [e for e in api.ok('events.list', limit=1000)['items'] if e['what'] == 'operator.sign-in']
    t.ok(seen and seen[-1]['user'] == 'admin', 'signing in is on record')
    api.ok('group.add', tenant='acme', group='staff')
    events = api.ok('events.list', tenant='acme', limit=1000)['items']
    t.eq([e['user'] for e in events if e['what'] == 'group.add'], ['admin'], 'an event names the operator')


def forgery(s):
    api = Api(s)
    api.sign_in('admin', gh.PASSWORD)
    here = '%s:%d' % (api.host, api.port)
    mutate = ('defender.clear', {'tenant': 'acme'})
    t.eq(api.post(*mutate).status, 200, 'with the token it is done')
    for what, headers in (
            ('without the token', {'X-CSRF-Token': None}),
            ('with an empty one', {'X-CSRF-Token': ''}),
            ('with one cut short', {'X-CSRF-Token': api.csrf[:-1]}),
            ('with a foreign one', {'X-CSRF-Token': 'f' * 64}),
            ('from a foreign origin', {'Origin': 'http://evil.example'}),
            ('from another port', {'Origin': 'http://127.0.0.1:1'}),
            ('from nowhere', {'Origin': 'null'}),
            ('from another site', {'Sec-Fetch-Site': 'cross-site'}),
            ('from the same site, but another origin', {'Sec-Fetch-Site': 'same-site'})):
        t.eq(reason(api.post(*mutate, headers=headers)), (403, 'denied'), what)
    t.eq(api.post(*mutate, headers={'Origin': 'http://' + here, 'Sec-Fetch-Site': 'same-origin'}).status, 200,
         'from the console itself')
    for type_ in ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain; application/json'):
        t.eq(api.post(*mutate, headers={'Content-Type': type_}).status, 415, 'a body that a form can send: %s' % type_)
    t.eq(api.post(*mutate, headers={'Content-Type': 'application/json; charset=utf-8'}).status, 200, 'JSON with a charset')
    other = Api(s)
    other.sign_in('admin', gh.PASSWORD)
    t.eq(reason(api.post(*mutate, headers={'X-CSRF-Token': other.csrf})), (403, 'denied'), "another session's token")
    for headers in ({'Origin': 'http://evil.example'}, {'Sec-Fetch-Site': 'cross-site'}):
        t.eq(reason(Api(s).sign_in('admin', gh.PASSWORD, headers=headers)), (403, 'denied'), 'nobody is signed in from outside')
    t.eq(Api(s).sign_in('admin', gh.PASSWORD, headers={'Content-Type': 'text/plain'}).status, 415, 'nor by a form')
    preflight = api.request('OPTIONS', '/admin/v1/defender.clear', headers={
        'Origin': 'http://evil.example', 'Access-Control-Request-Method': 'POST'})
    t.eq([h for h, _ in preflight.headers if h.lower().startswith('access-control')], [], 'no other origin is let in')


def fixation(s):
    api = Api(s)
    planted = 'gatehouse-admin=' + 'a' * 64
    r = api.sign_in('admin', gh.PASSWORD, headers={'Cookie': planted})
    t.ok(api.cookie != planted, 'a planted cookie is not taken over')
    t.eq(reason(Api(s).get('session', headers={'Cookie': planted})), (401, 'unauth'), 'and opens nothing')
    before = api.cookie
    r = api.sign_in('admin', gh.PASSWORD)
    t.eq(r.status, 200, 'who signs in anew')
    t.ok(api.cookie != before, 'gets another cookie')
    t.eq(reason(Api(s).get('session', headers={'Cookie': before})), (401, 'unauth'), 'and the one before is dead')
    t.eq(api.get('session', headers={'Cookie': 'a=b; %s; c=d' % api.cookie}).status, 200, 'among other cookies it is found')


def ending(s):
    api = Api(s)
    api.sign_in('admin', gh.PASSWORD)
    t.eq(reason(api.request('POST', '/admin/v1/sign-out', '{}', headers={'X-CSRF-Token': None})), (403, 'denied'),
         'nobody is signed out by a forged request')
    r = api.post('sign-out')
    t.eq(r.status, 200, 'signing out')
    t.has(r.header('Set-Cookie'), 'Max-Age=0', 'takes the cookie away')
    t.eq(reason(api.get('session')), (401, 'unauth'), 'and the session')
    owner = Api(s)
    owner.sign_in('admin', gh.PASSWORD)
    owner.ok('operator.add', name='eve', role='operator', password=gh.PASSWORD)
    for change in ({'role': 'viewer'}, {'password': gh.PASSWORD + '2'}, {'disabled': True}):
        eve = Api(s)
        t.eq(eve.sign_in('eve', gh.PASSWORD).status, 200, 'eve signs in')
        owner.ok('operator.set', name='eve', **change)
        t.eq(reason(eve.get('session')), (401, 'unauth'), 'a session ends with %r' % change)
        if 'password' in change:
            owner.ok('operator.set', name='eve', password=gh.PASSWORD)
    t.eq(reason(Api(s).sign_in('eve', gh.PASSWORD)), (401, 'unauth'), 'who is disabled stays out')
    owner.ok('operator.remove', name='eve')
    t.eq(reason(Api(s).sign_in('eve', gh.PASSWORD)), (401, 'unauth'), 'and who is removed')
    t.eq(reason(owner.post('operator.remove', {'name': 'admin'})), (412, 'precondition'), 'the last owner stays')


def codes(s):
    owner = Api(s)
    owner.sign_in('admin', gh.PASSWORD)
    owner.ok('operator.add', name='carl', role='viewer', password=gh.PASSWORD)
    secret = owner.ok('operator.totp', name='carl', on=True)
    t.has(secret['uri'], 'otpauth://totp/Gatehouse:carl?secret=' + secret['secret'], 'the address for an authenticator')
    carl = Api(s)
    t.eq(reason(carl.sign_in('carl', gh.PASSWORD)), (401, 'code'), 'a code is wanted')
    t.eq(reason(carl.sign_in('carl', 'wrong')), (401, 'unauth'), 'not before the password is right')
    t.eq(reason(carl.sign_in('carl', 'wrong', totp(secret['secret']))), (401, 'unauth'), 'nor does it replace one')
    t.eq(reason(carl.sign_in('carl', gh.PASSWORD, '00000')), (401, 'code'), 'what is no code')
    code = totp(secret['secret'])
    t.eq(carl.sign_in('carl', gh.PASSWORD, code).status, 200, 'the right code signs in')
    t.eq(reason(Api(s).sign_in('carl', gh.PASSWORD, code)), (401, 'code'), 'once')
    t.eq(reason(Api(s).sign_in('carl', gh.PASSWORD, totp(secret['secret'], -1))), (401, 'code'), 'nor an older one')
    t.eq(reason(Api(s).sign_in('carl', gh.PASSWORD, totp(secret['secret'], 9))), (401, 'code'), 'nor one of the future')
    t.eq(Api(s).sign_in('carl', gh.PASSWORD, totp(secret['secret'], 1)).status, 200, 'a clock may be a little ahead')
    t.hasnt(json.dumps(owner.ok('operator.list')), secret['secret'], 'the secret is not shown again')
    owner.ok('operator.totp', name='carl', on=False)
    t.eq(reason(carl.get('session')), (401, 'unauth'), 'a changed second factor signs out')
    t.eq(Api(s).sign_in('carl', gh.PASSWORD).status, 200, 'without codes the password is enough')
    owner.ok('operator.remove', name='carl')


def guessing(s):
    owner = Api(s)
    owner.sign_in('admin', gh.PASSWORD)
    for name in ('mallory', 'trent'):
        owner.ok('operator.add', name=name, role='viewer', password=gh.PASSWORD)
    for name in ('mallory', 'nobody-at-all'):
        answers = [Api(s).sign_in(name, 'guess %d' % i) for i in range(14)]
        refused = [r for r in answers if r.status == 429]
        t.ok(refused, 'guessing %s is stopped' % name)
        t.ok(all(reason(r) == (401, 'unauth') for r in answers if r not in refused), 'until then it is just wrong')
        t.ok(all(1 <= int(r.header('Retry-After', '0')) <= 3600 for r in refused), 'and is told when to come again')
        t.eq(reason(refused[-1]), (429, 'throttled'), 'in words that programs know')
    t.eq(reason(Api(s).sign_in('mallory', gh.PASSWORD)), (429, 'throttled'), 'even the right password waits then')
    t.eq(Api(s).sign_in('trent', gh.PASSWORD).status, 200, 'nobody else does')
    t.eq(owner.get('session').status, 200, 'and who is signed in stays so')
    for name in ('mallory', 'trent'):
        owner.ok('operator.remove', name=name)


def equal_time(s):
    """An unknown name costs as much as a known one: the better half of each, since machines are shared."""
    def cost(name):
        begun = time.monotonic()
        Api(s).sign_in(name, 'wrong')
        return time.monotonic() - begun

    owner = Api(s)
    owner.sign_in('admin', gh.PASSWORD)
    owner.ok('operator.add', name='known', role='viewer', password=gh.PASSWORD)
    known, unknown = (sum(sorted(cost(name) for _ in range(6))[:3]) for name in ('known', 'unknown'))
    t.ok(0.4 < known / unknown < 2.5, 'nobody learns by the clock who is an operator', '%.3f %.3f' % (known, unknown))
    owner.ok('operator.remove', name='known')


# ---- hosts, bad input ----

def hosts(s, tokens):
    api = Api(s)
    api.sign_in('admin', gh.PASSWORD)
    for host, good in (('127.0.0.1', True), ('localhost:81', True), ('[::1]:81', True), ('192.0.2.7', True),
                       ('gate.example.org', True), ('GATE.example.org:444', True), ('evil.example', False),
                       ('gate.example.org.evil.example', False), ('localhost.evil.example', False)):
        r = api.get('session', headers={'Host': host})
        t.eq(r.status, 200 if good else 403, 'the console by the name %s' % host)
        if not good:
            t.eq(reason(Api(s).sign_in('admin', gh.PASSWORD, headers={'Host': host})), (403, 'denied'), 'no sign-in by %s' % host)
            t.eq(Api(s, tokens['viewer']).get('status', headers={'Host': host}).status, 200, 'a token comes by any name')
    t.eq(api.request('GET', '/healthz', headers={'Host': 'pod-7.cluster'}).status, 200, 'and so do probes')


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

class Stream:
    def __init__(self, api):
        self.c = http.client.HTTPConnection(api.host, api.port, timeout=10 * gh.SLOW)
        headers = {'Authorization': 'Bearer ' + api.token} if api.token else {'Cookie': api.cookie or ''}
        self.c.request('GET', '/admin/v1/live', headers=headers)
        self.r = self.c.getresponse()

    def events(self):
        name = None
        for line in self.r:
            line = line.decode().rstrip('\n')
            if line.startswith('event: '):
                name = line[7:]
            elif line.startswith('data: '):
                yield name, json.loads(line[6:])

    def wait(self, name, most=30):
        for n, (got, data) in enumerate(self.events()):
            if got == name:
                return data
            if n > most:
                return None
        return None

    def close(self):
        self.r.close()
        self.c.close()


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


# ---- the console's files ----

def console_files(s):
    api = Api(s)
    index = api.request('GET', '/')
    t.eq((index.status, index.header('Content-Type')), (200, 'text/html; charset=utf-8'), 'the console')
    t.hasnt(re.sub(r'<script[^>]*src=[^>]*></script>', '', index.text), '<script', 'has no script of its own in the page')
    t.hasnt(index.text, 'style=', 'nor styles')
    paths = ['/'] + ['/' + p for p in re.findall(r'(?:href|src)="([^"#]+)"', index.text)]
    for path in paths:
        r = api.request('GET', path)
        policy = r.header('Content-Security-Policy', '')
        t.eq(r.status, 200, '%s is there' % path)
        for part in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            t.has(policy, part, '%s: policy' % path)
        t.hasnt(policy, 'unsafe', '%s: nothing unsafe' % path)
        t.eq(r.header('X-Content-Type-Options'), 'nosniff', '%s: its type is its type' % path)
        t.eq(r.header('X-Frame-Options'), 'DENY', '%s: in nobody\'s frame' % path)
        t.eq(r.header('Referrer-Policy'), 'no-referrer', '%s: tells nobody' % path)
        t.eq(r.header('Cache-Control'), 'no-cache', '%s: asked about again' % path)
        again = api.request('GET', path, headers={'If-None-Match': r.header('ETag')})
        t.eq((again.status, again.body), (304, b''), '%s: not sent twice' % path)
        t.eq(again.header('Content-Security-Policy'), policy, '%s: with its policy even so' % path)
        head = api.request('HEAD', path)
        t.eq((head.status, head.body, head.header('Content-Length')), (200, b'', str(len(r.body))), 'HEAD %s' % path)
    for path in ('/console/', '/console/../console/app.mjs', '/console/app.mjs/', '/console/nothing.mjs', '/index.html', '/%2e%2e/etc/passwd'):
        t.eq(api.request('GET', path).status, 404, '%s is not' % path)
    t.eq(api.request('POST', '/', '{}').status, 405, 'nothing is posted there')
    problem = api.get('status')
    t.has(problem.header('Content-Security-Policy'), "frame-ancestors 'none'", 'answers of the API are in nobody\'s frame')
    t.eq(problem.header('Cache-Control'), 'no-store', 'and kept by nobody')


# ---- while everything is full ----

class Flood:
    """Every door for users, as full as it gets: connections to the limit, logins and uploads without end."""

    def __init__(self, s):
        self.s, self.stop, self.threads, self.held = s, False, [], []
        self.fill()
        for work in [self.logins] * 6 + [self.uploads] * 6:
            self.threads.append(threading.Thread(target=work, daemon=True))
            self.threads[-1].start()

    def fill(self):
        """Until nobody is let in any more."""
        for door in ('http', 'ftp'):
            for _ in range(200):
                c = socket.create_connection(self.s.address(door), timeout=5)
                self.held.append(c)
            self.held[-1].settimeout(0.5 * gh.SLOW)
            try:
                refused = self.held[-1].recv(100) == b''
            except (TimeoutError, socket.timeout):
                refused = False
            except ConnectionResetError:
                refused = True
            t.ok(refused, 'nobody gets in at %s any more' % door)

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
limits: { total: 120, per_address: 100 }
workers: { threads: 2, queue: 16 }
logins: { threads: 1, queue: 4 }
'''


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
                t.ok(min(seconds for _, seconds in tries) < 1 * gh.SLOW, '%s comes within a second' % what, tries)
        finally:
            flood.end()


def idle_strangers(s, tokens):
    """Who only opens connections, or sends a byte now and then, holds nothing that others need."""
    held = [socket.create_connection(s.address('admin')) for _ in range(300)]
    for c in held[::2]:
        try:
            c.sendall(b'GET / HTTP/1.1\r\nHost')
        except OSError:
            pass
    status, seconds = took(lambda: Api(s, tokens['owner']).get('status'))
    t.ok(status == 200 and seconds < 3 * gh.SLOW, 'the API answers past 300 idle strangers', (status, seconds))
    end, open_ = time.monotonic() + 12 * gh.SLOW, held
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
    t.eq(len(open_), 0, 'and each is gone after a few seconds')
    for c in held:
        c.close()


def main():
    with gh.Server(config='admin: { host_names: "other.example, gate.example.org" }\n') as s:
        tokens = {role: token_for(s, role) for role in ROLES}
        roles(s, tokens)
        description(s, tokens)
        changes(s, tokens)
        tokens_end(s, tokens)
        signing_in(s)
        forgery(s)
        fixation(s)
        ending(s)
        codes(s)
        equal_time(s)
        hosts(s, tokens)
        bad_input(s, tokens)
        lost_connection(s, tokens)
        events(s, tokens)
        console_files(s)
        idle_strangers(s, tokens)
        guessing(s)
        s.restart()
        t.eq(Api(s, tokens['owner']).get('status').status, 200, 'tokens outlive a restart')
        t.eq(Api(s).sign_in('admin', gh.PASSWORD).status, 200, 'and so do operators')
    answers_while_full()
    sys.exit(t.done())


main()
