// Shutting doors and opening them: the rules that are in force, and setting one. Nothing is set before the gateway has
// told what it would hit and that was confirmed.
import { html, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { may, toast } from '../store.mjs';
import { items, useNow, useOp } from '../use.mjs';
import { Answer, Dialog, ErrorNote, Page, Section, Status, Table, ask, attempt } from '../ui.mjs';
import { Check, Choice, Field, Form } from '../form.mjs';
import { CLASS_NAMES, MODES, PROTOCOL_NAMES, hit, scope } from '../words.mjs';

const DURATIONS = [
	{ value: '900', label: '15 minutes' },
	{ value: '3600', label: '1 hour' },
	{ value: '14400', label: '4 hours' },
	{ value: '86400', label: '1 day' },
	{ value: '604800', label: '1 week' },
	{ value: '', label: 'until it is cleared' },
];

export function Switchboard({ query }) {
	const rules = useOp('switch.list', {}, { on: 'switch', every: 15 });
	const [setting, setSetting] = useState(query.has('tenant'));
	return html`<${Page} title="Switchboard" lead="Shut exactly the door that is on fire. The most specific rule wins; each ends by itself when its time is over."
		actions=${may('switch.set') && !setting && html`<button type="button" class="primary"
			onClick=${() => setSetting(true)}>Set a rule</button>`}>
		${setting && html`<${Setting} rules=${items(rules)} tenant=${query.get('tenant') || ''}
			close=${() => setSetting(false)} reload=${rules.reload} />`}
		<${Section} title="In force">
			<${Answer} of=${rules} what="a switchboard"><${Rules} rules=${items(rules)}
				reload=${rules.reload} /><//>
		<//>
	<//>`;
}

function Rules({ rules, reload }) {
	const now = useNow();
	const columns = [
		{
			label: 'Mode',
			value: (r) => r.mode,
			cell: (r) =>
				html`<${Status} kind=${(MODES[r.mode] || {}).kind || 'info'}>
					${(MODES[r.mode] || { label: r.mode }).label}<//>`,
		},
		{ label: 'For whom', wide: true, value: scope },
		{
			label: 'Message',
			wide: true,
			value: (r) => r.message || '',
			cell: (r) => (r.message ? html`<q>${r.message}</q>` : html`<span class="dim">none</span>`),
		},
		{
			label: 'Ends',
			num: true,
			value: (r) => +(format.toDate(r.expires) || 1e15),
			cell: (r) => html`<span title=${r.expires || ''}>${format.left(r.expires, now)}</span>`,
		},
		{
			label: 'Set by',
			value: (r) => r.who,
			cell: (r) => html`${r.who}<br /><span class="dim still">${format.time(r.made)}</span>`,
		},
		{
			label: 'Why',
			wide: true,
			value: (r) => r.why || '',
			cell: (r) => r.why || html`<span class="dim">not said</span>`,
		},
		...(may('switch.clear')
			? [
					{
						label: '',
						cell: (r) =>
							html`<button type="button"
								aria-label="Clear the rule: ${scope(r)}"
								onClick=${() => clear(r, reload)}>Clear</button>`,
					},
				]
			: []),
	];
	return html`<${Table} name="Rules in force" columns=${columns} rows=${rules} rowKey=${(r) => r.id}
		empty="No rule is set: every door is open." />`;
}

async function clear(rule, reload) {
	const yes = await ask({
		title: 'Clear this rule?',
		body: html`<p>${scope(rule)}: no longer <b>
			${(MODES[rule.mode] || { label: rule.mode }).label.toLowerCase()}
			</b>. It holds within a second.</p>`,
		action: 'Clear rule',
	});
	if (yes) await attempt(() => call('switch.clear', { id: rule.id }), 'The rule is cleared.');
	reload();
}

// As it was before: the rule goes, and what it replaced comes back.
async function undo(id, replaced, reload) {
	if (replaced)
		await attempt(() => call('switch.set', again(replaced)), 'The rule that was there before is back.');
	else await attempt(() => call('switch.clear', { id }), 'The rule is cleared.');
	reload();
}

const SCOPE = ['protocols', 'classes', 'tenant', 'user', 'host', 'pod', 'dc'];

// A rule as it was listed, as arguments that set it.
function again(r) {
	const args = { mode: r.mode, message: r.message || undefined, why: r.why || undefined, until: r.expires || undefined };
	for (const key of SCOPE) args[key] = r[key] && r[key].length ? r[key] : undefined;
	if (r.everywhere) args.everywhere = true;
	return args;
}

// Of two rules for the same the later replaces the earlier.
function sameScope(a, b) {
	const one = (v) => (Array.isArray(v) ? [...v].sort().join() : v || '');
	return SCOPE.every((key) => one(a[key]) === one(b[key]));
}

// ---- setting one ----

function rule(values) {
	const out = { mode: values.mode, message: values.message, why: values.why };
	for (const key of ['tenant', 'user', 'host', 'pod', 'dc']) out[key] = values[key] || undefined;
	for (const key of ['protocols', 'classes'])
		out[key] = values[key] && values[key].length ? values[key] : undefined;
	if (values.everywhere) out.everywhere = true;
	if (values.for_s) out.for_s = Number(values.for_s);
	return out;
}

function Setting({ rules, tenant, close, reload }) {
	const tenants = useOp('tenant.list');
	const [asked, setAsked] = useState(null); // {rule, hit}
	async function look(values) {
		const args = rule(values);
		if (args.user && !args.tenant) throw new Error('A user is known only within a tenant: say which.');
		const answer = await call('switch.set', { ...args, dry_run: true });
		setAsked({ rule: args, hit: answer.hit, replaced: rules.find((r) => sameScope(r, args)) });
	}
	return html`<${Section} title="Set a rule" lead="What is left empty means “any”. First you see what it would hit.">
		<${Form} name="Set a rule" submit=${look} action="See what it hits" cancel=${close}>
			<${Choice} legend="Mode" name="mode" value="off"
				options=${Object.entries(MODES).map(([value, m]) => ({ value, label: m.label, help: m.help }))} />
			<${Choice} legend="Protocols" name="protocols" several
				options=${Object.entries(PROTOCOL_NAMES).map(([value, label]) => ({ value, label }))}
				help="None chosen: all of them. FTP is every FTP session, FTP under TLS only those." />
			<${Choice} legend="Only for" name="classes" several
				options=${Object.entries(CLASS_NAMES).map(([value, label]) => ({ value, label }))}
				help="None chosen: everything one can do." />
			<${Field} label="Tenant" name="tenant" value=${tenant} list="tenant-names" />
			<datalist id="tenant-names">${items(tenants).map((t) => html`<option value=${t.tenant} />`)}
				</datalist>
			<${Field} label="User" name="user" help="Needs the tenant." />
			<${Field} label="For how long" name="for_s" value="3600" options=${DURATIONS} />
			<${Field} label="Message for users" name="message" maxlength="400" area
				help="One line. FTP says it in its reply, WebDAV and REST in the answer." />
			<${Field} label="Why" name="why" maxlength="400" area
				help="For the audit trail; users do not see it." />
			<details class="more-fields"><summary>Only some gateways, or everything</summary>
				<div class="fields">
					<${Field} label="Host" name="host" />
					<${Field} label="Pod" name="pod" />
					<${Field} label="Data centre" name="dc" />
					<${Check} label="The whole house" name="everywhere"
						help="A rule that names no protocol, tenant or place hits everybody, and needs this." />
				</div>
			</details>
		<//>
		${
			asked &&
			html`<${Confirm} asked=${asked} close=${() => setAsked(null)} reload=${reload} done=${() => {
				setAsked(null);
				close();
				reload();
			}} />`
		}
	<//>`;
}

function Confirm({ asked, close, done, reload }) {
	const [error, setError] = useState(null);
	const [busy, setBusy] = useState(false);
	const mode = MODES[asked.rule.mode];
	async function set() {
		if (busy) return;
		setBusy(true);
		try {
			const answer = await call('switch.set', asked.rule);
			const live = format.plural(answer.live_after, 'live session');
			const left = asked.rule.mode === 'on' ? '' : ` ${live} left after ${format.ms(answer.took_ms)}.`;
			toast(`${scope(asked.rule)}: ${mode.label.toLowerCase()}.${left}`, {
				undo: () => undo(answer.id, asked.replaced, reload),
			});
			done();
		} catch (problem) {
			setError(problem);
			setBusy(false);
		}
	}
	const howLong = asked.rule.for_s ? `for ${format.duration(asked.rule.for_s)}` : 'until it is cleared';
	return html`<${Dialog} title="This is what it hits" close=${close}>
		<div class="dialog-body">
			<p class="big"><${Status} kind=${mode.kind}>${mode.label}<//> ${scope(asked.rule)}, ${howLong}.</p>
			<p>Hits now: <b>${hit(asked.hit)}</b>. ${mode.help}</p>
			${asked.rule.message ? html`<p>Users read: <q>${asked.rule.message}</q></p>` : html`<p
				class="dim">Users get no message of yours.</p>`}
			${asked.replaced && html`<p>It replaces the rule for the same that ${asked.replaced.who || 'somebody'} set.</p>`}
			<${ErrorNote} error=${error} />
		</div>
		<div class="dialog-actions">
			<button type="button" onClick=${close}>Back</button>
			<button type="button" class=${mode.kind === 'ok' ? 'primary' : 'danger'} aria-disabled=${busy}
				onClick=${set}>${busy ? 'Working …' : 'Set it now'}</button>
		</div>
	<//>`;
}
