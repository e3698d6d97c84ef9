// Asking the gateway from a component: a control operation whose answer is drawn, asked again when something changed.
import { call } from './api.mjs';
import { app, has, useStore } from './store.mjs';
import { useCallback, useEffect, useRef, useState } from './lib.mjs';

// every: seconds between askings (not while the page is hidden); on: ask again when this changed (event stream);
// skip: do not ask yet. Gives {data, error, loading, missing, reload}.
export function useOp(op, args = {}, { every = 0, on = '', skip = false } = {}) {
	const [state, setState] = useState({ data: null, error: null, loading: !skip, key: '' });
	const key = JSON.stringify([op, args]);
	const newest = useRef(0);
	const changes = useStore(app, (s) => (on ? s.changes[on] || 0 : 0));
	const missing = !has(op);

	const reload = useCallback(async () => {
		const turn = ++newest.current;
		if (skip || missing) return;
		try {
			const data = await call(op, args);
			if (turn === newest.current) setState({ data, error: null, loading: false, key });
		} catch (error) {
			if (turn === newest.current)
				setState((old) => ({
					data: old.key === key ? old.data : null,
					error,
					loading: false,
					key,
				}));
		}
	}, [key, skip, missing]);

	useEffect(() => {
		reload();
		return () => {
			newest.current++;
		};
	}, [reload, changes]);
	useEffect(() => {
		if (!every || skip || missing) return undefined;
		const timer = setInterval(() => document.hidden || reload(), every * 1000);
		return () => clearInterval(timer);
	}, [reload, every, skip, missing]);

	const current = state.key === key || !state.key;
	return {
		data: current ? state.data : null,
		error: current ? state.error : null,
		loading: !missing && !skip && (state.loading || !current),
		missing: missing || Boolean(state.error && state.error.missing),
		reload,
	};
}

export const items = (answer) => (answer.data && answer.data.items) || [];

// Now, in milliseconds, every second: for times that pass while one looks at them.
export function useNow() {
	const [now, setNow] = useState(Date.now());
	useEffect(() => {
		const timer = setInterval(() => setNow(Date.now()), 1000);
		return () => clearInterval(timer);
	}, []);
	return now;
}
