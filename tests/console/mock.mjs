// A gateway that is none: speaks the admin API from memory, so that states that a real one seldom has can be looked at
// (operations that are missing, services that fail, hostile names, a stream that breaks).
//   node mock.mjs VENDOR-FOLDER [PORT]      prints {"port": N}; signs in anybody whose password is "secret"
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const console_ = path.join(here, '../../frontends/admin/console');
const vendor = process.argv[2];
const CSP =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const TYPES = {
	'.html': 'text/html',
	'.mjs': 'text/javascript',
	'.css': 'text/css',
	'.svg': 'image/svg+xml',
	'.txt': 'text/plain',
};
const HOSTILE = '<img src=x onerror=alert(1)>"\'&amp;';

const now = () => Math.floor(Date.now() / 1000);
const iso = (s) => new Date(s * 1000).toISOString();
const id = (s) =>
	String(
		((BigInt(Math.round(s * 1000)) - BigInt(Date.UTC(2020, 0, 1))) << 21n) +
			BigInt(Math.floor(Math.random() * 2000)),
	);

const state = {
	missing: new Set((process.env.MOCK_MISSING || '').split(',').filter(Boolean)),
	rules: [
		{
			id: '41',
			protocols: ['webdav'],
			classes: ['write'],
			tenant: 'initech',
			mode: 'read-only',
			message: 'Moving house, back at six.',
			expires: iso(now() + 5000),
			who: 'ada',
			why: 'storage move',
			made: iso(now() - 1200),
		},
	],
	streams: new Set(),
};
const TENANTS = ['acme', 'globex', 'initech', 'umbrella-research', HOSTILE];

const FLAGS = [
	{
		key: 'webdav.propfind-stream',
		type: 'bool',
		value: true,
		fallback: true,
		min: false,
		max: true,
		help: 'Answer PROPFIND while it is still being read.',
		rules: [{ id: '77', protocols: [], classes: [], value: false, tenant: 'acme', percent: 100 }],
	},
	{
		key: 'ftp.idle-seconds',
		type: 'number',
		value: 300,
		fallback: 300,
		min: 10,
		max: 3600,
		help: 'How long an FTP session may be idle.',
		rules: [],
	},
];

function sample(t) {
	const wave = (period, low, high) =>
		low + (high - low) * (0.5 + 0.5 * Math.sin(t / period)) + Math.random() * (high - low) * 0.15;
	const door = (n, ms) => ({
		requests: wave(97 * n, 20, 400 / n),
		refused: t % 300 < 20 ? wave(3, 1, 9) : 0,
		errors: 0,
		p50_ms: wave(61, ms, 2 * ms),
		p95_ms: wave(53, 3 * ms, 8 * ms),
		p99_ms: wave(41, 9 * ms, 22 * ms),
		in_bytes: wave(71, 2e5, 4e6),
		out_bytes: wave(113, 1e6, 3e7) / n,
		connections: Math.round(wave(200, 10, 90) / n),
	});
	return {
		t,
		doors: { webdav: door(1, 0.6), ftp: door(3, 1.1), rest: door(2, 0.4), web: door(5, 0.5) },
		shed: t % 600 < 60 ? wave(5, 2, 30) : 0,
		queue: { waiting: Math.round(wave(37, 0, 30)), oldest_ms: wave(29, 0, 80) },
		breakers_open: 1,
		tenants: TENANTS.map((tenant, i) => ({
			tenant,
			requests: wave(31 * (i + 1), 1, 200 / (i + 1)),
			bytes: wave(59, 1e4, 9e6 / (i + 1)),
			wait_ms: wave(23, 0, 12 * (i + 1)),
			shed: i ? 0 : 2,
			share: 0.4 / (i + 1),
		})),
		cpu: { loop_busy: 0.41 },
	};
}

