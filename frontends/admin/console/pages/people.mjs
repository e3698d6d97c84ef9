// Users and groups of a tenant.
import { html, useEffect, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { may } from '../store.mjs';
import { items, useOp } from '../use.mjs';
import { Answer, Dialog, Page, Section, Status, Table, ask, attempt } from '../ui.mjs';
import { Check, Choice, Field, Form, number, words } from '../form.mjs';
import { PROTOCOL_NAMES } from '../words.mjs';

// The tenant that a page is about: that of the address, else the first there is.
export function useTenant(query) {
	const tenants = useOp('tenant.list', {}, { on: 'tenant' });
	const [tenant, setTenant] = useState(query.get('tenant') || '');
	const first = items(tenants)[0];
	useEffect(() => {
		if (!tenant && first) setTenant(first.tenant);
	}, [tenant, first && first.tenant]);
	const picker = html`<${Form} key=${`${tenant} ${items(tenants).length}`} inline name="Tenant" submit=${() => {}}
		onInput=${(v) => setTenant(v.tenant)}>
		<${Field} label="Tenant" name="tenant" value=${tenant}
			options=${items(tenants).map((t) => ({ value: t.tenant, label: t.tenant }))} />
	<//>`;
	return { tenant, tenants, picker };
}

export function People({ query }) {
	const { tenant, tenants, picker } = useTenant(query);
	const users = useOp('user.list', { tenant }, { skip: !tenant, on: 'user' });
	const groups = useOp('group.list', { tenant }, { skip: !tenant, on: 'group' });
	const [open, setOpen] = useState(null); // {what, user or group}
	const reload = () => {
		users.reload();
		groups.reload();
	};
	const close = () => setOpen(null);
	const done = () => {
		close();
		reload();
	};
	const userColumns = [
		{ label: 'User', value: (u) => u.user },
		{
			label: 'State',
			value: (u) => (u.disabled ? 1 : 0),
			cell: (u) =>
				html`<${Status} kind=${u.disabled ? 'off' : 'ok'}>${u.disabled ? 'Disabled' : 'Enabled'}
					<//>`,
		},
		{ label: 'Is', value: (u) => (u.owner ? 'owner' : ''), cell: (u) => (u.owner ? 'owner' : 'user') },
		{ label: 'Password', value: (u) => (u.password ? 'set' : 'none') },
		{ label: 'Groups', wide: true, value: (u) => (u.groups || []).join(', ') },
		...(may('user.set')
			? [
					{
						label: '',
						cell: (u) => html`
			<button type="button" aria-label="Password of ${u.user}"
				onClick=${() => setOpen({ what: 'password', user: u })}>Password</button>
			<button type="button" aria-label="App passwords of ${u.user}"
				onClick=${() => setOpen({ what: 'tokens', user: u })}>App passwords</button>
			<button type="button" aria-label="Change ${u.user}"
				onClick=${() => setOpen({ what: 'change', user: u })}>Change</button>`,
					},
				]
			: []),
	];
	const groupColumns = [
		{ label: 'Group', value: (g) => g.group },
		{
			label: 'Members',
			wide: true,
			value: (g) => (g.members || []).join(', '),
			cell: (g) => (g.members || []).join(', ') || html`<span class="dim">nobody</span>`,
		},
		...(may('group.join')
			? [
					{
						label: '',
						cell: (g) => html`
			<button type="button" aria-label="Members of ${g.group}"
				onClick=${() => setOpen({ what: 'group', group: g })}>Members</button>
			<button type="button" aria-label="Remove group ${g.group}"
				onClick=${() => removeGroup(tenant, g, reload)}>Remove</button>`,
					},
				]
			: []),
	];
	return html`<${Page} title="Users and groups" lead="Who may sign in to a tenant, over every protocol."
		actions=${picker}>
		<${Answer} of=${tenants} what="tenants">
		<${Section} title="Users" actions=${may('user.add') && tenant && html`<button type="button"
			class="primary" onClick=${() => setOpen({ what: 'new' })}>New user</button>`}>
			<${Answer} of=${users} what="users"><${Table} name="Users" columns=${userColumns}
				rows=${items(users)} rowKey=${(u) => u.id}
				sort=${{ column: 0, down: false }} empty="This tenant has no users yet." /><//>
		<//>
		<${Section} title="Groups" actions=${may('group.add') && tenant && html`<button type="button"
			onClick=${() => setOpen({ what: 'new-group' })}>New group</button>`}>
			<${Answer} of=${groups} what="groups"><${Table} name="Groups" columns=${groupColumns}
				rows=${items(groups)} rowKey=${(g) => g.id}
				sort=${{ column: 0, down: false }} empty="This tenant has no groups yet." /><//>
		<//>
		<//>
		${open && html`<${Opened} open=${open} tenant=${tenant} users=${items(users)} close=${close}
			done=${done} />`}
	<//>`;
}

function Opened({ open, tenant, users, close, done }) {
	switch (open.what) {
		case 'new':
			return html`<${NewUser} tenant=${tenant} close=${close} done=${done} />`;
		case 'password':
			return html`<${Password} tenant=${tenant} user=${open.user} close=${close} done=${done} />`;
		case 'tokens':
			return html`<${Tokens} tenant=${tenant} user=${open.user} close=${close} />`;
		case 'change':
			return html`<${Change} tenant=${tenant} user=${open.user} close=${close} done=${done} />`;
		case 'new-group':
			return html`<${NewGroup} tenant=${tenant} users=${users} close=${close} done=${done} />`;
		default:
			return html`<${Members} tenant=${tenant} group=${open.group} users=${users} close=${close}
				done=${done} />`;
	}
}

// ---- users ----

const newPassword = { name: 'password', type: 'password', autocomplete: 'new-password', required: true };

function NewUser({ tenant, close, done }) {
	async function submit(v) {
		await call('user.add', { tenant, user: v.user, password: v.password, owner: v.owner || undefined });
		done();
	}
	return html`<${Dialog} title="New user of ${tenant}" close=${close}>
		<${Form} name="New user" submit=${submit} action="Make user" cancel=${close}>
			<${Field} label="Name" name="user" required />
			<${Field} label="Password" ...${newPassword} />
			<${Check} label="Owner: has all rights in the tenant" name="owner" />
		<//>
	<//>`;
}

function Password({ tenant, user, close, done }) {
	async function submit(v) {
		await call('user.passwd', { tenant, user: user.user, password: v.password });
		done();
	}
	return html`<${Dialog} title="Password of ${user.user}" close=${close}>
		<${Form} name="Password" submit=${submit} action="Set password" cancel=${close}>
			<${Field} label="New password" ...${newPassword}
				help="The old one ends at once. App passwords stay." />
		<//>
	<//>`;
}

function Change({ tenant, user, close, done }) {
	async function submit(v) {
		const change = {};
		if (v.owner !== user.owner) change.owner = v.owner;
		if (v.disabled !== user.disabled) change.disabled = v.disabled;
		if (Object.keys(change).length) await call('user.set', { tenant, user: user.user, ...change });
		done();
	}
	async function remove() {
		close();
		const yes = await ask({
			title: `Remove ${user.user}?`,
			body: html`<p><b>${tenant}/${user.user}
				</b> is removed, with app passwords and entries of rights. The files stay.</p>`,
			action: 'Remove user',
			danger: true,
		});
		if (yes)
			await attempt(
				() => call('user.remove', { tenant, user: user.user }),
				`${user.user} is removed.`,
			);
		done();
	}
	return html`<${Dialog} title="Change ${user.user}" close=${close}>
		<${Form} name="Change user" submit=${submit} action="Store" cancel=${close}>
			<${Check} label="Owner: has all rights in the tenant" name="owner" checked=${user.owner} />
			<${Check} label="Disabled: cannot sign in" name="disabled" checked=${user.disabled} />
		<//>
		<div class="dialog-extra">
			<a class="button" href="#/rights?tenant=${encodeURIComponent(tenant)}&user=${encodeURIComponent(user.user)}" onClick=${close}>Rights of ${user.user}</a>
			<button type="button" onClick=${() => attempt(() => call('defender.clear', { tenant, user: user.user }), `Failed sign-ins of ${user.user} are forgotten.`)}>Forget failed sign-ins</button>
			<button type="button" class="danger" onClick=${remove}>Remove …</button>
		</div>
	<//>`;
}

function Tokens({ tenant, user, close }) {
	const tokens = useOp('token.list', { tenant, user: user.user });
	const [made, setMade] = useState(null);
	async function submit(v) {
		setMade(
			await call('token.add', {
				tenant,
				user: user.user,
				name: v.name,
				days: number(v.days, 'Days'),
				scope: v.scope.length ? v.scope : undefined,
			}),
		);
		tokens.reload();
	}
	const columns = [
		{ label: 'Name', value: (t) => t.name },
		{
			label: 'Opens',
			value: (t) => (t.scope || []).map((p) => PROTOCOL_NAMES[p] || p).join(', ') || 'every protocol',
		},
		{
			label: 'Ends',
			value: (t) => t.expires || '',
			cell: (t) => (t.expires ? format.left(t.expires) : 'never'),
		},
		{
			label: '',
			cell: (t) =>
				html`<button type="button" aria-label="Revoke ${t.name}" onClick=${async () => {
					await attempt(
						() => call('token.revoke', { tenant, user: user.user, id: t.id }),
						`${t.name} is revoked.`,
					);
					tokens.reload();
				}}>Revoke</button>`,
		},
	];
	return html`<${Dialog} title="App passwords of ${user.user}" close=${close} wide>
		<${Answer} of=${tokens} what="app passwords"><${Table} name="App passwords" columns=${columns}
			rows=${items(tokens)} rowKey=${(t) => t.id} empty="None yet." /><//>
		${made && html`<${Secret} label="The new password, shown this once" value=${made.password} />`}
		<h3>New app password</h3>
		<${Form} name="New app password" submit=${submit} action="Make" reset>
			<${Field} label="What it is for" name="name" required />
			<${Field} label="Valid for days" name="days" inputmode="numeric" help="Empty: until revoked." />
			<${Choice} legend="Opens" name="scope" several
				options=${['webdav', 'ftp', 'rest', 'web'].map((p) => ({ value: p, label: PROTOCOL_NAMES[p] }))} help="None chosen: every protocol." />
		<//>
		<div class="dialog-actions"><button type="button" onClick=${close}>Close</button></div>
	<//>`;
}

// Something that is told once.
export function Secret({ label, value }) {
	return html`<div class="note ok" role="status"><p><strong>${label}</strong></p>
		<p class="secret"><code>${value}</code></p></div>`;
}

// ---- groups ----

function NewGroup({ tenant, users, close, done }) {
	async function submit(v) {
		await call('group.add', {
			tenant,
			group: v.group,
			members: v.members && v.members.length ? v.members : undefined,
		});
		done();
	}
	return html`<${Dialog} title="New group of ${tenant}" close=${close}>
		<${Form} name="New group" submit=${submit} action="Make group" cancel=${close}>
			<${Field} label="Name" name="group" required />
			${users.length > 0 && users.length <= 100 && html`<${Choice} legend="Members"
				name="members" several
				options=${users.map((u) => ({ value: u.user, label: u.user }))} />`}
		<//>
	<//>`;
}

function Members({ tenant, group, users, close, done }) {
	const many = users.length > 100;
	const before = group.members || [];
	async function submit(v) {
		const join = many ? words(v.join) : v.members.filter((m) => !before.includes(m));
		const leave = many ? words(v.leave) : before.filter((m) => !v.members.includes(m));
		if (join.length) await call('group.join', { tenant, group: group.group, members: join });
		if (leave.length) await call('group.leave', { tenant, group: group.group, members: leave });
		done();
	}
	return html`<${Dialog} title="Members of ${group.group}" close=${close}>
		<${Form} name="Members" submit=${submit} action="Store" cancel=${close}>
			${
				many
					? html`<${Field} label="Add" name="join" help="Users, with spaces between." />
						<${Field} label="Take out" name="leave" />`
					: html`<${Choice} legend="Members" name="members" several value=${before}
						options=${users.map((u) => ({ value: u.user, label: u.user }))} />`
			}
		<//>
	<//>`;
}

async function removeGroup(tenant, g, reload) {
	const yes = await ask({
		title: `Remove group ${g.group}?`,
		body: html`<p>What the group was allowed or denied goes with it. Its members stay.</p>`,
		action: 'Remove group',
		danger: true,
	});
	if (yes) await attempt(() => call('group.remove', { tenant, group: g.group }), `Group ${g.group} is removed.`);
	reload();
}
