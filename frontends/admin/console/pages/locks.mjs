// Locks that users hold on files, and taking one away.
import { html, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { may } from '../store.mjs';
import { items, useOp } from '../use.mjs';
import { Answer, Page, Section, Table, ask, attempt } from '../ui.mjs';
import { Field, Form } from '../form.mjs';

export function Locks({ query }) {
	const [tenant, setTenant] = useState(query.get('tenant') || '');
	const tenants = useOp('tenant.list');
	const locks = useOp('locks.list', { tenant }, { every: 15 });
	const columns = [
		{
			label: 'File or folder',
			wide: true,
			value: (l) => l.path,
			cell: (l) => html`<span class="path">${l.path}</span>`,
		},
		{ label: 'Held by', value: (l) => `${l.tenant}/${l.user}` },
		{ label: 'Kind', value: (l) => `${l.scope}${l.deep ? ', with all below' : ''}` },
		{
			label: 'Ends in',
			num: true,
			value: (l) => l.remaining_s,
			cell: (l) => format.duration(l.remaining_s),
		},
		...(may('locks.break')
			? [
					{
						label: '',
						cell: (l) =>
							html`<button type="button"
								aria-label="Break the lock on ${l.path}"
								onClick=${() => breakLock(l, locks.reload)}>Break</button>`,
					},
				]
			: []),
	];
	return html`<${Page} title="Locks" lead="Who has locked what over WebDAV. A lock that is not renewed ends by itself.">
		<${Form} inline name="Filter" submit=${() => {}} onInput=${(v) => setTenant(v.tenant)}>
			<${Field} label="Tenant" name="tenant" value=${tenant}
				options=${[{ value: '', label: 'All' }, ...items(tenants).map((t) => ({ value: t.tenant, label: t.tenant }))]} />
		<//>
		<${Section} title="Held now"><${Answer} of=${locks} what="a list of locks">
			<${Table} name="Locks" columns=${columns} rows=${items(locks)}
				rowKey=${(l) => l.tenant + l.token} empty="Nothing is locked." />
		<//><//>
	<//>`;
}

async function breakLock(l, reload) {
	const yes = await ask({
		title: 'Break this lock?',
		body: html`<p><b>${l.tenant}/${l.user}</b> loses the lock on <span class="path">${l.path}
			</span>. Others can change it at once; what ${l.user}
			has open there and has not stored may then be refused.</p>`,
		action: 'Break lock',
		danger: true,
	});
	if (yes)
		await attempt(
			() => call('locks.break', { tenant: l.tenant, token: l.token }),
			`The lock on ${l.path} is broken.`,
		);
	reload();
}
