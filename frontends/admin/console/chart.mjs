// A plot over time: uPlot for the lines, our own legend. Lines differ by colour and by dashes; what they say is there
// as text too; arrow keys move the cursor.
import uPlot from './vendor/uplot.mjs';
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from './lib.mjs';
import * as format from './format.mjs';

const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 4], [4, 2, 4, 6], [1, 4], [12, 2]];
export const LINES = DASHES.length;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Ticks of sizes: 1, 2, 4 ... 512 of each unit.
const BINARY = Array.from({ length: 51 }, (_, i) => 2 ** i);

function options({ series, show, binary, height }, width, onCursor) {
	const axis = {
		stroke: colour('--ink-2'),
		font: '12px system-ui, sans-serif',
		grid: { stroke: colour('--grid'), width: 1 },
		ticks: { show: false },
	};
	return {
		width,
		height,
		padding: [8, 8, 0, 0],
		legend: { show: false },
		cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
		scales: { x: { time: true }, y: { range: (u, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
		axes: [
			{
				...axis,
				size: 26,
				space: 70,
				values: (u, ticks) =>
					ticks.map((t) => format.time(t, { seconds: (ticks[1] || 0) - ticks[0] < 60 })),
			},
			{
				...axis,
				size: 70,
				space: 36,
				values: (u, ticks) => ticks.map(show),
				...(binary ? { incrs: BINARY } : {}),
			},
		],
		series: [
			{},
			...series.map((s, i) => ({
				stroke: colour(`--line-${(i % LINES) + 1}`),
				dash: DASHES[i % LINES],
				width: 1.75,
				points: { show: false },
				spanGaps: false,
			})),
		],
		hooks: { setCursor: [(u) => onCursor(u.cursor.idx ?? null)] },
	};
}

// times: seconds; series: [{label, values}]; show: value -> text; binary: ticks at powers of two, for sizes
export function Chart({ title, hint, times, series, show = format.count, binary = false, height = 180 }) {
	const box = useRef(null);
	const plot = useRef(null);
	const data = useRef(null);
	const heading = useId();
	const [at, setAt] = useState(null); // index below the cursor
	const [theme, setTheme] = useState(0);
	const labels = series.map((s) => s.label).join('\n');
	data.current = [times, ...series.map((s) => s.values)];

	useEffect(() => {
		const dark = matchMedia('(prefers-color-scheme: dark)');
		const turned = () => setTheme((n) => n + 1);
		dark.addEventListener('change', turned);
		return () => dark.removeEventListener('change', turned);
	}, []);

	useLayoutEffect(() => {
		const width = () => Math.max(200, box.current.clientWidth);
		const u = new uPlot(
			options({ series, show, binary, height }, width(), setAt),
			data.current,
			box.current,
		);
		const sized = new ResizeObserver(() => u.setSize({ width: width(), height }));
		plot.current = u;
		sized.observe(box.current);
		return () => {
			sized.disconnect();
			u.destroy();
			plot.current = null;
		};
	}, [labels, theme, height]);

	useEffect(() => {
		plot.current.setData(data.current);
	}, [times]);

	function key(event) {
		const u = plot.current;
		const last = times.length - 1;
		const from = u.cursor.idx ?? last;
		const to = {
			ArrowLeft: from - 1,
			ArrowRight: from + 1,
			PageUp: from - 30,
			PageDown: from + 30,
			Home: 0,
			End: last,
		}[event.key];
		if (to === undefined || last < 0) return;
		event.preventDefault();
		const x = u.valToPos(times[Math.max(0, Math.min(last, to))], 'x');
		u.setCursor({ left: x, top: 1 });
	}

	const index = at !== null && at < times.length ? at : times.length - 1;
	const said = series.map((s) => `${s.label} ${show(s.values[index])}`).join(', ');
	return html`<figure class="chart" aria-labelledby=${heading}>
		<figcaption>
			<h3 id=${heading}>${title}${hint && html` <span class="dim">${hint}</span>`}</h3>
			<span class="chart-time">${index >= 0 ? format.time(times[index]) : ''}</span>
		</figcaption>
		<div class="plot" ref=${box} tabindex="0" role="img" onKeyDown=${key}
			onBlur=${() => plot.current.setCursor({ left: -10, top: -10 })}
			aria-label="${title}${hint ? `, ${hint}` : ''}. ${said}. Arrow keys move through time."></div>
		<ul class="legend">
			${series.map(
				(s, i) => html`<li key=${s.label}>
				<svg viewBox="0 0 26 8" class="key line-${(i % LINES) + 1}" aria-hidden="true"><line
					x1="1" x2="25" y1="4" y2="4"
					stroke-dasharray=${DASHES[i % LINES].join(' ') || undefined} /></svg>
				<span class="legend-name">${s.label}</span> <b>${show(s.values[index])}</b>
			</li>`,
			)}
		</ul>
	</figure>`;
}
