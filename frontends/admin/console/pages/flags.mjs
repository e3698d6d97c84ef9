// Feature flags: what they are set to, for whom; setting and clearing.
import { html, useState } from '../lib.mjs';
import * as format from '../format.mjs';
import { call } from '../api.mjs';
import { may } from '../store.mjs';
import { items, useOp } from '../use.mjs';
import { Answer, Dialog, Page, Section, Table, attempt } from '../ui.mjs';
import { Field, Form, number } from '../form.mjs';
import { scope } from '../words.mjs';

export function Flags() {
	const flags = useOp('flag.list', {}, { on: 'flag', every: 30 });
	const [chosen, setChosen] = useState(null);
	const columns = [
		{ label: 'Flag', value: (f) => f.key, cell: (f) => html`<code class="still">${f.key}</code>` },
		{ label: 'What it does', wide: true, value: (f) => f.help || '' },
		{
			label: 'Type',
			value: (f) => f.type || '',
			cell: (f) => html`<span class="still">${f.type}</span>`,
		},
		{ label: 'Normally', num: true, value: (f) => text(f.fallback) },
		{
			label: 'Now',
			wide: true,
			value: (f) => f.rules,
			cell: (f) =>
				f.rules
					? html`<${Rules} flag=${f} changed=${flags.reload} />`
					: html`<span class="dim">as normally, for all</span>`,
		},
		...(may('flag.set')
			? [
					{
						label: '',
						cell: (f) => html`<button type="button" aria-label="Set ${f.key}"
							onClick=${() => setChosen(f)}>Set</button>`,
					},
				]
			: []),
	];
	return html`<${Page} title="Flags" lead="Switches in the code of the gateway, for some tenants or a share of them: to try what is new, and to stop it.">
		<${Section} title="All flags"><${Answer} of=${flags} what="flags">
			<${Table} name="Flags" columns=${columns} rows=${items(flags)} rowKey=${(f) => f.key}
				empty="This release guards nothing by a flag." />
		<//><//>
		${
			chosen &&
			html`<${SetFlag} flag=${chosen} close=${() => setChosen(null)} done=${() => {
				setChosen(null);
				flags.reload();
			}} />`
		}
	<//>`;
}

const text = (value) => (value === true ? 'on' : value === false ? 'off' : String(value ?? ''));

// What is set for whom; the most specific wins, the rest is as normally.
function Rules({ flag, changed }) {
	const about = useOp('flag.describe', { key: flag.key }, { on: 'flag' });
	const rules = (about.data && about.data.rules) || [];
	async function clear(r) {
		await attempt(() => call('flag.clear', { id: r.id }), `${flag.key}: that rule is cleared.`);
		changed();
		about.reload();
	}
	return html`<ul class="plain">
		${rules.map((r) => html`<li key=${r.id}><b>${text(r.value)}</b> ${whom(r)}
			${may('flag.clear') && html` <button type="button" class="small" aria-label="Clear ${flag.key} ${whom(r)}"
				onClick=${() => clear(r)}>Clear</button>`}
		</li>`)}
	</ul>`;
}

function whom(r) {
	const share = r.percent && r.percent < 100 ? `, ${r.percent} % of tenants` : '';
	return `${scope(r).replace(/^Every protocol, /, '')}${share}${r.expires ? `, ${format.left(r.expires)}` : ''}`;
}

function SetFlag({ flag, close, done }) {
	const range = useOp('flag.describe', { key: flag.key }).data;
	const yesNo = /^bool/.test(flag.type || '');
	async function submit(v) {
		await call('flag.set', {
			key: flag.key,
			value: v.value,
			percent: number(v.percent, 'Share'),
			tenant: v.tenant,
			for_s: number(v.for_s, 'How long'),
			why: v.why,
		});
		done();
	}
	return html`<${Dialog} title="Set ${flag.key}" close=${close}>
		<p class="hint">${flag.help}</p>
		<${Form} name="Set ${flag.key}" submit=${submit} action="Set flag" cancel=${close}>
			${
				yesNo
					? html`<${Field} label="Value" name="value" value="true" options=${[
							{ value: 'true', label: 'on' },
							{ value: 'false', label: 'off' },
						]} />`
					: html`<${Field} label="Value" name="value" inputmode="numeric" required
						value=${String(flag.value ?? '')}
					help=${range ? `From ${range.min} to ${range.max}.` : undefined} />`
			}
			<${Field} label="Tenant" name="tenant" help="Empty: for all, or for the share below." />
			<${Field} label="Share of tenants, in percent" name="percent" inputmode="numeric"
				help="Empty: all. Growing it keeps who was in." />
			<${Field} label="For how long" name="for_s" options=${[
				{ value: '', label: 'until it is cleared' },
				{ value: '3600', label: '1 hour' },
				{ value: '86400', label: '1 day' },
				{ value: '604800', label: '1 week' },
			]} />
			<${Field} label="Why" name="why" maxlength="400" />
		<//>
	<//>`;
}