const ops = {
	'live.now': () => sample(now()),
	'live.history': ({ seconds = 3600 }) => ({
		items: Array.from({ length: Math.floor(seconds / 4) }, (_, i) => sample(now() - seconds + i * 4)),
	}),
	'switch.list': () => ({ items: state.rules }),
	'switch.set': (a) => {
		if (!a.protocols && !a.classes && !a.tenant && !a.host && !a.everywhere)
			throw [
				400,
				'invalid',
				'the rule names nothing: it would hit everybody; say "everywhere" if that is meant',
			];
		const hit = { sessions: 41, uploads: 3, downloads: 12 };
		if (a.dry_run) return { hit };
		const rule = {
			...a,
			id: id(now()),
			expires: a.for_s ? iso(now() + a.for_s) : null,
			who: 'ada',
			made: iso(now()),
		};
		state.rules.push(rule);
		tell('switch');
		return { id: rule.id, hit, live_after: 0, took_ms: 812 };
	},
	'switch.clear': (a) => {
		state.rules = state.rules.filter((r) => r.id !== a.id);
		tell('switch');
		return {};
	},
	'flag.list': () => ({ items: FLAGS.map((f) => ({ ...f, rules: f.rules.length })) }),
	'flag.describe': ({ key }) => FLAGS.find((f) => f.key === key),
	'flag.set': () => ({}),
	'flag.clear': () => ({}),
	'breaker.list': () => ({
		items: [
			{ service: 'metadata', state: 'closed', calls: 91234, failed: 3, slow: 12, openings: 0 },
			{ service: 'blob:local', state: 'half-open', calls: 4120, failed: 840, slow: 33, openings: 4 },
			{
				service: 'blob:local',
				tenant: 'acme',
				state: 'open',
				forced: true,
				calls: 120,
				failed: 118,
				slow: 0,
				openings: 1,
				until: iso(now() + 14),
			},
		],
	}),
	'breaker.open': () => ({}),
	'breaker.reset': () => ({}),
	'share.list': () => ({
		items: TENANTS.map((tenant, i) => ({
			tenant,
			weight: 100 * (i + 1),
			cap: i === 1 ? 20 : 0,
			pool: i === 3 ? 'research' : '',
			share: 0.4 / (i + 1),
			waiting: i * 3,
			running: 4 - i,
			shed: i ? 0 : 17,
			wait_p99_ms: 12.4 * i,
			bytes_s: 1e6 * i,
		})),
	}),
	'share.set': () => ({}),
	'pool.list': () => ({ items: [{ name: 'research', slots: 4, queue: 64 }] }),
	'pool.set': () => ({}),
	'pool.remove': () => ({}),
	'limit.list': () => ({
		items: [
			{ tenant: 'acme', bytes: 2 ** 40, files: 1000000, sessions: 200 },
			{ tenant: 'acme', user: 'ann', bytes: 2 ** 34 },
		],
	}),
	'limit.set': () => ({}),
	'quota.list': () => ({
		items: [
			{
				tenant: 'acme',
				used: { bytes: 0.83 * 2 ** 40, files: 120034, sessions: 12 },
				limit: { bytes: 2 ** 40, files: 1000000, sessions: 200 },
			},
			{ tenant: 'acme', user: 'ann', used: { bytes: 0.97 * 2 ** 34 }, limit: { bytes: 2 ** 34 } },
		],
	}),
	'session.list': () => ({
		items: [
			{
				id: '1',
				proto: 'ftp',
				tenant: 'acme',
				user: 'ann',
				peer: '192.0.2.17',
				since: iso(now() - 400),
				doing: 'write',
				path: '/video/raw/2026-11/interview with the mayor, take 3.mov',
				bytes_in: 7e8,
				bytes_out: 1200,
				transfer: {
					path: '/video/raw/2026-11/interview with the mayor, take 3.mov',
					direction: 'up',
					bytes: 7e8,
					size: 2.4e9,
				},
			},
			{
				id: '2',
				proto: 'webdav',
				tenant: 'globex',
				user: HOSTILE,
				peer: '2001:db8::1:2',
				since: iso(now() - 90),
				doing: 'read',
				path: '/backup.tar',
				bytes_in: 900,
				bytes_out: 3e9,
				transfer: { path: '/backup.tar', direction: 'down', bytes: 3e9, size: 3.1e9 },
			},
			{
				id: '3',
				proto: 'rest',
				tenant: 'acme',
				user: 'bob',
				peer: '192.0.2.9',
				since: iso(now() - 9),
				doing: 'idle',
				bytes_in: 100,
				bytes_out: 90,
			},
		],
	}),
	'session.kill': () => ({ killed: 1 }),
	'upload.list': () => ({
		items: [
			{
				id: '9',
				tenant: 'acme',
				user: 'cleo',
				path: '/in/scan.pdf',
				proto: 'web',
				received: 120000,
				since: iso(now() - 3),
			},
		],
	}),
	'locks.list': () => ({
		items: [
			{
				tenant: 'acme',
				path: '/plans/q4.ods',
				user: 'ann',
				scope: 'exclusive',
				deep: false,
				remaining_s: 540,
				token: 'urn:uuid:1',
			},
		],
	}),
	'locks.break': () => ({}),
	'tenant.list': () => ({
		items: TENANTS.map((tenant, i) => ({
			tenant,
			id: String(i + 1),
			hosts: i ? [] : ['files.acme.example'],
			disabled: i === 2,
			case_sensitive: false,
			files: 12034 * i,
			bytes: 9e9 * (i + 1),
		})),
	}),
	'tenant.add': ({ name }) => {
		if (TENANTS.includes(name)) throw [409, 'exists', `there is a tenant ${name} already`];
		return {};
	},
	'tenant.set': () => ({}),
	'user.list': () => ({
		items: [
			{
				user: 'ann',
				id: '1',
				owner: true,
				disabled: false,
				password: true,
				groups: ['staff', 'editors'],
			},
			{ user: 'bob', id: '2', owner: false, disabled: true, password: true, groups: [] },
			{ user: HOSTILE, id: '3', owner: false, disabled: false, password: false, groups: ['staff'] },
		],
	}),
	'user.add': () => ({}),
	'user.set': () => ({}),
	'user.passwd': () => ({}),
	'user.remove': () => ({}),
	'group.list': () => ({
		items: [
			{ group: 'staff', id: '5', members: ['ann', HOSTILE] },
			{ group: 'editors', id: '6', members: ['ann'] },
		],
	}),
	'group.add': () => ({}),
	'group.join': () => ({}),
	'group.leave': () => ({}),
	'group.remove': () => ({}),
	'token.list': () => ({
		items: [
			{
				name: 'phone',
				id: '3',
				scope: ['webdav'],
				made: iso(now() - 9e5),
				expires: iso(now() + 9e5),
			},
		],
	}),
	'token.add': () => ({ password: 'ghp-6tz4-qmv9-x2kd' }),
	'token.revoke': () => ({}),
	'acl.list': () => ({
		items: [
			{ path: '/', effect: 'allow', who: 'group:staff', rights: 'list,read' },
			{ path: '/plans', effect: 'inherit-off', who: 'everyone', rights: 'full' },
			{ path: '/plans', effect: 'deny', who: 'user:bob', rights: 'read,write' },
			{
				path: `/${HOSTILE}`,
				effect: 'allow',
				who: 'everyone',
				rights: 'list,read,create,write,delete',
			},
		],
	}),
	'acl.grant': () => ({}),
	'acl.deny': () => ({}),
	'acl.revoke': () => ({}),
	'acl.inherit': () => ({}),
	'acl.explain': ({ right }) =>
		right === 'delete'
			? { allowed: false, reason: 'no entry says anything about it', path: null, entry: null }
			: {
					allowed: right !== 'write',
					reason: right === 'write' ? 'an entry denies it' : 'an entry allows it',
					path: '/plans',
					entry: 'allow group:staff list,read',
				},
	'events.list': ({ after }) => ({
		items:
			after > id(now() - 5)
				? []
				: Array.from({ length: 40 }, (_, i) => ({
						id: id(now() - 400 + i * 9),
						time: iso(now() - 400 + i * 9),
						tenant: TENANTS[i % 5],
						user: i % 7 ? 'ann' : HOSTILE,
						door: i % 3 ? 'ftp' : 'webdav',
						what: ['write', 'mkdir', 'move', 'acl.grant'][i % 4],
						path: `/projects/${i}/readme.txt`,
						dest: i % 4 === 2 ? '/archive/readme.txt' : '',
						bytes: i * 1024,
						files: 1,
						request: `r-${i}af3`,
					})),
	}),
	'operator.list': () => ({
		items: [
			{ name: 'ada', role: 'owner', totp: true, disabled: false },
			{ name: 'watcher', role: 'viewer', totp: false, disabled: false },
		],
	}),
	'operator.add': () => ({}),
	'operator.set': () => ({}),
	'operator.remove': () => ({}),
	'operator.totp': ({ name }) => ({
		secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
		uri: `otpauth://totp/Gatehouse:${name}?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Gatehouse`,
	}),
	'operator.token.list': () => ({
		items: [{ id: '8', name: 'grafana', role: 'viewer', made: iso(now() - 9e5), expires: null }],
	}),
	'operator.token.add': () => ({ token: 'gho_4f9c2b8e7d6a5f4c3b2a1908' }),
	'operator.token.revoke': () => ({}),
	'defender.clear': () => ({ cleared: 1 }),
	status: () => ({
		state: 'ready',
		pid: 4711,
		tenants: 5,
		pending: 3,
		queue: { login: 0, wait: 2 },
		connections: { webdav: 31, ftp: 4 },
		requests: { webdav: 918231, ftp: 12030, rest: 551 },
		errors: { ftp: 2 },
		logins: { cached: 9000, verified: 31, failed: 4, throttled: 0 },
		node_cache_bytes: 31e6,
		blobs: { kind: 'local', free_bytes: 9e11, total_bytes: 2e12 },
	}),
	doctor: () => ({
		items: [
			{ check: 'disk', ok: true, says: '820 GiB free of 1.8 TiB' },
			{
				check: 'clock',
				ok: false,
				says: 'the clock jumped by 12 s an hour ago',
				do: 'Let one time service keep it: timedatectl set-ntp true',
			},
			{ check: 'ports', ok: true, says: 'all doors listen' },
		],
	}),
};
const MUTATES = /\.(set|clear|add|remove|passwd|revoke|join|leave|grant|deny|inherit|kill|open|reset|break|totp)$/;

