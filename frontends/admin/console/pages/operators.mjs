// Who may sign in here and what their role is; the second factor; tokens for programs.
import { html, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { app, may, useStore } from '../store.mjs';
import { items, useOp } from '../use.mjs';
import { Answer, Dialog, ErrorNote, Page, Section, Status, Table, ask, attempt } from '../ui.mjs';
import { Check, Field, Form, number } from '../form.mjs';
import { Secret } from './people.mjs';

const ROLES = [
	{ value: 'viewer', label: 'viewer: looks' },
	{ value: 'operator', label: 'operator: works the gate' },
	{ value: 'owner', label: 'owner: also people and operators' },
];

export function Operators() {
	const operators = useOp('operator.list', {}, { on: 'operator' });
	const tokens = useOp('operator.token.list', {}, { on: 'operator' });
	const me = useStore(app, (s) => s.who && s.who.name);
	const [open, setOpen] = useState(null);
	const close = () => setOpen(null);
	const done = () => {
		close();
		operators.reload();
		tokens.reload();
	};
	const name = (o) => o.name || o.operator;
	const columns = [
		{
			label: 'Name',
			value: name,
			cell: (o) => html`${name(o)}${name(o) === me ? html` <span class="dim">(you)</span>` : ''}`,
		},
		{ label: 'Role', value: (o) => o.role },
		{
			label: 'State',
			value: (o) => (o.disabled ? 1 : 0),
			cell: (o) =>
				html`<${Status} kind=${o.disabled ? 'off' : 'ok'}>${o.disabled ? 'Disabled' : 'Enabled'}
					<//>`,
		},
		{
			label: 'One-time codes',
			value: (o) => (o.totp ? 1 : 0),
			cell: (o) => html`<${Status} kind=${o.totp ? 'ok' : 'warn'}>${o.totp ? 'On' : 'Off'}<//>`,
		},
		...(may('operator.set') || may('operator.totp')
			? [
					{
						label: '',
						cell: (o) => html`
			${may('operator.totp') && html`<button type="button" aria-label="One-time codes of ${name(o)}"
				onClick=${() => setOpen({ what: 'totp', name: name(o), on: o.totp })}>Codes</button>`}
			${may('operator.set') && html`<button type="button" aria-label="Change ${name(o)}"
				onClick=${() => setOpen({ what: 'change', operator: { ...o, name: name(o) } })}>Change</button>`}`,
					},
				]
			: []),
	];
	const tokenColumns = [
		{ label: 'Name', value: (t) => t.name },
		{ label: 'Role', value: (t) => t.role },
		{ label: 'Made', value: (t) => t.made || '', cell: (t) => format.time(t.made) },
		{
			label: 'Ends',
			value: (t) => t.expires || '',
			cell: (t) => (t.expires ? format.left(t.expires) : 'never'),
		},
		...(may('operator.token.revoke')
			? [
					{
						label: '',
						cell: (t) =>
							html`<button type="button" aria-label="Revoke token ${t.name}"
								onClick=${() => revoke(t, tokens.reload)}>Revoke</button>`,
					},
				]
			: []),
	];
	return html`<${Page} title="Operators" lead="Who may sign in to this console and use the admin API. They are nobody's users and see no files.">
		<${Section} title="Operators" actions=${may('operator.add') && html`<button type="button"
			class="primary" onClick=${() => setOpen({ what: 'new' })}>New operator</button>`}>
			<${Answer} of=${operators} what="operators"><${Table} name="Operators" columns=${columns}
				rows=${items(operators)} rowKey=${name} sort=${{ column: 0, down: false }}
				empty="There is none." /><//>
		<//>
		<${Section} title="Tokens" lead="For programs: sent as “Authorization: Bearer …”."
			actions=${may('operator.token.add') && html`<button type="button"
				onClick=${() => setOpen({ what: 'token' })}>New token</button>`}>
			<${Answer} of=${tokens} what="tokens"><${Table} name="Tokens" columns=${tokenColumns}
				rows=${items(tokens)} rowKey=${(t) => t.id} empty="There is none." /><//>
		<//>
		${open && open.what === 'new' && html`<${New} close=${close} done=${done} />`}
		${open && open.what === 'change' && html`<${Change} operator=${open.operator} close=${close}
			done=${done} />`}
		${open && open.what === 'totp' && html`<${Codes} name=${open.name} on=${open.on} close=${done} />`}
		${open && open.what === 'token' && html`<${Token} close=${done} />`}
	<//>`;
}

function New({ close, done }) {
	async function submit(v) {
		await call('operator.add', v);
		done();
	}
	return html`<${Dialog} title="New operator" close=${close}>
		<${Form} name="New operator" submit=${submit} action="Make operator" cancel=${close}>
			<${Field} label="Name" name="name" required />
			<${Field} label="Password" name="password" type="password"
				autocomplete="new-password" required />
			<${Field} label="Role" name="role" value="operator" options=${ROLES} />
		<//>
	<//>`;
}

function Change({ operator, close, done }) {
	async function submit(v) {
		const change = { name: operator.name, password: v.password };
		if (v.role !== operator.role) change.role = v.role;
		if (v.disabled !== Boolean(operator.disabled)) change.disabled = v.disabled;
		if (change.password || change.role || change.disabled !== undefined) await call('operator.set', change);
		done();
	}
	async function remove() {
		close();
		const yes = await ask({
			title: `Remove ${operator.name}?`,
			body: html`<p><b>${operator.name}</b> can no longer sign in, and is signed out everywhere.</p>`,
			action: 'Remove operator',
			danger: true,
		});
		if (yes)
			await attempt(
				() => call('operator.remove', { name: operator.name }),
				`${operator.name} is removed.`,
			);
		done();
	}
	return html`<${Dialog} title="Change ${operator.name}" close=${close}>
		<${Form} name="Change operator" submit=${submit} action="Store" cancel=${close}>
			<${Field} label="Role" name="role" value=${operator.role} options=${ROLES} />
			<${Field} label="New password" name="password" type="password" autocomplete="new-password"
				help="Empty: stays as it is." />
			<${Check} label="Disabled: cannot sign in" name="disabled" checked=${operator.disabled} />
		<//>
		${may('operator.remove') && html`<div class="dialog-extra"><button type="button" class="danger"
			onClick=${remove}>Remove …</button></div>`}
	<//>`;
}

function Codes({ name, on, close }) {
	const [secret, setSecret] = useState(null);
	const [error, setError] = useState(null);
	async function turn(to) {
		setError(null);
		try {
			const answer = await call('operator.totp', { name, on: to });
			if (to) setSecret(answer);
			else close();
		} catch (problem) {
			setError(problem);
		}
	}
	return html`<${Dialog} title="One-time codes of ${name}" close=${close}>
		${
			secret
				? html`
			<p>Put this into an authenticator now: it is not shown again. From the next sign-in on, ${name} is asked for the code.</p>
			<${Secret} label="Secret" value=${secret.secret.replace(/(.{4})(?=.)/g, '$1 ')} />
			<p>Or as an address, which many authenticators open on a phone:</p>
			<p class="secret"><a href=${/^otpauth:/.test(secret.uri) ? secret.uri : undefined}><code>
				${secret.uri}</code></a></p>`
				: html`<p>${
						on
							? 'A code of an authenticator is asked for at every sign-in, after the password.'
							: 'Only the password is asked for. With one-time codes, a password that was found out is not enough.'
					}</p>`
		}
		<${ErrorNote} error=${error} />
		<div class="dialog-actions">
			<button type="button" onClick=${close}>${secret ? 'Done' : 'Cancel'}</button>
			${!secret && on && html`<button type="button" class="danger"
				onClick=${() => turn(false)}>Turn off</button>`}
			${!secret && html`<button type="button" class="primary" onClick=${() => turn(true)}>
				${on ? 'Make a new secret' : 'Turn on'}</button>`}
		</div>
	<//>`;
}

function Token({ close }) {
	const [made, setMade] = useState(null);
	async function submit(v) {
		setMade(await call('operator.token.add', { name: v.name, role: v.role, days: number(v.days, 'Days') }));
	}
	return html`<${Dialog} title="New token" close=${close}>
		${
			made
				? html`<${Secret} label="The token, shown this once" value=${made.token} />
			<div class="dialog-actions"><button type="button" onClick=${close}>Done</button></div>`
				: html`<${Form} name="New token" submit=${submit} action="Make token" cancel=${close}>
			<${Field} label="What it is for" name="name" required />
			<${Field} label="Role" name="role" value="viewer" options=${ROLES} />
			<${Field} label="Valid for days" name="days" inputmode="numeric" help="Empty: until revoked." />
		<//>`
		}
	<//>`;
}

async function revoke(t, reload) {
	const yes = await ask({
		title: `Revoke token ${t.name}?`,
		body: html`<p>Programs that use it are refused from now on.</p>`,
		action: 'Revoke token',
		danger: true,
	});
	if (yes) await attempt(() => call('operator.token.revoke', { id: t.id }), `Token ${t.name} is revoked.`);
	reload();
}
