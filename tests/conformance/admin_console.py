#!/usr/bin/python3
# suite: default
# sanitizers: asan
"""The admin API as the console uses it: signing in with and without one-time codes, cookies, forged requests, foreign
origins and host names, planted sessions, guessing, what ends a session; and the console's files. The pages themselves, in a
browser: console.sh, console_gateway.py."""
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gh  # noqa: E402
from adminlib import Api, reason, t, token_for, totp  # noqa: E402


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
    elsewhere = Api(s)
    elsewhere.sign_in('admin', gh.PASSWORD)
    secret = owner.ok('operator.totp', name='admin', on=True)['secret']
    t.eq(owner.get('session').status, 200, 'who turns on codes for itself goes on')
    t.eq(reason(elsewhere.get('session')), (401, 'unauth'), 'but nowhere else')
    t.eq(Api(s).sign_in('admin', gh.PASSWORD, totp(secret)).status, 200, 'and signs in with one from then on')
    owner.ok('operator.totp', name='admin', on=False)


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
    counted = dict(re.findall(r'gatehouse_admin_sign_ins_total\{result="(\w+)"\} (\d+)', owner.request('GET', '/metrics').text))
    t.ok(int(counted['wrong']) >= 10 and int(counted['throttled']) >= 2 and int(counted['done']) >= 2, 'and all of it is counted',
         counted)
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


def roles(s):
    """Who is signed in may what its role may; a promotion takes a new sign-in."""
    owner = Api(s)
    owner.sign_in('admin', gh.PASSWORD)
    calls = (('viewer', 'switch.list', {}), ('operator', 'switch.set', {'tenant': 'acme', 'mode': 'off', 'dry_run': True}),
             ('owner', 'group.add', {'tenant': 'acme', 'group': 'made-by-owner'}))
    for n, role in enumerate(('viewer', 'operator', 'owner')):
        owner.ok('operator.add', name='r-' + role, role=role, password=gh.PASSWORD)
        api = Api(s)
        t.eq(api.sign_in('r-' + role, gh.PASSWORD).json['role'], role, 'the session tells the role')
        for needs, op, args in calls:
            r = api.post(op, args)
            t.eq(r.status, 200 if calls.index((needs, op, args)) <= n else 403, '%s as %s' % (op, role))
            if r.status == 403:
                t.has(r.json['detail'], needs, 'the refusal names the role that it takes')
    events = owner.ok('events.list', tenant='acme', limit=1000)['items']
    t.ok('r-owner' in [e['user'] for e in events if e['what'] == 'group.add'], 'the event names who did it')
    for role in ('viewer', 'operator', 'owner'):
        owner.ok('operator.remove', name='r-' + role)


def way_back(s):
    """Whoever may use the admin socket gets in again."""
    s.cli('operator', 'add', 'lost', '--role', 'viewer', '--password-stdin', stdin='forgotten\n')
    s.cli('operator', 'codes', 'lost', 'on')
    s.cli('operator', 'set', 'lost', '--password-stdin', '--role', 'operator', stdin=gh.PASSWORD + '\n')
    s.cli('operator', 'codes', 'lost', 'off')
    r = Api(s).sign_in('lost', gh.PASSWORD)
    t.eq((r.status, r.json.get('role')), (200, 'operator'), 'a lost password and a lost phone')
    listed = {o['name']: o for o in s.cli_json('operator', 'list')['items']}
    t.eq((listed['lost']['role'], listed['lost']['totp']), ('operator', False), 'the list shows what it is now')
    s.cli('operator', 'remove', 'lost')
    t.eq(s.run('operator', 'remove', 'admin')[0], 1, 'not even here the last owner goes')
    t.eq(s.run('operator', 'add', 'x', '--role', 'king')[0], 1, 'nor is there another role')


def main():
    with gh.Server(config='admin: { host_names: "other.example, gate.example.org" }\n') as s:
        s.tenant('acme')
        tokens = {'viewer': token_for(s, 'viewer')}
        signing_in(s)
        forgery(s)
        fixation(s)
        ending(s)
        codes(s)
        roles(s)
        way_back(s)
        equal_time(s)
        hosts(s, tokens)
        console_files(s)
        guessing(s)
        s.restart()
        t.eq(Api(s).sign_in('admin', gh.PASSWORD).status, 200, 'operators outlive a restart')
    sys.exit(t.done())


main()
