// What every page shares: who is signed in, what the gateway can do, the state of the event stream, changes, messages.
import { useState, useEffect } from './lib.mjs';

export function createStore(state) {
	const listeners = new Set();
	return {
		get: () => state,
		set(patch) {
			state = { ...state, ...patch };
			for (const fn of [...listeners]) fn(state);
		},
		subscribe(fn) {
			listeners.add(fn);
			return () => listeners.delete(fn);
		},
	};
}

// The part of a store that select takes; a component is drawn again when that part is another.
export function useStore(store, select = (s) => s) {
	const [part, setPart] = useState(() => select(store.get()));
	useEffect(() => {
		const update = (s) => setPart(() => select(s));
		update(store.get());
		return store.subscribe(update);
	}, [store]);
	return part;
}

export const app = createStore({
	phase: 'loading', // loading, signed-out, signed-in
	note: '', // why one is signed out
	who: null, // {name, role}
	ops: null, // Map of operation -> role; null: not known
	stream: 'off', // off, connecting, live, lost, missing
	changes: {}, // what -> how often it changed since
	toasts: [],
});

export function changed(what) {
	const { changes } = app.get();
	app.set({ changes: { ...changes, [what]: (changes[what] || 0) + 1 } });
}

const ROLES = { viewer: 0, operator: 1, owner: 2 };
const LOOKS = /\.(list|describe|now|history|explain)$|^(status|doctor|fsck)$/;

// Does the gateway have it?
export function has(op) {
	const { ops } = app.get();
	return !ops || ops.has(op);
}

// May the one who is signed in? Only to leave out what would be refused: the gateway decides.
export function may(op) {
	const { ops, who } = app.get();
	if (!who || !has(op)) return false;
	const needed = (ops && ops.get(op)) || (LOOKS.test(op) ? 'viewer' : 'operator');
	return (ROLES[who.role] ?? 0) >= (ROLES[needed] ?? 2);
}

let toastId = 0;

// text, and perhaps {undo: fn, kind: 'ok' | 'bad', stay: true}
export function toast(text, more = {}) {
	const id = ++toastId;
	app.set({ toasts: [...app.get().toasts, { id, text, kind: 'ok', ...more }] });
	if (!more.stay) setTimeout(() => dropToast(id), more.undo ? 20000 : 8000);
	return id;
}

export function dropToast(id) {
	app.set({ toasts: app.get().toasts.filter((t) => t.id !== id) });
}
