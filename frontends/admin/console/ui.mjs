// What pages are built from: headings, notes, tables, status words, dialogs, messages. Nothing here knows the gateway.
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from './lib.mjs';
import { app, createStore, dropToast, toast, useStore } from './store.mjs';

// ---- page ----

export function Page({ title, lead, actions, children }) {
	useEffect(() => {
		document.title = `${title} · Gatehouse`;
	}, [title]);
	return html`<div class="page">
		<header class="page-head">
			<div>
				<h1 tabindex="-1" id="page-title">${title}</h1>
				${lead && html`<p class="lead">${lead}</p>`}
			</div>
			${actions && html`<div class="actions">${actions}</div>`}
		</header>
		${children}
	</div>`;
}

export function Section({ title, lead, actions, children, id }) {
	const own = useId();
	const heading = id || own;
	return html`<section class="panel" aria-labelledby=${heading}>
		<header class="panel-head">
			<div>
				<h2 id=${heading} tabindex=${id ? -1 : undefined}>${title}</h2>
				${lead && html`<p class="hint">${lead}</p>`}
			</div>
			${actions && html`<div class="actions">${actions}</div>`}
		</header>
		${children}
	</section>`;
}

// ---- status: a colour, a shape and a word ----

const SHAPES = { ok: '●', warn: '▲', bad: '■', info: '◆', off: '○' };

export const Status = ({ kind, children }) =>
	html`<span class="status ${kind}"><span class="shape" aria-hidden="true">${SHAPES[kind]}</span>${children}
		</span>`;

// ---- notes ----

export function ErrorNote({ error, again }) {
	if (!error) return null;
	return html`<div class="note bad" role="alert">
		<p><strong>${error.message}</strong></p>
		<p>${error.advice || 'Please try again.'}</p>
		${again && html`<p><button type="button" onClick=${again}>Try again</button></p>`}
	</div>`;
}

export const Unavailable = ({ what }) => html`<div class="note info">
	<p><strong>This gateway does not offer ${what}.</strong></p>
	<p>Another release, or its configuration, may. Everything else on these pages works.</p>
</div>`;

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

// What an asking came to: nothing yet, not offered, an error, or its children. What was there before stays in sight.
export function Answer({ of, what, children }) {
	if (of.missing) return html`<${Unavailable} what=${what} />`;
	if (!of.data && of.error) return html`<${ErrorNote} error=${of.error} again=${of.reload} />`;
	if (!of.data) return html`<p class="empty" aria-busy="true">Loading …</p>`;
	return html`${of.error && html`<${ErrorNote} error=${of.error} again=${of.reload} />`}${children}`;
}

// ---- tables: cards where there is little room ----

// columns: {label, value: row -> what is sorted by, cell?: row -> what is shown, num?, wide?}; name: for those who
// listen
export function Table({ name, columns, rows, rowKey, empty, sort: first }) {
	const [sort, setSort] = useState(first || null); // {column, down}
	if (!rows.length) return html`<${Empty}>${empty || 'Nothing here.'}<//>`;
	let shown = rows;
	const by = sort && columns[sort.column];
	if (by && by.value) {
		const direction = sort.down ? -1 : 1;
		shown = [...rows].sort((a, b) => direction * compare(by.value(a), by.value(b)));
	}
	const turn = (i) =>
		setSort(
			sort && sort.column === i
				? { column: i, down: !sort.down }
				: { column: i, down: Boolean(columns[i].num) },
		);
	return html`<div class="table-box">
		<table role="table" aria-label=${name}>
			<thead role="rowgroup">
				<tr role="row">
					${columns.map(
						(
							c,
							i,
						) => html`<th role="columnheader" scope="col"
							class=${c.num ? 'num' : ''}
						aria-sort=${sort && sort.column === i ? (sort.down ? 'descending' : 'ascending') : undefined}>
						${
							c.value && c.label
								? html`<button type="button" class="sort"
									onClick=${() => turn(i)}>${c.label}<span
							aria-hidden="true">
								${sort && sort.column === i ? (sort.down ? ' ↓' : ' ↑') : ''}</span></button>`
								: c.label || html`<span class="unseen">Actions</span>`
						}
					</th>`,
					)}
				</tr>
			</thead>
			<tbody role="rowgroup">
				${shown.map(
					(row, n) => html`<tr role="row" key=${rowKey ? rowKey(row) : n}>
					${columns.map(
						(
							c,
						) => html`<td role="cell"
							class=${[c.num && 'num', c.wide && 'wide', !c.label && 'row-actions'].filter(Boolean).join(' ')}
						data-label=${c.label}><div class="cell">
							${c.cell ? c.cell(row) : c.value(row)}</div></td>`,
					)}
				</tr>`,
				)}
			</tbody>
		</table>
	</div>`;
}

