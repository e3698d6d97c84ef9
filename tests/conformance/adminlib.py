"""Whoever talks to the admin listener, for the tests of it (admin_api.py, admin_console.py): the API with a token, with a
cookie, or as nobody; the event stream; one-time codes as an authenticator makes them."""
import base64
import hashlib
import hmac
import http.client
import json
import socket
import struct
import time

import gh

t = gh.Checks()
ROLES = ('viewer', 'operator', 'owner')


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


class Stream:
    def __init__(self, api):
        self.c = http.client.HTTPConnection(api.host, api.port, timeout=10 * gh.SLOW)
        headers = {'Authorization': 'Bearer ' + api.token} if api.token else {'Cookie': api.cookie or ''}
        self.c.request('GET', '/admin/v1/live', headers=headers)
        self.socket = self.c.sock
        self.r = self.c.getresponse()

    def events(self):
        name = None
        for line in self.lines():
            line = line.decode().rstrip('\n')
            if line.startswith('event: '):
                name = line[7:]
            elif line.startswith('data: '):
                yield name, json.loads(line[6:])

    def lines(self):
        try:
            for line in self.r:  # "yield from" would close it with this generator
                yield line
        except (OSError, http.client.HTTPException):
            pass

    def wait(self, name, most=30):
        for n, (got, data) in enumerate(self.events()):
            if got == name:
                return data
            if n > most:
                return None
        return None

    def swallow(self):
        """Reads all that comes, until the end."""
        while self.socket.recv(1 << 20):
            pass

    def shut(self):
        """From another thread than the one that reads."""
        self.socket.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.r.close()
        self.c.close()
