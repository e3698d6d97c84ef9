// The last hour, sample by sample, and the event stream that continues it. The stream is opened again by itself; what
// was missed meanwhile is taken from the gateway's history.
import { call, lookForSession } from './api.mjs';
import { app, changed, createStore, has } from './store.mjs';

const KEEP_S = 3600;
const RETRY_MS = [1000, 2000, 4000, 8000, 15000];

// samples: oldest first, one per second where the gateway gave it; at: raised with each change of them.
export const live = createStore({ samples: [], at: 0 });

let source = null;
let retry = 0;
let timer = 0;
let watchdog = 0;

function keep(samples) {
	const oldest = (samples.length ? samples[samples.length - 1].t : 0) - KEEP_S;
	let from = 0;
	while (from < samples.length && samples[from].t <= oldest) from++;
	live.set({ samples: from ? samples.slice(from) : samples, at: live.get().at + 1 });
}

function merge(items) {
	const byTime = new Map();
	for (const s of [...live.get().samples, ...items]) byTime.set(s.t, s);
	keep([...byTime.values()].sort((a, b) => a.t - b.t));
}

function add(sample) {
	const { samples } = live.get();
	const last = samples[samples.length - 1];
	if (last && sample.t <= last.t) merge([sample]);
	else keep([...samples, sample]);
}

async function fillIn() {
	const { samples } = live.get();
	const last = samples[samples.length - 1];
	const missed = last ? Math.ceil(Date.now() / 1000 - last.t) + 5 : KEEP_S;
	if (!has('live.history') || missed < 8) return;
	try {
		const history = await call('live.history', {
			seconds: Math.min(KEEP_S, Math.max(10, missed)),
			points: 900,
			tenants: 10,
		});
		merge(history.items || []);
	} catch {
		// The stream goes on without; the plots begin now.
	}
}

function data(event) {
	try {
		return JSON.parse(event.data);
	} catch {
		return null;
	}
}

// The gateway sends a sample each second. A connection that is silent for long is a dead one, whatever the browser
// thinks.
function alive() {
	clearTimeout(watchdog);
	watchdog = setTimeout(again, 20000);
}

function again() {
	if (source) source.close();
	source = null;
	clearTimeout(watchdog);
	clearTimeout(timer);
	app.set({ stream: 'lost' });
	timer = setTimeout(open, RETRY_MS[Math.min(retry++, RETRY_MS.length - 1)]);
}

function open() {
	app.set({ stream: retry ? 'lost' : 'connecting' });
	source = new EventSource('admin/v1/live');
	alive();
	source.addEventListener('open', () => {
		retry = 0;
		app.set({ stream: 'live' });
		alive();
		fillIn();
	});
	source.addEventListener('sample', (event) => {
		const sample = data(event);
		alive();
		if (sample) add(sample);
	});
	source.addEventListener('change', (event) => {
		const change = data(event);
		alive();
		if (change && change.what) changed(change.what);
	});
	source.addEventListener('error', () => {
		again();
		lookForSession();
	});
}

export function start() {
	stop();
	fillIn();
	open();
}

export function stop() {
	if (source) source.close();
	source = null;
	clearTimeout(timer);
	clearTimeout(watchdog);
	retry = 0;
	app.set({ stream: 'off' });
}

export function forget() {
	live.set({ samples: [], at: 0 });
}

// ---- columns for plots ----

export const DOORS = ['webdav', 'ftp', 'rest', 'web'];

// The samples of the last `seconds`, with a hole where the gateway was silent for more than `gap` seconds.
export function stretch(samples, seconds) {
	const end = samples.length ? samples[samples.length - 1].t : 0;
	const out = [];
	let before = null;
	for (const s of samples) {
		if (s.t <= end - seconds) continue;
		if (before !== null && s.t - before > 15) out.push({ t: before + 1, hole: true });
		out.push(s);
		before = s.t;
	}
	return out;
}

export const column = (samples, pick) => samples.map((s) => (s.hole ? null : (pick(s) ?? null)));
export const door = (s, name) => (s.doors && s.doors[name]) || {};
export const doorSum = (s, key) => DOORS.reduce((sum, name) => sum + (door(s, name)[key] || 0), 0);
export const doorMax = (s, key) => DOORS.reduce((most, name) => Math.max(most, door(s, name)[key] || 0), 0);
export const tenantOf = (s, name) => (s.tenants || []).find((t) => t.tenant === name);