function compare(a, b) {
	if (typeof a === 'number' && typeof b === 'number') return a - b;
	return String(a ?? '').localeCompare(String(b ?? ''), 'en', { numeric: true });
}

// ---- bars ----

// part: 0..1. The width is set by the style object, which a strict policy lets scripts do.
export function Meter({ part, label, kind }) {
	const value = Math.round(Math.max(0, Math.min(1, part || 0)) * 100);
	return html`<span class="meter ${kind || ''}" role="meter" aria-valuemin="0" aria-valuemax="100"
		aria-valuenow=${value}
		aria-label=${label}><span style=${{ width: `${value}%` }}></span></span>`;
}

// ---- dialogs ----

export function Dialog({ title, close, children, wide }) {
	const box = useRef(null);
	const heading = useId();
	useLayoutEffect(() => {
		const dialog = box.current;
		const before = document.activeElement;
		dialog.showModal();
		return () => {
			if (dialog.open) dialog.close();
			if (before && before.isConnected) before.focus();
		};
	}, []);
	return html`<dialog ref=${box} class=${wide ? 'wide' : ''} aria-labelledby=${heading}
		onCancel=${(event) => {
			event.preventDefault();
			close();
		}}>
		<h2 id=${heading} tabindex="-1" autofocus>${title}</h2>
		${children}
	</dialog>`;
}

const question = createStore({ asked: null });

// Asks before something is done. {title, body, action, danger} -> true or false.
export const ask = (about) => new Promise((resolve) => question.set({ asked: { ...about, resolve } }));

export function Questions() {
	const asked = useStore(question, (s) => s.asked);
	if (!asked) return null;
	const answer = (yes) => {
		question.set({ asked: null });
		asked.resolve(yes);
	};
	return html`<${Dialog} title=${asked.title} close=${() => answer(false)}>
		<div class="dialog-body">${asked.body}</div>
		<div class="dialog-actions">
			<button type="button" onClick=${() => answer(false)}>Cancel</button>
			<button type="button" class=${asked.danger ? 'danger' : 'primary'}
				onClick=${() => answer(true)}>${asked.action}</button>
		</div>
	<//>`;
}

// ---- messages ----

export function Toasts() {
	const toasts = useStore(app, (s) => s.toasts);
	return html`<div class="toasts" role="status" aria-live="polite" aria-label="Messages">
		${toasts.map(
			(t) => html`<div class="toast ${t.kind}" key=${t.id}>
			<p><${Status} kind=${t.kind}>${t.text}<//></p>
			<div class="actions">
				${
					t.undo &&
					html`<button type="button" onClick=${() => {
						dropToast(t.id);
						t.undo();
					}}>Undo</button>`
				}
				<button type="button" class="quiet" aria-label="Dismiss this message"
					onClick=${() => dropToast(t.id)}>✕</button>
			</div>
		</div>`,
		)}
	</div>`;
}

// Does something that may fail; says what became of it. Gives whether it went well.
export async function attempt(fn, done, more) {
	try {
		const result = await fn();
		if (done) toast(typeof done === 'function' ? done(result) : done, more);
		return true;
	} catch (error) {
		toast(`${error.message} ${error.advice || ''}`, { kind: 'bad' });
		return false;
	}
}
