// Where the console begins: who is signed in, the frame around the pages, and which page an address means.
import { html, render, useEffect, useState } from './lib.mjs';
import * as api from './api.mjs';
import * as live from './live.mjs';
import { app, toast, useStore } from './store.mjs';
import { Questions, Status, Toasts } from './ui.mjs';
import { SignIn } from './pages/signin.mjs';
import { Overview } from './pages/overview.mjs';
import { Sessions } from './pages/sessions.mjs';
import { Audit } from './pages/audit.mjs';
import { Health } from './pages/health.mjs';
import { Switchboard } from './pages/switchboard.mjs';
import { Breakers } from './pages/breakers.mjs';
import { Tenants } from './pages/tenants.mjs';
import { Flags } from './pages/flags.mjs';
import { People } from './pages/people.mjs';
import { Rights } from './pages/rights.mjs';
import { Locks } from './pages/locks.mjs';
import { Operators } from './pages/operators.mjs';

const GROUPS = [
	{
		name: 'Watch',
		pages: [
			['overview', 'Overview', Overview],
			['sessions', 'Sessions', Sessions],
			['audit', 'Audit', Audit],
			['health', 'Health', Health],
		],
	},
	{
		name: 'Steer',
		pages: [
			['switchboard', 'Switchboard', Switchboard],
			['breakers', 'Breakers', Breakers],
			['tenants', 'Tenants', Tenants],
			['flags', 'Flags', Flags],
		],
	},
	{
		name: 'People and files',
		pages: [
			['people', 'Users and groups', People],
			['rights', 'Rights', Rights],
			['locks', 'Locks', Locks],
		],
	},
	{ name: 'Console', pages: [['operators', 'Operators', Operators]] },
];
const PAGES = new Map(GROUPS.flatMap((g) => g.pages.map(([key, , page]) => [key, page])));

// #/tenants/acme?x=1 -> {page: 'tenants', rest: ['acme'], query}
function place() {
	const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
	const [page, ...rest] = path.split('/').map((part) => {
		try {
			return decodeURIComponent(part);
		} catch {
			return part;
		}
	});
	return { page: PAGES.has(page) ? page : 'overview', rest, query: new URLSearchParams(query || '') };
}

const STREAM = {
	live: ['ok', 'Live'],
	connecting: ['info', 'Connecting'],
	lost: ['warn', 'Reconnecting'],
	off: ['off', 'Not live'],
};

function Header({ menu, setMenu }) {
	const who = useStore(app, (s) => s.who);
	const stream = useStore(app, (s) => s.stream);
	const [kind, word] = STREAM[stream];
	async function leave() {
		live.stop();
		live.forget();
		try {
			await api.signOut();
			app.set({ phase: 'signed-out', who: null, note: 'You are signed out.' });
		} catch (error) {
			app.set({ phase: 'signed-out', who: null, note: '' });
			toast(`${error.message} Your session may still be open there; it ends by itself.`, {
				kind: 'bad',
			});
		}
	}
	return html`<header class="top">
		<button type="button" class="menu" aria-expanded=${menu} aria-controls="pages"
			onClick=${() => setMenu(!menu)}>Menu</button>
		<a class="brand" href="#/overview"><img src="console/icon.svg" alt="" width="26"
			height="26" /> Gatehouse</a>
		<span class="stream" role="status" aria-label="Live data"><${Status} kind=${kind}>${word}<//></span>
		<span class="who" title="Signed in as ${who.name}, ${who.role}"><b>${who.name}</b> ${who.role}</span>
		<button type="button" onClick=${leave}>Sign out</button>
	</header>`;
}

function Navigation({ page, open }) {
	return html`<nav id="pages" class=${open ? 'open' : ''} aria-label="Pages">
		${GROUPS.map(
			(g) => html`<div class="nav-group" key=${g.name}>
			<p class="nav-title">${g.name}</p>
			<ul>${g.pages.map(
				([key, label]) => html`<li key=${key}>
				<a href="#/${key}" aria-current=${key === page ? 'page' : undefined}>${label}</a>
			</li>`,
			)}</ul>
		</div>`,
		)}
	</nav>`;
}

function Frame() {
	const [at, setAt] = useState(place);
	const [menu, setMenu] = useState(false);
	const role = useStore(app, (s) => s.who && s.who.role);
	useEffect(() => {
		const moved = () => {
			setAt(place());
			setMenu(false);
			scrollTo(0, 0);
			// Who listens or uses keys goes on at the new page, not at the link of the old one.
			setTimeout(() => document.getElementById('page-title')?.focus({ preventScroll: true }));
		};
		addEventListener('hashchange', moved);
		return () => removeEventListener('hashchange', moved);
	}, []);
	const Shown = PAGES.get(at.page);
	return html`<div class="frame">
		<a class="skip" href="#content" onClick=${(event) => {
			event.preventDefault();
			document.getElementById('content').focus();
		}}>Skip to the page</a>
		<${Header} menu=${menu} setMenu=${setMenu} />
		<${Navigation} page=${at.page} open=${menu} />
		<main id="content" tabindex="-1">
			${role === 'viewer' && html`<p
				class="note info slim">You are a viewer: everything can be looked at, nothing changed.</p>`}
			<${Shown} key=${at.page + at.rest.join('/')} rest=${at.rest} query=${at.query} />
		</main>
	</div>`;
}

function Console() {
	const phase = useStore(app, (s) => s.phase);
	if (phase === 'loading') return html`<main class="alone" aria-busy="true"><p>Loading the console …</p></main>`;
	return html`${phase === 'signed-in' ? html`<${Frame} />` : html`<${SignIn} enter=${enter} />`}
		<${Questions} /><${Toasts} />`;
}

async function enter(who) {
	const ops = await api.operations();
	app.set({ phase: 'signed-in', who, ops, note: '' });
	live.start();
}

api.onSignedOut(() => {
	if (app.get().phase !== 'signed-in') return;
	live.stop();
	app.set({
		phase: 'signed-out',
		who: null,
		note: 'Your session has ended. Sign in again to go on where you were.',
	});
});

async function begin() {
	try {
		await enter(await api.session());
	} catch (error) {
		app.set({ phase: 'signed-out', note: error.status === 401 ? '' : `${error.message} ${error.advice}` });
	}
}

render(html`<${Console} />`, document.getElementById('app'));
begin();
