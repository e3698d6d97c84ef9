// One tenant: what it does, its share of the machine, its limits and what is used of them, its names.
import { html, useMemo, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { live, stretch } from '../live.mjs';
import { may, toast, useStore } from '../store.mjs';
import { items, useOp } from '../use.mjs';
import { Answer, Meter, Page, Section, Status, Table, Unavailable, ask, attempt } from '../ui.mjs';
import { Field, Form, number, size, words } from '../form.mjs';
import { TenantCharts } from './overview.mjs';

export function Tenant({ name }) {
	const tenants = useOp('tenant.list', {}, { on: 'tenant' });
	const tenant = items(tenants).find((t) => t.tenant === name);
	const { samples, at } = useStore(live);
	const shown = useMemo(() => stretch(samples, 900), [at]);
	const key = encodeURIComponent(name);
	if (tenants.data && !tenant)
		return html`<${Page} title=${name}><p class="note warn">There is no tenant of this name. <a
			href="#/tenants">All tenants</a></p><//>`;
	return html`<${Page} title=${name} lead=${tenant && html`<${Status} kind=${tenant.disabled ? 'off' : 'ok'}>
		${tenant.disabled ? 'Disabled' : 'Open'}<//>
		${' · '}${format.plural(tenant.files, 'file')}, ${format.bytes(tenant.bytes)}`}
		actions=${html`<a class="button" href="#/sessions?tenant=${key}">Sessions</a><a class="button"
			href="#/people?tenant=${key}">Users</a>
			<a class="button" href="#/rights?tenant=${key}">Rights</a><a class="button"
				href="#/switchboard?tenant=${key}">Set a rule</a>`}>
		${
			samples.length > 0 &&
			html`<${Section} title="The last quarter of an hour">
			<${TenantCharts} samples=${shown} times=${shown.map((s) => s.t)} names=${[name]} />
		<//>`
		}
		<${Share} name=${name} />
		<${Usage} name=${name} />
		<${Limits} name=${name} />
		${tenant && may('tenant.set') && html`<${Names} tenant=${tenant} reload=${tenants.reload} />`}
	<//>`;
}

const text = (n) => (n === undefined || n === null || n === 0 ? '' : String(n));

// ---- share ----

function Share({ name }) {
	const shares = useOp('share.list', {}, { on: 'share', every: 3 });
	const pools = useOp('pool.list');
	const s = items(shares).find((row) => row.tenant === name) || {};
	const total = items(shares).reduce((sum, row) => sum + (row.weight || 0), 0);
	async function submit(v) {
		await call('share.set', {
			tenant: name,
			weight: number(v.weight, 'Weight'),
			cap: capOf(v.cap),
			pool: v.pool === s.pool ? undefined : v.pool || null,
		});
		toast(`The share of ${name} is changed.`);
		shares.reload();
	}
	return html`<${Section} title="Fair share" lead="Alone, a tenant gets the whole machine. In company it gets its weight's part, and is the one refused when it wants more.">
		<${Answer} of=${shares} what="fair shares">
			<dl class="facts">
				${fact('Share now', s.share === undefined ? '–' : html`<span class="with-meter">
					<${Meter} part=${s.share} label="Share now" /> ${format.percent(s.share)}
					</span>`)}
				${fact('When all want theirs', total && s.weight ? format.percent(s.weight / total) : '–')}
				${fact('Running, waiting', `${format.count(s.running)}, ${format.count(s.waiting)}`)}
				${fact('Wait p99', format.ms(s.wait_p99_ms))}
				${fact('Shed', format.count(s.shed))}
				${fact('Moves', format.rate(s.bytes_s))}
			</dl>
			${
				may('share.set') &&
				shares.data &&
				html`<${Form} key=${`${s.weight} ${s.cap} ${s.pool}`} name="Fair share" submit=${submit}
					action="Store share">
				<${Field} label="Weight" name="weight" inputmode="numeric" value=${text(s.weight)}
					help="100 is usual; 200 gets twice as much as 100." />
				<${Field} label="Cap" name="cap" inputmode="numeric" value=${text(s.cap)}
					help="Never more than this, even alone. Empty: no cap." />
				<${Field} label="Pool" name="pool" value=${s.pool || ''}
					options=${[{ value: '', label: 'shares with all' }, ...items(pools).map((p) => ({ value: p.name, label: p.name }))]} />
			<//>`
			}
		<//>
	<//>`;
}

const capOf = (v) => (v === '' ? 0 : number(v, 'Cap'));
const fact = (k, v) => html`<div><dt>${k}</dt><dd>${v}</dd></div>`;

// ---- limits ----

const KINDS = [
	['bytes', 'Bytes stored', size, format.bytes],
	['files', 'Files', number, format.count],
	['sessions', 'Sessions', number, format.count],
	['transfers', 'Transfers at once', number, format.count],
	['requests_s', 'Requests per second', number, format.count],
	['bytes_s', 'Bytes per second', size, format.rate],
	['month_bytes', 'Transfer per month', size, format.bytes],
];

// The gateway may give a figure alone or {used, limit}; both are understood.
function figures(row, key) {
	const used = row.used || {};
	const limit = row.limit || row.limits || {};
	const leased = row.leased || {};
	const of = (o) => (o !== null && typeof o === 'object' ? o[key] : key === 'bytes' ? o : undefined);
	return { used: of(used), limit: of(limit), leased: of(leased) };
}

