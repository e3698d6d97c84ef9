// The entries that give and take rights, and "why": for a user and a path, what is allowed and which entry decides.
import { html, useEffect, useState } from '../lib.mjs';
import { call } from '../api.mjs';
import { may } from '../store.mjs';
import { items, useOp } from '../use.mjs';
import { Answer, Page, Section, Status, Table, ask, attempt } from '../ui.mjs';
import { Choice, Field, Form } from '../form.mjs';
import { RIGHTS } from '../words.mjs';
import { useTenant } from './people.mjs';

export function Rights({ query }) {
	const { tenant, tenants, picker } = useTenant(query);
	const users = useOp('user.list', { tenant }, { skip: !tenant });
	const groups = useOp('group.list', { tenant }, { skip: !tenant });
	const [path, setPath] = useState('');
	const entries = useOp('acl.list', { tenant, path }, { skip: !tenant, on: 'acl' });
	const people = [
		'everyone',
		...items(groups).map((g) => `group:${g.group}`),
		...items(users).map((u) => `user:${u.user}`),
	];
	return html`<${Page} title="Rights" lead="Who may do what, and why. Of the entries on the way to a file the nearest that says something decides; beside each other, a deny beats an allow."
		actions=${picker}>
		<datalist id="people">${people.map((p) => html`<option value=${p} />`)}</datalist>
		<datalist id="users">${items(users).map((u) => html`<option value=${u.user} />`)}</datalist>
		<${Answer} of=${tenants} what="tenants">
			<${Why} tenant=${tenant} user=${query.get('user') || ''} />
			<${Section} title=${path ? `Entries at ${path}` : 'All entries'}>
				<${Form} inline name="Entries at" action="Show" submit=${(v) => setPath(v.path)}>
					<${Field} label="Path" name="path" value=${path}
						placeholder="all of the tenant" />
				<//>
				<${Answer} of=${entries} what="rights"><${Entries} tenant=${tenant}
					entries=${items(entries)} reload=${entries.reload} /><//>
			<//>
			${may('acl.grant') && html`<${Change} tenant=${tenant} path=${path}
				reload=${entries.reload} />`}
		<//>
	<//>`;
}

// ---- why ----

function Why({ tenant, user }) {
	const [asked, setAsked] = useState(null); // {user, path, answers}
	useEffect(() => setAsked(null), [tenant]);
	async function submit(v) {
		const answers = await Promise.all(
			RIGHTS.map((right) => call('acl.explain', { tenant, user: v.user, path: v.path, right })),
		);
		setAsked({ user: v.user, path: v.path, answers: RIGHTS.map((right, i) => ({ right, ...answers[i] })) });
	}
	const columns = [
		{ label: 'Right', cell: (a) => a.right },
		{
			label: 'Allowed',
			cell: (a) => html`<${Status} kind=${a.allowed ? 'ok' : 'bad'}>${a.allowed ? 'Yes' : 'No'}<//>`,
		},
		{ label: 'Because', wide: true, cell: (a) => a.reason },
		{
			label: 'Entry',
			wide: true,
			cell: (a) => (a.entry ? html`<code>${a.entry}</code>` : html`<span class="dim">–</span>`),
		},
		{
			label: 'At',
			cell: (a) =>
				a.path ? html`<span class="path">${a.path}</span>` : html`<span class="dim">–</span>`,
		},
	];
	return html`<${Section} title="Why?" lead="What a user may do somewhere, and which entry decides it.">
		<${Form} inline name="Why" submit=${submit} action="Explain">
			<${Field} label="User" name="user" value=${user} list="users" required />
			<${Field} label="Path" name="path" value="/" required />
		<//>
		${
			asked &&
			html`<div aria-live="polite"><h3>${asked.user} at <span class="path">${asked.path}</span></h3>
			<${Table} name="Rights of ${asked.user} at ${asked.path}" columns=${columns}
				rows=${asked.answers} rowKey=${(a) => a.right} /></div>`
		}
	<//>`;
}

// ---- entries ----

const EFFECTS = { allow: ['ok', 'Allow'], deny: ['bad', 'Deny'], 'inherit-off': ['warn', 'Nothing from above'] };

function Entries({ tenant, entries, reload }) {
	const columns = [
		{
			label: 'At',
			wide: true,
			value: (e) => e.path,
			cell: (e) => html`<span class="path">${e.path}</span>`,
		},
		{
			label: 'Effect',
			value: (e) => e.effect,
			cell: (e) => {
				const [kind, word] = EFFECTS[e.effect] || ['info', e.effect];
				return html`<${Status} kind=${kind}>${word}<//>`;
			},
		},
		{ label: 'Who', value: (e) => e.who },
		{
			label: 'Rights',
			wide: true,
			value: (e) => e.rights,
			cell: (e) =>
				e.effect === 'inherit-off'
					? html`<span class="dim">all begin anew here</span>`
					: e.rights,
		},
		...(may('acl.revoke')
			? [
					{
						label: '',
						cell: (
							e,
						) => html`<button type="button"
							aria-label="Remove the entries of ${e.who} at ${e.path}"
			onClick=${() => revoke(tenant, e, reload)}>Remove</button>`,
					},
				]
			: []),
	];
	return html`<${Table} name="Entries" columns=${columns} rows=${entries}
		rowKey=${(e) => [e.path, e.effect, e.who].join(' ')}
		empty="There is no entry: only owners of the tenant may do anything." />`;
}

async function revoke(tenant, e, reload) {
	const inherit = e.effect === 'inherit-off';
	const yes = await ask({
		title: inherit
			? `Let rights come down to ${e.path} again?`
			: `Remove the entries of ${e.who} at ${e.path}?`,
		body: inherit
			? html`<p>What the folders above say holds here too, from now on.</p>`
			: html`<p>Both what ${e.who} is allowed and what is denied there go. Rights may still come from above.</p>`,
		action: inherit ? 'Let them come' : 'Remove',
		danger: !inherit,
	});
	if (yes)
		await attempt(
			() =>
				inherit
					? call('acl.inherit', { tenant, path: e.path, on: true })
					: call('acl.revoke', { tenant, path: e.path, who: e.who }),
			'The rights are changed.',
		);
	reload();
}

function Change({ tenant, path, reload }) {
	async function submit(v) {
		if (v.effect === 'inherit-off') {
			await call('acl.inherit', { tenant, path: v.path, on: false });
		} else {
			if (!v.rights.length) throw new Error('Choose at least one right.');
			if (!v.who) throw new Error('Say for whom: everyone, group:NAME or user:NAME.');
			await call(v.effect === 'deny' ? 'acl.deny' : 'acl.grant', {
				tenant,
				path: v.path,
				who: v.who,
				rights: v.rights.join(','),
			});
		}
		reload();
	}
	return html`<${Section} title="New entry">
		<${Form} name="New entry" submit=${submit} action="Store entry">
			<${Field} label="Path" name="path" value=${path || '/'} required />
			<${Field} label="Who" name="who" list="people" placeholder="everyone, group:NAME, user:NAME" />
			<${Choice} legend="Effect" name="effect" value="allow" options=${[
				{ value: 'allow', label: 'Allow' },
				{ value: 'deny', label: 'Deny' },
				{
					value: 'inherit-off',
					label: 'Nothing from above',
					help: 'What folders above allow ends here, for everybody.',
				},
			]} />
			<${Choice} legend="Rights" name="rights" several
				options=${RIGHTS.map((r) => ({ value: r, label: r }))} />
		<//>
	<//>`;
}
