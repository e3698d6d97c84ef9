// Circuit breakers: which service is failing and gets a rest, and opening or resetting one by hand.
import { html } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { may } from '../store.mjs';
import { items, useNow, useOp } from '../use.mjs';
import { Answer, Page, Section, Status, Table, ask, attempt } from '../ui.mjs';

const STATES = {
	closed: ['ok', 'Closed', 'works'],
	'half-open': ['warn', 'Half-open', 'is being tried'],
	open: ['bad', 'Open', 'rests'],
};

export function Breakers() {
	const breakers = useOp('breaker.list', {}, { on: 'breaker', every: 3 });
	const all = items(breakers);
	return html`<${Page} title="Breakers" lead="A service that fails gets a rest: until it works again it is not asked, and answers stay quick. Breakers open and close by themselves.">
		<${Section} title="Services"><${Answer} of=${breakers} what="circuit breakers">
			<${List} name="Services" rows=${all.filter((b) => !b.tenant)} reload=${breakers.reload}
				empty="No service was used yet." />
		<//><//>
		${
			!breakers.missing &&
			html`<${Section} title="One tenant and a service"
				lead="Trouble of one tenant alone opens a breaker of its own; the neighbours notice nothing.">
			<${Answer} of=${breakers} what="circuit breakers">
				<${List} name="Tenants and services" rows=${all.filter((b) => b.tenant)}
					reload=${breakers.reload} empty="No tenant has trouble of its own." />
			<//><//>`
		}
	<//>`;
}

function List({ name, rows, reload, empty }) {
	const now = useNow();
	const what = (b) => (b.tenant ? `${b.service} for ${b.tenant}` : b.service);
	const columns = [
		{ label: 'Service', value: (b) => b.service },
		...(rows.some((b) => b.tenant)
			? [
					{
						label: 'Tenant',
						value: (b) => b.tenant,
						cell: (b) =>
							html`<a href="#/tenants/${encodeURIComponent(b.tenant)}">
								${b.tenant}</a>`,
					},
				]
			: []),
		{
			label: 'State',
			value: (b) => b.state,
			cell: (b) => {
				const [kind, word, does] = STATES[b.state] || ['info', b.state, ''];
				return html`<${Status} kind=${kind}>${word}<//> <span class="dim">
					${does}${b.forced ? ', by hand' : ''}${b.until && b.state === 'open' ? `, ${format.left(b.until, now)}` : ''}</span>`;
			},
		},
		{ label: 'Calls', num: true, value: (b) => b.calls || 0, cell: (b) => format.count(b.calls || 0) },
		{ label: 'Failed', num: true, value: (b) => b.failed || 0, cell: (b) => part(b.failed, b.calls) },
		{ label: 'Slow', num: true, value: (b) => b.slow || 0, cell: (b) => part(b.slow, b.calls) },
		{
			label: 'Opened',
			num: true,
			value: (b) => b.openings || 0,
			cell: (b) => `${format.count(b.openings || 0)}×`,
		},
		...(may('breaker.open')
			? [
					{
						label: '',
						cell: (b) => html`
			${b.state !== 'open' && html`<button type="button" aria-label="Open the breaker of ${what(b)}"
				onClick=${() => open(b, what(b), reload)}>Open</button>`}
			<button type="button" aria-label="Reset the breaker of ${what(b)}"
				onClick=${() => reset(b, what(b), reload)}>Reset</button>`,
					},
				]
			: []),
	];
	return html`<${Table} name=${name} columns=${columns} rows=${rows}
		rowKey=${(b) => `${b.service} ${b.tenant || ''}`} empty=${empty} />`;
}

const part = (some, all) =>
	all ? `${format.count(some || 0)} (${format.percent((some || 0) / all)})` : format.count(some || 0);

async function open(b, what, reload) {
	const yes = await ask({
		title: `Open the breaker of ${what}?`,
		body: html`<p>The service is not asked any more until you reset the breaker. What the cache can answer still is; the rest is refused at once with “try again later”.</p>`,
		action: 'Open breaker',
		danger: true,
	});
	if (yes)
		await attempt(
			() => call('breaker.open', { service: b.service, tenant: b.tenant || undefined }),
			`The breaker of ${what} is open.`,
		);
	reload();
}

async function reset(b, what, reload) {
	await attempt(
		() => call('breaker.reset', { service: b.service, tenant: b.tenant || undefined }),
		`The breaker of ${what} is reset: the service is asked again.`,
	);
	reload();
}
