// How the gateway is: what the doctor found, and its figures.
import { html } from '../lib.mjs';
import * as format from '../format.mjs';
import { items, useOp } from '../use.mjs';
import { Answer, Page, Section, Status, Table } from '../ui.mjs';
import { PROTOCOL_NAMES } from '../words.mjs';

const FOUND = { ok: ['ok', 'Fine'], warn: ['warn', 'Look at it'], fail: ['bad', 'Mend it'] };
const WORST_FIRST = ['fail', 'warn', 'ok'];
const level = (c) => (FOUND[c.level] ? c.level : c.ok ? 'ok' : 'fail');

export function Health() {
	const doctor = useOp('doctor');
	const status = useOp('status', {}, { every: 5 });
	const columns = [
		{
			label: 'Result',
			value: (c) => WORST_FIRST.indexOf(level(c)),
			cell: (c) => html`<${Status} kind=${FOUND[level(c)][0]}>${FOUND[level(c)][1]}<//>`,
		},
		{
			label: 'Check',
			value: (c) => c.check,
			cell: (c) => html`<span class="still">${c.check}</span>`,
		},
		{ label: 'Says', wide: true, value: (c) => c.says || '' },
		{
			label: 'What to do',
			wide: true,
			value: (c) => c.do || '',
			cell: (c) => c.do || html`<span class="dim">nothing</span>`,
		},
	];
	return html`<${Page} title="Health" lead="What the gateway says about itself.">
		<${Section} title="Check-up" actions=${!doctor.missing && html`<button type="button"
			onClick=${doctor.reload}>Check again</button>`}>
			<${Answer} of=${doctor} what="a check-up">
				<${Table} name="Check-up" columns=${columns} rows=${items(doctor)}
					rowKey=${(c) => c.check} sort=${{ column: 0, down: false }}
					empty="Nothing was checked." />
			<//>
		<//>
		<${Section} title="Figures"><${Answer} of=${status} what="its status">${status.data && html`<${Figures}
			s=${status.data} />`}<//><//>
	<//>`;
}

function Figures({ s }) {
	const doors = [
		...new Set([
			...Object.keys(s.requests || {}),
			...Object.keys(s.connections || {}),
			...Object.keys(s.errors || {}),
		]),
	];
	const logins = s.logins || {};
	const facts = [
		['State', html`<${Status} kind=${s.state === 'ready' ? 'ok' : 'warn'}>${s.state}<//>`],
		['Process', s.pid],
		['Tenants', format.count(s.tenants)],
		['Operations under way', format.count(s.pending)],
		[
			'Waiting for a worker',
			s.queue
				? `${format.count(s.queue.wait)} operations, ${format.count(s.queue.login)} sign-ins`
				: '–',
		],
		[
			'Sign-ins',
			`${format.count(logins.cached)} from memory, ${format.count(logins.verified)} verified, ${format.count(logins.failed)} failed, ${format.count(logins.throttled)} held back`,
		],
		['Memory for nodes', format.bytes(s.node_cache_bytes)],
		[
			'Storage',
			s.blobs
				? `${s.blobs.kind}${s.blobs.total_bytes ? `, ${format.bytes(s.blobs.free_bytes)} of ${format.bytes(s.blobs.total_bytes)} free` : ''}`
				: '–',
		],
	];
	const columns = [
		{ label: 'Protocol', value: (d) => PROTOCOL_NAMES[d] || d },
		{
			label: 'Connections',
			num: true,
			value: (d) => (s.connections || {})[d] || 0,
			cell: (d) => format.count((s.connections || {})[d] || 0),
		},
		{
			label: 'Requests since start',
			num: true,
			value: (d) => (s.requests || {})[d] || 0,
			cell: (d) => format.count((s.requests || {})[d] || 0),
		},
		{
			label: 'Errors since start',
			num: true,
			value: (d) => (s.errors || {})[d] || 0,
			cell: (d) => format.count((s.errors || {})[d] || 0),
		},
	];
	return html`<dl class="facts">${facts.map(([k, v]) => html`<div key=${k}><dt>${k}</dt><dd>${v}</dd></div>`)}
		</dl>
		<${Table} name="Per protocol" columns=${columns} rows=${doors} rowKey=${(d) => d}
			empty="No request yet." />`;
}