function Usage({ name }) {
	const quota = useOp('quota.list', { tenant: name }, { on: 'limit', every: 10 });
	const rows = items(quota).flatMap((row) =>
		KINDS.map(([key, label, , show]) => ({
			who: row.user || '',
			key,
			label,
			show,
			...figures(row, key),
		})).filter((r) => r.used !== undefined && r.used !== null && (r.limit || !row.user)),
	);
	const columns = [
		{ label: 'Whose', value: (r) => r.who, cell: (r) => r.who || html`<b>the tenant</b>` },
		{ label: 'What', value: (r) => r.label },
		{ label: 'Used', num: true, value: (r) => r.used, cell: (r) => r.show(r.used) },
		{
			label: 'Limit',
			num: true,
			value: (r) => r.limit || 0,
			cell: (r) => (r.limit ? r.show(r.limit) : 'none'),
		},
		{
			label: 'Full',
			num: true,
			value: (r) => (r.limit ? r.used / r.limit : 0),
			cell: (r) =>
				r.limit
					? html`<span class="with-meter">
			<${Meter} part=${r.used / r.limit}
				kind=${r.used / r.limit > 0.95 ? 'bad' : r.used / r.limit > 0.8 ? 'warn' : ''}
				label="${r.label}, part used" />
			<span>${format.percent(r.used / r.limit)}</span></span>`
					: '–',
		},
	];
	return html`<${Section} title="Used"><${Answer} of=${quota} what="quotas">
		<${Table} name="Used" columns=${columns} rows=${rows} rowKey=${(r) => r.who + r.key}
			empty="Nothing is counted yet." />
	<//><//>`;
}

function Limits({ name }) {
	const limits = useOp('limit.list', { tenant: name }, { on: 'limit' });
	const [user, setUser] = useState('');
	const row = items(limits).find((r) => (r.user || '') === user) || {};
	const value = (key) => (row.limits && typeof row.limits === 'object' ? row.limits[key] : row[key]);
	async function submit(v) {
		const change = { tenant: name, user: user || undefined };
		for (const [key, label, parse] of KINDS) {
			const typed = parse(v[key], label);
			if (typed === undefined && value(key)) change[key] = null;
			else if (typed !== undefined && typed !== value(key)) change[key] = typed;
		}
		await call('limit.set', change);
		toast(`The limits of ${user ? `${name}/${user}` : name} are stored.`);
		limits.reload();
	}
	const users = items(limits)
		.map((r) => r.user)
		.filter(Boolean);
	return html`<${Section} title="Limits" lead="Empty means no limit. A limit that is reached is never passed; each protocol says so in its own words.">
		${
			limits.missing
				? html`<${Unavailable} what="limits" />`
				: html`<${Answer} of=${limits} what="limits">
			<${Form} inline name="Whose limits" action="Show" submit=${(v) => setUser(v.user)}>
				<${Field} label="User" name="user" value=${user} list="limit-users"
					placeholder="the tenant as a whole" />
				<datalist id="limit-users">${users.map((u) => html`<option value=${u} />`)}</datalist>
			<//>
			<h3>${user ? `For ${name}/${user}` : 'For the tenant'}</h3>
			${
				!may('limit.set')
					? html`<dl class="facts">
				${KINDS.map(([key, label, , show]) => fact(label, value(key) ? show(value(key)) : 'no limit'))}
			</dl>`
					: html`<${Form} key=${user + JSON.stringify(row)} name="Limits" submit=${submit}
				action="Store limits">
				${KINDS.map(
					([
						key,
						label,
						parse,
					]) => html`<${Field} key=${key} label=${label} name=${key}
						inputmode=${parse === number ? 'numeric' : 'text'}
					value=${parse === size ? exact(value(key)) : text(value(key))}
						placeholder="no limit" />`,
				)}
			<//>`
			}
		<//>`
		}
	<//>`;
}

// A size that can be typed back without loss.
function exact(n) {
	if (!n) return '';
	for (const [unit, factor] of [
		['TiB', 1024 ** 4],
		['GiB', 1024 ** 3],
		['MiB', 1024 ** 2],
		['KiB', 1024],
	]) {
		if (n % factor === 0) return `${n / factor} ${unit}`;
	}
	return String(n);
}

// ---- names ----

function Names({ tenant, reload }) {
	async function submit(v) {
		await call('tenant.set', { name: tenant.tenant, hosts: words(v.hosts) });
		toast(`The host names of ${tenant.tenant} are stored.`);
		reload();
	}
	async function able() {
		const yes =
			tenant.disabled ||
			(await ask({
				title: `Disable ${tenant.tenant}?`,
				body: html`<p>Nobody of <b>${tenant.tenant}
					</b> can sign in any more, until you enable it. The files stay. For a while, with a message to
				users, the Switchboard does it better.</p>`,
				action: 'Disable tenant',
				danger: true,
			}));
		if (yes)
			await attempt(
				() => call('tenant.set', { name: tenant.tenant, disabled: !tenant.disabled }),
				`${tenant.tenant} is ${tenant.disabled ? 'enabled' : 'disabled'}.`,
			);
		reload();
	}
	return html`<${Section} title="Names and access">
		<${Form} key=${String(tenant.hosts)} name="Host names" submit=${submit} action="Store names">
			<${Field} label="Host names" name="hosts" value=${(tenant.hosts || []).join(' ')}
				help="That lead to this tenant, with spaces between." />
		<//>
		<p><button type="button" class=${tenant.disabled ? '' : 'danger'} onClick=${able}>
			${tenant.disabled ? 'Enable' : 'Disable'} ${tenant.tenant}</button></p>
	<//>`;
}
