// The audit trail: who changed what, when, through which door. Searched here in what the gateway gives for a period.
import { html, useEffect, useMemo, useRef, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { items, useOp } from '../use.mjs';
import { ErrorNote, Page, Section, Table } from '../ui.mjs';
import { Field, Form } from '../form.mjs';
import { PROTOCOL_NAMES } from '../words.mjs';

const PERIODS = [
	{ value: '900', label: 'last 15 minutes' },
	{ value: '3600', label: 'last hour' },
	{ value: '86400', label: 'last day' },
	{ value: '604800', label: 'last week' },
	{ value: '', label: 'as far back as it goes' },
];
const PAGE = 1000;
const PAGES_MAX = 10;
const SHOWN_MAX = 500;

// Everything of a period, oldest first; full: there is more than is taken.
async function load(tenant, seconds, stillWanted) {
	const all = [];
	let after = seconds ? format.idBefore(new Date(Date.now() - seconds * 1000)) : '0';
	for (let page = 0; page < PAGES_MAX; page++) {
		const { items: events = [] } = await call('events.list', { tenant, after, limit: PAGE });
		all.push(...events);
		if (events.length < PAGE || !stillWanted()) return { all, full: false };
		after = events[events.length - 1].id;
	}
	return { all, full: true };
}

export function Audit({ query }) {
	const [search, setSearch] = useState({
		tenant: query.get('tenant') || '',
		period: '3600',
		text: query.get('text') || '',
	});
	const [answer, setAnswer] = useState({ all: [], full: false, error: null, busy: true });
	const turn = useRef(0);
	const tenants = useOp('tenant.list');
	async function run() {
		const mine = ++turn.current;
		setAnswer((a) => ({ ...a, busy: true, error: null }));
		try {
			const got = await load(search.tenant, Number(search.period), () => mine === turn.current);
			if (mine === turn.current) setAnswer({ ...got, error: null, busy: false });
		} catch (error) {
			if (mine === turn.current) setAnswer({ all: [], full: false, error, busy: false });
		}
	}
	useEffect(() => {
		run();
	}, [search.tenant, search.period]);
	const found = useMemo(() => {
		const terms = search.text.toLowerCase().split(/\s+/).filter(Boolean);
		const hits = answer.all.filter((e) => {
			const all = [e.what, e.user, e.tenant, e.door, e.path, e.dest, e.request]
				.join('\n')
				.toLowerCase();
			return terms.every((t) => all.includes(t));
		});
		return hits.reverse();
	}, [answer.all, search.text]);
	const columns = [
		{
			label: 'When',
			cell: (e) => html`<time datetime=${e.time} title=${e.time}>${format.time(e.time)}</time>`,
		},
		{
			label: 'Who',
			cell: (e) =>
				html`${e.tenant && e.tenant !== '?' ? html`<span class="dim">
					${e.tenant}/</span>` : ''}${e.user || '–'}`,
		},
		{ label: 'Did', cell: (e) => e.what },
		{
			label: 'With',
			wide: true,
			cell: (e) =>
				html`<span class="path">${e.path}</span>${e.dest ? html` <span
					class="dim">→</span> <span class="path">${e.dest}</span>` : ''}`,
		},
		{ label: 'Through', cell: (e) => html`<span class="still">${PROTOCOL_NAMES[e.door] || e.door}</span>` },
		{ label: 'Bytes', num: true, cell: (e) => (e.bytes ? format.bytes(e.bytes) : '') },
		{ label: 'Request', cell: (e) => html`<code class="id still">${e.request}</code>` },
	];
	return html`<${Page} title="Audit" lead="Every change of files, people, rights and rules: who, when, and through which door.">
		<${Form} inline name="Search" action="Search" submit=${async (v) => {
			setSearch(v);
			if (v.tenant === search.tenant && v.period === search.period) await run();
		}} onInput=${setSearch}>
			<${Field} label="Contains" name="text" type="search" value=${search.text}
				placeholder="a path, a name, an operation" />
			<${Field} label="Tenant" name="tenant" value=${search.tenant}
				options=${[{ value: '', label: 'All, and the house' }, ...items(tenants).map((t) => ({ value: t.tenant, label: t.tenant }))]} />
			<${Field} label="Period" name="period" value=${search.period} options=${PERIODS} />
		<//>
		<${Section} title="Events" lead=${answer.busy ? 'Searching …' : `${format.count(found.length)} found${found.length > SHOWN_MAX ? `, the newest ${SHOWN_MAX} shown` : ''}, newest first.`}>
			<${ErrorNote} error=${answer.error} again=${run} />
			${answer.full && html`<p class="note warn">Only the first ${format.count(PAGE * PAGES_MAX)} of this period were searched. Choose a tenant or a shorter period.</p>`}
			${
				!answer.error &&
				html`<${Table} name="Events" columns=${columns} rows=${found.slice(0, SHOWN_MAX)}
					rowKey=${(e) => e.id}
				empty=${answer.busy ? 'Searching …' : 'Nothing in this period matches.'} />`
			}
		<//>
	<//>`;
}
