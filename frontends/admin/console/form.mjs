// Forms: labelled fields, and one way to send them.
import { html, useId, useRef, useState } from './lib.mjs';
import { ErrorNote } from './ui.mjs';

// submit: async values -> anything; an error of it is shown above the buttons and the form keeps what was typed.
// reset: empty the fields afterwards. Without action there is no button: what is typed or chosen holds at once
// (onInput).
export function Form({ submit, action, cancel, children, danger, reset, inline, name, onInput }) {
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(null);
	const box = useRef(null);
	async function send(event) {
		event.preventDefault();
		if (busy) return;
		setBusy(true);
		setError(null);
		try {
			await submit(read(box.current));
			if (reset && box.current) box.current.reset();
		} catch (problem) {
			setError(problem);
		}
		setBusy(false);
	}
	return html`<form ref=${box} class=${inline ? 'inline' : ''} onSubmit=${send}
		onInput=${onInput && (() => onInput(read(box.current)))}
		aria-label=${name} aria-busy=${busy}>
		<div class="fields">${children}</div>
		<${ErrorNote} error=${error} />
		<div class="form-actions">
			${action && html`<button type="submit" class=${danger ? 'danger' : 'primary'}
				aria-disabled=${busy}>${busy ? 'Working …' : action}</button>`}
			${cancel && html`<button type="button" onClick=${cancel}>Cancel</button>`}
		</div>
	</form>`;
}

// Values by name: checkboxes of one name with a value become a list, one alone true or false.
export function read(form) {
	const values = {};
	for (const field of form.elements) {
		if (!field.name) continue;
		if (field.type === 'checkbox' && field.dataset.list) {
			values[field.name] = values[field.name] || [];
			if (field.checked) values[field.name].push(field.value);
		} else if (field.type === 'checkbox') {
			values[field.name] = field.checked;
		} else if (field.type === 'radio') {
			if (field.checked) values[field.name] = field.value;
		} else {
			values[field.name] = field.type === 'password' ? field.value : field.value.trim();
		}
	}
	return values;
}

export function Field({ label, help, name, type = 'text', options, value, area, ...more }) {
	const id = useId();
	const about = help ? `${id}-help` : undefined;
	const given = { id, name, 'aria-describedby': about, ...more };
	let control;
	if (options)
		control = html`<select ...${given}>
			${options.map((o) => html`<option value=${o.value} selected=${o.value === value}>${o.label}
				</option>`)}
		</select>`;
	else if (area) control = html`<textarea rows="2" ...${given} defaultValue=${value}></textarea>`;
	else
		control = html`<input type=${type} autocomplete="off" spellcheck=${false} ...${given}
			defaultValue=${value} />`;
	return html`<div class="field ${more.required ? 'required' : ''}">
		<label for=${id}>${label}</label>
		${control}
		${help && html`<p class="hint" id=${about}>${help}</p>`}
	</div>`;
}

export function Check({ label, help, name, checked, ...more }) {
	const id = useId();
	return html`<div class="field check">
		<input type="checkbox" id=${id} name=${name} defaultChecked=${checked}
			aria-describedby=${help ? `${id}-help` : undefined} ...${more} />
		<label for=${id}>${label}</label>
		${help && html`<p class="hint" id="${id}-help">${help}</p>`}
	</div>`;
}

// Several of a few: checkboxes, or one of a few: radio buttons. options: {value, label, help}
export function Choice({ legend, help, name, options, value, several }) {
	const id = useId();
	return html`<fieldset aria-describedby=${help ? `${id}-help` : undefined}>
		<legend>${legend}</legend>
		<div class=${several ? 'choices' : 'choices tall'}>
			${options.map(
				(o, i) => html`<div class="choice">
				<input type=${several ? 'checkbox' : 'radio'} id="${id}-${i}" name=${name}
					value=${o.value} data-list=${several ? 1 : undefined}
					defaultChecked=${several ? (value || []).includes(o.value) : o.value === value}
					aria-describedby=${o.help ? `${id}-${i}-help` : undefined} />
				<label for="${id}-${i}">${o.label}</label>
				${o.help && html`<p class="hint" id="${id}-${i}-help">${o.help}</p>`}
			</div>`,
			)}
		</div>
		${help && html`<p class="hint" id="${id}-help">${help}</p>`}
	</fieldset>`;
}

// ---- texts that were typed, as what an operation takes ----

// '' -> undefined (leave alone); throws what is wrong.
export function number(text, label) {
	if (text === '' || text === undefined) return undefined;
	const n = Number(text);
	if (!Number.isInteger(n) || n < 0) throw new Error(`${label}: a whole number, please.`);
	return n;
}

// 500, 10 GiB, 1.5T -> bytes
export function size(text, label) {
	if (text === '' || text === undefined) return undefined;
	const match = /^([0-9]+(?:\.[0-9]+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text);
	if (!match) throw new Error(`${label}: a size such as 500 MiB or 2 TiB, please.`);
	return Math.round(Number(match[1]) * 1024 ** ' kmgtp'.indexOf(match[2].toLowerCase() || ' '));
}

export const words = (text) => (text || '').split(/[\s,]+/).filter(Boolean);
