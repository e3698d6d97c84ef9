// What goes on now, and went on during the last hour: per door, and per tenant.
import { html, useMemo, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { Chart } from '../chart.mjs';
import { DOORS, column, door, doorMax, doorSum, live, stretch, tenantOf } from '../live.mjs';
import { app, useStore } from '../store.mjs';
import { items, useOp } from '../use.mjs';
import { Meter, Page, Section, Status, Table, Unavailable } from '../ui.mjs';

const RANGES = [
	[300, '5 minutes'],
	[900, '15 minutes'],
	[3600, '1 hour'],
];
const DOOR_NAMES = { webdav: 'WebDAV', ftp: 'FTP', rest: 'REST', web: 'Web' };

export function Overview() {
	const { samples, at } = useStore(live);
	const ops = useStore(app, (s) => s.ops);
	const [range, setRange] = useState(900);
	const [by, setBy] = useState('door');
	const last = samples[samples.length - 1];
	const shown = useMemo(() => stretch(samples, range), [at, range]);
	return html`<${Page} title="Overview" lead="What the gateway does, second by second; the last hour is kept in its memory."
		actions=${html`<${Pick} label="Period" value=${range} set=${setRange} options=${RANGES} />
			<${Pick} label="By" value=${by} set=${setBy} options=${[
				['door', 'protocol'],
				['tenant', 'tenant'],
			]} />`}>
		<${Tiles} last=${last} />
		${
			ops && !ops.has('live.now') && !last
				? html`<${Unavailable} what="live figures" />`
				: !last
					? html`<p class="empty" aria-busy="true">Waiting for the first second …</p>`
					: by === 'door'
						? html`<${Doors} samples=${shown} />`
						: html`<${ByTenant} samples=${shown} />`
		}
		${last && html`<${Busiest} last=${last} />`}
	<//>`;
}

export function Pick({ label, value, set, options }) {
	return html`<div class="segments" role="group" aria-label=${label}>
		${options.map(([key, text]) => html`<button type="button" key=${key} aria-pressed=${key === value}
			onClick=${() => set(key)}>${text}</button>`)}
	</div>`;
}

// ---- the figures of now ----

function Tile({ label, value, more, kind, href }) {
	const inside = html`<dt>${label}</dt><dd class="value">${value}</dd><dd class="more">${kind ? html`<${Status}
		kind=${kind}>${more}<//>` : more}</dd>`;
	return html`<div class="tile">${inside}${href && html`<a class="cover" href=${href}><span class="unseen">
		${label}: more</span></a>`}</div>`;
}

function Tiles({ last }) {
	const rules = useOp('switch.list', {}, { on: 'switch', every: 30 });
	const shut = items(rules).filter((r) => r.mode !== 'on').length;
	const queue = (last && last.queue) || {};
	const errors = last ? doorSum(last, 'errors') : 0;
	const none = '–';
	return html`<dl class="tiles">
		<${Tile} label="Requests" value=${last ? `${format.count(doorSum(last, 'requests'))}/s` : none}
			more=${last ? `${format.count(doorSum(last, 'refused'))}/s refused` : ''} />
		<${Tile} label="Latency p95" value=${last ? format.ms(doorMax(last, 'p95_ms')) : none}
			more=${last ? `p99 ${format.ms(doorMax(last, 'p99_ms'))}` : ''} />
		<${Tile} label="Errors" value=${last ? `${format.count(errors)}/s` : none}
			kind=${last && (errors ? 'bad' : 'ok')} more=${errors ? 'look at Health' : 'none'}
			href="#/health" />
		<${Tile} label="Throughput" value=${last ? format.rate(doorSum(last, 'in_bytes') + doorSum(last, 'out_bytes')) : none}
			more=${last ? `in ${format.rate(doorSum(last, 'in_bytes'))}` : ''} />
		<${Tile} label="Connections" value=${last ? format.count(doorSum(last, 'connections')) : none}
			more=${last && last.cpu ? `loops ${format.percent(last.cpu.loop_busy)} busy` : ''}
				href="#/sessions" />
		<${Tile} label="Queue" value=${last ? format.count(queue.waiting || 0) : none}
			more=${last ? `oldest ${format.ms(queue.oldest_ms || 0)}` : ''} />
		<${Tile} label="Shed" value=${last ? `${format.count(last.shed || 0)}/s` : none}
			kind=${last && (last.shed ? 'warn' : 'ok')}
			more=${last && last.shed ? 'over their share' : 'nobody refused'} href="#/tenants" />
		<${Tile} label="Breakers open" value=${last ? format.count(last.breakers_open || 0) : none}
			kind=${last && (last.breakers_open ? 'bad' : 'ok')}
			more=${last && last.breakers_open ? 'a service rests' : 'all services work'}
				href="#/breakers" />
		<${Tile} label="Rules in force" value=${rules.data ? format.count(items(rules).length) : none}
			kind=${rules.data && (shut ? 'warn' : 'ok')}
			more=${shut ? `${shut} shut something` : 'every door is open'} href="#/switchboard" />
	</dl>`;
}

// ---- plots ----

function Doors({ samples }) {
	const times = samples.map((s) => s.t);
	const perDoor = (key) =>
		DOORS.map((name) => ({
			label: DOOR_NAMES[name],
			values: column(samples, (s) => door(s, name)[key] || 0),
		}));
	const worst = (key, label) => ({ label, values: column(samples, (s) => doorMax(s, key)) });
	return html`<div class="charts">
		<${Chart} title="Requests per second" times=${times} series=${perDoor('requests')} />
		<${Chart} title="Latency" hint="the slowest protocol" times=${times} show=${format.ms}
			series=${[worst('p50_ms', 'p50'), worst('p95_ms', 'p95'), worst('p99_ms', 'p99')]} />
		<${Chart} title="Throughput" times=${times} binary show=${format.rate} series=${[
			{ label: 'in', values: column(samples, (s) => doorSum(s, 'in_bytes')) },
			{ label: 'out', values: column(samples, (s) => doorSum(s, 'out_bytes')) },
		]} />
		<${Chart} title="Latency p95 per protocol" times=${times} show=${format.ms}
			series=${perDoor('p95_ms')} />
		<${Chart} title="Queue wait" hint="how long the oldest waits" times=${times} show=${format.ms}
			series=${[{ label: 'oldest', values: column(samples, (s) => (s.queue || {}).oldest_ms || 0) }]} />
		<${Chart} title="Refused per second" times=${times} series=${[
			{ label: 'shed', values: column(samples, (s) => s.shed || 0) },
			{ label: 'refused', values: column(samples, (s) => doorSum(s, 'refused')) },
			{ label: 'errors', values: column(samples, (s) => doorSum(s, 'errors')) },
		]} />
	</div>`;
}

// The tenants that did most in that time.
export function busiest(samples, most) {
	const sums = new Map();
	for (const s of samples) {
		for (const t of s.tenants || [])
			sums.set(t.tenant, (sums.get(t.tenant) || 0) + (t.requests || 0) + (t.bytes || 0) / 65536);
	}
	return [...sums]
		.sort((a, b) => b[1] - a[1])
		.slice(0, most)
		.map(([name]) => name)
		.sort();
}

function ByTenant({ samples }) {
	const times = samples.map((s) => s.t);
	const names = busiest(samples, 6);
	if (!names.length) return html`<p class="empty">No tenant did anything in this time.</p>`;
	return html`<${TenantCharts} samples=${samples} times=${times} names=${names} />`;
}

export function TenantCharts({ samples, times, names }) {
	const per = (key) =>
		names.map((name) => ({
			label: name,
			values: column(samples, (s) => (tenantOf(s, name) || {})[key] || 0),
		}));
	return html`<div class="charts">
		<${Chart} title="Requests per second" times=${times} series=${per('requests')} />
		<${Chart} title="Throughput" times=${times} binary show=${format.rate} series=${per('bytes')} />
		<${Chart} title="Queue wait" times=${times} show=${format.ms} series=${per('wait_ms')} />
		<${Chart} title="Shed per second" times=${times} series=${per('shed')} />
		<${Chart} title="Share of the work" times=${times} show=${format.percent} series=${per('share')} />
	</div>`;
}

function Busiest({ last }) {
	const columns = [
		{
			label: 'Tenant',
			value: (t) => t.tenant,
			cell: (t) => html`<a href="#/tenants/${encodeURIComponent(t.tenant)}">${t.tenant}</a>`,
		},
		{
			label: 'Requests',
			num: true,
			value: (t) => t.requests || 0,
			cell: (t) => `${format.count(t.requests || 0)}/s`,
		},
		{ label: 'Throughput', num: true, value: (t) => t.bytes || 0, cell: (t) => format.rate(t.bytes || 0) },
		{
			label: 'Queue wait',
			num: true,
			value: (t) => t.wait_ms || 0,
			cell: (t) => format.ms(t.wait_ms || 0),
		},
		{ label: 'Shed', num: true, value: (t) => t.shed || 0, cell: (t) => `${format.count(t.shed || 0)}/s` },
		{
			label: 'Share',
			num: true,
			value: (t) => t.share || 0,
			cell: (t) => html`<span class="with-meter">
			<${Meter} part=${t.share} label="Share of ${t.tenant}" /> <span>${format.percent(t.share || 0)}
				</span></span>`,
		},
	];
	return html`<${Section} title="Busiest tenants now">
		<${Table} name="Busiest tenants" columns=${columns} rows=${last.tenants || []} rowKey=${(t) => t.tenant}
			empty="No tenant is doing anything this second." />
	<//>`;
}
