// Signing in: name and password, and the one-time code when the gateway asks for it.
import { html, useEffect, useState } from '../lib.mjs';
import * as api from '../api.mjs';
import { app, useStore } from '../store.mjs';
import { Field, Form } from '../form.mjs';

export function SignIn({ enter }) {
	const note = useStore(app, (s) => s.note);
	const [first, setFirst] = useState(null); // name and password, once they were right and a code is wanted
	useEffect(() => {
		document.title = 'Sign in · Gatehouse';
	}, []);
	async function submit(values) {
		const all = first
			? { ...first, code: values.code.replace(/\s/g, '') }
			: { name: values.name, password: values.password };
		try {
			const who = await api.signIn(all);
			await enter(who);
		} catch (error) {
			if (error.reason === 'code' && !first) {
				setFirst(all);
				return;
			}
			if (error.reason === 'code')
				throw {
					message: 'This code is not right, or no longer.',
					advice: 'Take the one your authenticator shows now. Each works once.',
				};
			if (error.reason === 'unauth') {
				setFirst(null);
				throw {
					message: 'Name or password is wrong.',
					advice: 'An owner can set a new password: gatehouse operator set NAME --password-stdin.',
				};
			}
			throw error;
		}
	}
	return html`<main class="alone sign-in">
		<p class="brand"><img src="console/icon.svg" alt="" width="40" height="40" /> Gatehouse</p>
		<h1>${first ? 'One-time code' : 'Sign in'}</h1>
		${note && html`<p class="note info" role="status">${note}</p>`}
		${
			first
				? html`<${Form} key="code" name="One-time code" submit=${submit} action="Sign in"
					cancel=${() => setFirst(null)}>
				<${Field} label="Code" name="code" inputmode="numeric"
					autocomplete="one-time-code" required autofocus maxlength="8"
					help="Six digits, from the authenticator of ${first.name}." ref=${focus} />
			<//>`
				: html`<${Form} key="name" name="Sign in" submit=${submit} action="Sign in">
				<${Field} label="Name" name="name" autocomplete="username"
					autocapitalize="none" required autofocus />
				<${Field} label="Password" name="password" type="password"
					autocomplete="current-password" required />
			<//>`
		}
	</main>`;
}

const focus = (field) => field && field.focus && field.focus();