function tell(what) {
	for (const s of state.streams) s.write(`event: change\ndata: {"what":"${what}"}\n\n`);
}

const problem = (res, status, reason, detail) => {
	res.writeHead(status, { 'Content-Type': 'application/problem+json' });
	res.end(JSON.stringify({ title: reason, status, detail, reason }));
};
const answer = (res, body, headers = {}) => {
	res.writeHead(200, { 'Content-Type': 'application/json', ...headers });
	res.end(JSON.stringify(body));
};

function api(req, res, op, body) {
	const who = /session=(\w+)/.exec(req.headers.cookie || '')?.[1];
	if (op === 'sign-in') {
		const a = JSON.parse(body || '{}');
		if (a.password !== 'secret')
			return problem(res, 401, 'unauth', 'log in first, or the password is wrong');
		if (a.name === 'ada' && a.code !== '123456')
			return problem(res, 401, 'code', 'a one-time code is wanted');
		return answer(
			res,
			{ name: a.name, role: a.name === 'watcher' ? 'viewer' : 'owner', csrf: 'c' },
			{ 'Set-Cookie': `session=${a.name}; HttpOnly; SameSite=Strict; Path=/` },
		);
	}
	if (!who) return problem(res, 401, 'unauth', 'log in first');
	if (op === 'session')
		return answer(res, { name: who, role: who === 'watcher' ? 'viewer' : 'owner', csrf: 'c' });
	if (op === 'sign-out') return answer(res, {}, { 'Set-Cookie': 'session=; Path=/; Max-Age=0' });
	if (op === 'openapi.json')
		return answer(res, {
			openapi: '3.1.0',
			paths: Object.fromEntries(
				Object.keys(ops)
					.filter((o) => !state.missing.has(o))
					.map((o) => [
						`/admin/v1/${o}`,
						{ post: { 'x-role': MUTATES.test(o) ? 'operator' : 'viewer' } },
					]),
			),
		});
	if (op === 'live') {
		res.writeHead(200, { 'Content-Type': 'text/event-stream' });
		state.streams.add(res);
		const timer = setInterval(
			() => res.write(`event: sample\ndata: ${JSON.stringify(sample(now()))}\n\n`),
			1000,
		);
		return res.on('close', () => {
			clearInterval(timer);
			state.streams.delete(res);
		});
	}
	if (op === 'mock.break-stream') {
		for (const s of state.streams) s.destroy();
		return answer(res, {});
	}
	if (req.method === 'POST' && req.headers['x-csrf-token'] !== 'c')
		return problem(res, 403, 'denied', 'no CSRF token');
	if (!ops[op] || state.missing.has(op)) return problem(res, 404, 'notfound', `there is no operation "${op}"`);
	try {
		return answer(res, ops[op](JSON.parse(body || '{}')));
	} catch (e) {
		return problem(res, ...e);
	}
}

const server = http.createServer((req, res) => {
	const url = new URL(req.url, 'http://mock');
	let body = '';
	req.on('data', (d) => (body += d));
	req.on('end', () => {
		if (url.pathname.startsWith('/admin/v1/')) return api(req, res, url.pathname.slice(10), body);
		const name = url.pathname === '/' ? 'index.html' : url.pathname.replace(/^\/console\//, '');
		const file = name.startsWith('vendor/') ? path.join(vendor, name.slice(7)) : path.join(console_, name);
		if (name.includes('..') || !fs.existsSync(file)) return problem(res, 404, 'notfound', name);
		res.writeHead(200, {
			'Content-Type': TYPES[path.extname(file)] || 'text/plain',
			'Content-Security-Policy': CSP,
			'X-Content-Type-Options': 'nosniff',
			'Cache-Control': 'no-cache',
		});
		res.end(fs.readFileSync(file));
	});
});
server.listen(Number(process.argv[3] || 0), '127.0.0.1', () =>
	console.log(JSON.stringify({ port: server.address().port })),
);
