// Tenants: what each holds and gets; and the pools that may be set apart. One tenant has a page of its own
// (tenant.mjs).
import { html, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { may } from '../store.mjs';
import { items, useOp } from '../use.mjs';
import { Answer, Dialog, Meter, Page, Section, Status, Table, ask, attempt } from '../ui.mjs';
import { Check, Field, Form, number, words } from '../form.mjs';
import { Tenant } from './tenant.mjs';

export function Tenants({ rest }) {
	return rest[0] ? html`<${Tenant} name=${rest[0]} />` : html`<${All} />`;
}

function All() {
	const tenants = useOp('tenant.list', {}, { on: 'tenant', every: 30 });
	const shares = useOp('share.list', {}, { on: 'share', every: 3 });
	const [adding, setAdding] = useState(false);
	const share = new Map(items(shares).map((s) => [s.tenant, s]));
	const rows = items(tenants).map((t) => ({ ...t, ...(share.get(t.tenant) || {}) }));
	const figure = (label, key, show) => ({
		label,
		num: true,
		value: (t) => t[key] || 0,
		cell: (t) => (t[key] === undefined ? '–' : show(t[key])),
	});
	const columns = [
		{
			label: 'Tenant',
			value: (t) => t.tenant,
			cell: (t) => html`<a href="#/tenants/${encodeURIComponent(t.tenant)}">${t.tenant}</a>`,
		},
		{
			label: 'State',
			value: (t) => (t.disabled ? 1 : 0),
			cell: (t) =>
				t.disabled
					? html`<${Status} kind="off">Disabled<//>`
					: html`<${Status} kind="ok">Open<//>`,
		},
		figure('Files', 'files', format.count),
		figure('Holds', 'bytes', format.bytes),
		...(shares.missing
			? []
			: [
					figure('Weight', 'weight', (n) => n),
					{
						...figure('Share', 'share', format.percent),
						cell: (t) =>
							t.share === undefined
								? '–'
								: html`<span class="with-meter">
				<${Meter} part=${t.share} label="Share of ${t.tenant}" /> <span>
					${format.percent(t.share)}</span></span>`,
					},
					figure('Waiting', 'waiting', format.count),
					figure('Wait p99', 'wait_p99_ms', format.ms),
					figure('Shed', 'shed', format.count),
				]),
	];
	return html`<${Page} title="Tenants" lead="Each has a namespace of its own, and gets its share of the machine when others want theirs."
		actions=${may('tenant.add') && html`<button type="button" class="primary"
			onClick=${() => setAdding(true)}>New tenant</button>`}>
		<${Section} title="All tenants"><${Answer} of=${tenants} what="tenants">
			<${Table} name="Tenants" columns=${columns} rows=${rows} rowKey=${(t) => t.id}
				sort=${{ column: 0, down: false }} empty="There is no tenant yet." />
		<//><//>
		<${Pools} />
		${adding && html`<${Add} close=${() => setAdding(false)} reload=${tenants.reload} />`}
	<//>`;
}

function Add({ close, reload }) {
	async function submit(v) {
		await call('tenant.add', {
			name: v.name,
			hosts: words(v.hosts),
			case_sensitive: v.case_sensitive || undefined,
		});
		close();
		reload();
	}
	return html`<${Dialog} title="New tenant" close=${close}>
		<${Form} name="New tenant" submit=${submit} action="Make tenant" cancel=${close}>
			<${Field} label="Name" name="name" required />
			<${Field} label="Host names" name="hosts"
				help="That lead to this tenant, with spaces between. May come later." />
			<${Check} label="Names that differ only in case are different files" name="case_sensitive"
				help="Cannot be changed later." />
		<//>
	<//>`;
}

// ---- pools ----

function Pools() {
	const pools = useOp('pool.list', {}, { on: 'pool', every: 30 });
	const [editing, setEditing] = useState(null);
	const columns = [
		{ label: 'Pool', value: (p) => p.name },
		{ label: 'Slots', num: true, value: (p) => p.slots },
		{ label: 'Queue', num: true, value: (p) => p.queue },
		...(pools.data && items(pools).some((p) => p.running !== undefined)
			? [
					{ label: 'Running', num: true, value: (p) => p.running },
					{ label: 'Waiting', num: true, value: (p) => p.waiting },
				]
			: []),
		...(may('pool.set')
			? [
					{
						label: '',
						cell: (
							p,
						) => html`<button type="button" aria-label="Change pool ${p.name}"
							onClick=${() => setEditing(p)}>Change</button>
			<button type="button" aria-label="Remove pool ${p.name}"
				onClick=${() => remove(p, pools.reload)}>Remove</button>`,
					},
				]
			: []),
	];
	return html`<${Section} title="Dedicated pools"
		lead="Workers set apart: used by nobody but the tenants in the pool, and harming nobody when full."
		actions=${may('pool.set') && !pools.missing && html`<button type="button"
			onClick=${() => setEditing({})}>New pool</button>`}>
		<${Answer} of=${pools} what="dedicated pools">
			<${Table} name="Pools" columns=${columns} rows=${items(pools)} rowKey=${(p) => p.name}
				empty="All tenants share all workers." />
		<//>
		${editing && html`<${EditPool} pool=${editing} close=${() => setEditing(null)}
			reload=${pools.reload} />`}
	<//>`;
}

function EditPool({ pool, close, reload }) {
	async function submit(v) {
		await call('pool.set', {
			name: pool.name || v.name,
			slots: number(v.slots, 'Slots'),
			queue: number(v.queue, 'Queue'),
		});
		close();
		reload();
	}
	return html`<${Dialog} title=${pool.name ? `Pool ${pool.name}` : 'New pool'} close=${close}>
		<${Form} name="Pool" submit=${submit} action="Store pool" cancel=${close}>
			${!pool.name && html`<${Field} label="Name" name="name" required />`}
			<${Field} label="Slots" name="slots" inputmode="numeric" required value=${text(pool.slots)}
				help="How many operations run at once." />
			<${Field} label="Queue" name="queue" inputmode="numeric" required value=${text(pool.queue)}
				help="How many may wait; more are refused." />
		<//>
	<//>`;
}

const text = (n) => (n === undefined || n === null ? '' : String(n));

async function remove(p, reload) {
	const yes = await ask({
		title: `Remove pool ${p.name}?`,
		body: html`<p>Its workers are everybody's again. Tenants that were in it share with the others.</p>`,
		action: 'Remove pool',
		danger: true,
	});
	if (yes) await attempt(() => call('pool.remove', { name: p.name }), `Pool ${p.name} is removed.`);
	reload();
}
