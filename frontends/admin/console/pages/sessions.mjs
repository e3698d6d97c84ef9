// Who is connected and what they are doing; transfers with their progress; ending a session.
import { html, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { may } from '../store.mjs';
import { items, useNow, useOp } from '../use.mjs';
import { Answer, Meter, Page, Section, Table, ask, attempt } from '../ui.mjs';
import { Field, Form } from '../form.mjs';
import { PROTOCOL_NAMES } from '../words.mjs';

const ALL = [{ value: '', label: 'All' }];
const PROTOCOLS = ['webdav', 'ftp', 'rest', 'web'];

export function Sessions({ query }) {
	const [filter, setFilter] = useState({ tenant: query.get('tenant') || '', proto: query.get('proto') || '' });
	const sessions = useOp('session.list', { ...filter, limit: 500 }, { every: 2, on: 'session' });
	const uploads = useOp('upload.list', { tenant: filter.tenant }, { every: 2 });
	const tenants = useOp('tenant.list');
	const all = items(sessions);
	return html`<${Page} title="Sessions" lead="Who is connected now, over every protocol, and what moves."
		actions=${
			filter.tenant &&
			may('session.kill') &&
			html`<button type="button" class="danger"
			onClick=${() => endAll(filter.tenant, sessions.reload)}>End all of ${filter.tenant}</button>`
		}>
		<${Form} inline name="Filter" submit=${() => {}}
			onInput=${(v) => setFilter({ tenant: v.tenant, proto: v.proto })}>
			<${Field} label="Tenant" name="tenant" value=${filter.tenant}
				options=${[...ALL, ...names(items(tenants), filter.tenant).map((t) => ({ value: t, label: t }))]} />
			<${Field} label="Protocol" name="proto" value=${filter.proto}
				options=${[...ALL, ...PROTOCOLS.map((p) => ({ value: p, label: PROTOCOL_NAMES[p] }))]} />
		<//>
		<${Section} title="Transfers" lead="What is being sent and received this moment.">
			<${Answer} of=${sessions} what="a list of sessions"><${Transfers} sessions=${all}
				uploads=${items(uploads)} reload=${sessions.reload} /><//>
		<//>
		<${Section} title=${sessions.data ? `Sessions (${format.count(all.length)}${all.length >= 500 ? ', the first' : ''})` : 'Sessions'}>
			<${Answer} of=${sessions} what="a list of sessions"><${List} sessions=${all}
				reload=${sessions.reload} /><//>
		<//>
	<//>`;
}

const names = (tenants, chosen) => [...new Set([...tenants.map((t) => t.tenant), chosen].filter(Boolean))];

function Progress({ done, size, label }) {
	if (!size) return html`<span>${format.bytes(done)}</span>`;
	return html`<span class="with-meter wide-meter"><${Meter} part=${done / size} label=${label} />
		<span>${format.percent(Math.min(1, done / size))} of ${format.bytes(size)}</span></span>`;
}

function Transfers({ sessions, uploads, reload }) {
	useNow();
	const running = sessions
		.filter((s) => s.transfer)
		.map((s) => ({
			key: `s${s.id}`,
			session: s,
			path: s.transfer.path,
			tenant: s.tenant,
			user: s.user,
			proto: s.proto,
			up: s.transfer.direction !== 'down',
			done: s.transfer.bytes,
			size: s.transfer.size,
			since: s.transfer.since || s.since,
		}));
	const seen = new Set(running.filter((r) => r.up).map((r) => `${r.tenant}${r.path}`));
	const rest = uploads
		.filter((u) => !seen.has(`${u.tenant}${u.path}`))
		.map((u) => ({
			key: `u${u.id}`,
			path: u.path,
			tenant: u.tenant,
			user: u.user,
			proto: u.proto,
			up: true,
			done: u.received,
			size: u.declared,
			since: u.since,
		}));
	const columns = [
		{
			label: 'File',
			value: (r) => r.path,
			wide: true,
			cell: (r) => html`<span class="path">${r.path}</span>`,
		},
		{
			label: 'Direction',
			value: (r) => (r.up ? 'upload' : 'download'),
			cell: (r) =>
				html`<span class="still"><span aria-hidden="true">${r.up ? '↑' : '↓'}
					</span> ${r.up ? 'upload' : 'download'}</span>`,
		},
		{
			label: 'Progress',
			num: true,
			value: (r) => r.done,
			cell: (r) => html`<${Progress} done=${r.done} size=${r.size} label="Progress of ${r.path}" />`,
		},
		{ label: 'Who', value: (r) => `${r.tenant}/${r.user}`, cell: (r) => `${r.tenant}/${r.user}` },
		{ label: 'Protocol', value: (r) => r.proto, cell: (r) => PROTOCOL_NAMES[r.proto] || r.proto },
		{
			label: 'For',
			num: true,
			value: (r) => -(format.toDate(r.since) || 0),
			cell: (r) => format.ago(r.since),
		},
		...(may('session.kill')
			? [
					{
						label: '',
						cell: (r) =>
							r.session &&
							html`<button type="button"
								aria-label="End the transfer of ${r.path}"
			onClick=${() => end(r.session, reload)}>End</button>`,
					},
				]
			: []),
	];
	return html`<${Table} name="Transfers" columns=${columns} rows=${[...running, ...rest]} rowKey=${(r) => r.key}
		empty="Nothing moves right now." />`;
}

function List({ sessions, reload }) {
	useNow();
	const columns = [
		{
			label: 'Who',
			value: (s) => `${s.tenant}/${s.user}`,
			cell: (s) => (s.tenant ? `${s.tenant}/${s.user || '?'}` : 'not signed in'),
		},
		{ label: 'Protocol', value: (s) => s.proto, cell: (s) => PROTOCOL_NAMES[s.proto] || s.proto },
		{ label: 'From', value: (s) => s.peer },
		{
			label: 'Doing',
			value: (s) => s.doing,
			wide: true,
			cell: (s) => html`${s.doing || 'idle'}${s.path && html` <span class="path">${s.path}</span>`}`,
		},
		{ label: 'In', num: true, value: (s) => s.bytes_in || 0, cell: (s) => format.bytes(s.bytes_in || 0) },
		{
			label: 'Out',
			num: true,
			value: (s) => s.bytes_out || 0,
			cell: (s) => format.bytes(s.bytes_out || 0),
		},
		{
			label: 'For',
			num: true,
			value: (s) => -(format.toDate(s.since) || 0),
			cell: (s) => format.ago(s.since),
		},
		...(may('session.kill')
			? [
					{
						label: '',
						cell: (
							s,
						) => html`<button type="button"
							aria-label="End the session of ${s.tenant}/${s.user} from ${s.peer}"
			onClick=${() => end(s, reload)}>End</button>`,
					},
				]
			: []),
	];
	return html`<${Table} name="Sessions" columns=${columns} rows=${sessions} rowKey=${(s) => s.id}
		empty="Nobody is connected." />`;
}

async function end(s, reload) {
	const yes = await ask({
		title: 'End this session?',
		body: html`<p><b>${s.tenant}/${s.user}
			</b> over ${PROTOCOL_NAMES[s.proto] || s.proto} from ${s.peer} is disconnected at once.</p>
			${s.transfer && html`<p>The transfer of <span class="path">${s.transfer.path}
				</span> is cut; a half-written file never becomes visible.</p>`}
			<p>They may connect again. To keep them out, set a rule on the Switchboard.</p>`,
		action: 'End session',
		danger: true,
	});
	if (yes)
		await attempt(
			() => call('session.kill', { id: s.id }),
			`The session of ${s.tenant}/${s.user} was ended.`,
		);
	reload();
}

async function endAll(tenant, reload) {
	const yes = await ask({
		title: `End every session of ${tenant}?`,
		body: html`<p>Everybody of <b>${tenant}
			</b> is disconnected at once, and their transfers are cut. They may connect again.</p>`,
		action: 'End them all',
		danger: true,
	});
	if (yes)
		await attempt(
			() => call('session.kill', { tenant }),
			(r) =>
				r.killed === undefined
					? `The sessions of ${tenant} were ended.`
					: `${format.plural(r.killed, 'session')} of ${tenant} ended.`,
		);
	reload();
}
