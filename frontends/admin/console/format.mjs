// Numbers, times and sizes as people read them. Pure.

const GROUPED = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });

// 0.4, 12, 1 834, 12.4k, 3.1M: at most four characters of figures, so that columns stay narrow.
export function count(n) {
	if (n === null || n === undefined || Number.isNaN(n)) return '–';
	const abs = Math.abs(n);
	if (abs >= 1e9) return `${(n / 1e9).toFixed(1)}G`;
	if (abs >= 1e6) return `${(n / 1e6).toFixed(1)}M`;
	if (abs >= 1e4) return `${(n / 1e3).toFixed(1)}k`;
	if (abs >= 100 || Number.isInteger(n)) return GROUPED.format(Math.round(n));
	return n.toFixed(1);
}

export function bytes(n) {
	if (n === null || n === undefined || Number.isNaN(n)) return '–';
	let unit = 0;
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
	while (Math.abs(n) >= 1024 && unit < units.length - 1) {
		n /= 1024;
		unit++;
	}
	return `${unit && Math.abs(n) < 100 && !Number.isInteger(n) ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

export const rate = (n) => (n === null || n === undefined ? '–' : `${bytes(n)}/s`);

export function ms(n) {
	if (n === null || n === undefined) return '–';
	if (n >= 10000) return `${(n / 1000).toFixed(0)} s`;
	if (n >= 1000) return `${(n / 1000).toFixed(1)} s`;
	return `${n >= 10 || n === 0 ? Math.round(n) : n.toFixed(1)} ms`;
}

export function percent(part) {
	if (part === null || part === undefined) return '–';
	if (part > 0 && part < 0.001) return '< 0.1 %';
	return `${(part * 100).toFixed(part > 0 && part < 0.1 ? 1 : 0)} %`;
}

export function duration(s) {
	if (s === null || s === undefined) return '–';
	s = Math.max(0, Math.round(s));
	if (s < 60) return `${s} s`;
	if (s < 3600) return s % 60 && s < 600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.round(s / 60)} min`;
	if (s < 86400) {
		const minutes = Math.round((s % 3600) / 60);
		return minutes && minutes < 60
			? `${Math.floor(s / 3600)} h ${minutes} min`
			: `${Math.round(s / 3600)} h`;
	}
	return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
}

// The interface gives times as ISO texts, and in places as Unix seconds; null is "none".
export function toDate(value) {
	if (value === null || value === undefined || value === '' || value === 0) return null;
	const date = typeof value === 'number' ? new Date(value * 1000) : new Date(value);
	return Number.isNaN(date.getTime()) ? null : date;
}

const two = (n) => String(n).padStart(2, '0');

export function time(value, { seconds = true } = {}) {
	const d = toDate(value);
	if (!d) return '–';
	const clock = `${two(d.getHours())}:${two(d.getMinutes())}${seconds ? `:${two(d.getSeconds())}` : ''}`;
	const today = new Date();
	if (d.toDateString() === today.toDateString()) return clock;
	return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock}`;
}

export function ago(value, now = Date.now()) {
	const d = toDate(value);
	return d ? duration((now - d.getTime()) / 1000) : '–';
}

export function left(value, now = Date.now()) {
	const d = toDate(value);
	if (!d) return 'until cleared';
	return d.getTime() > now ? `${duration((d.getTime() - now) / 1000)} left` : 'over';
}

export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many || `${one}s`}`;

// Operation ids begin with their time: milliseconds since 2020 above 21 bits (core/base/id.h). The id just before a
// time.
export function idBefore(date) {
	const since = BigInt(Math.max(0, Math.floor(date.getTime() - Date.UTC(2020, 0, 1))));
	const id = since << 21n;
	return String(id > 0n ? id - 1n : 0n);
}
