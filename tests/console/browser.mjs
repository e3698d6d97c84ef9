// A browser for the console's tests. Whatever a page complains about is a failure: errors in the console, violations of
// the content security policy, exceptions, dialogs, answers that failed and were not expected to.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const require = createRequire(path.join(process.env.CONSOLE_MODULES, 'x.js'));
const { chromium } = require('playwright-core');

export const SHOTS = process.env.CONSOLE_SHOTS;
export const SLOW = Number(process.env.GH_SLOW || 1);
export const PAGES = [
	'overview', 'sessions', 'audit', 'health', 'switchboard', 'breakers', 'tenants', 'flags', 'people', 'rights', 'locks', 'operators',
];
export const LOOKS = {
	desk: { viewport: { width: 1360, height: 900 } },
	dark: { viewport: { width: 1360, height: 900 }, colorScheme: 'dark' },
	phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};

let held = 0;
const failures = [];

export function ok(condition, what, detail = '') {
	if (condition) {
		held++;
		return true;
	}
	failures.push(what);
	console.log(`FAIL ${what} ${detail}`);
	return false;
}

export const eq = (got, want, what) => ok(got === want, what, `(got ${JSON.stringify(got)}, want ${JSON.stringify(want)})`);
export const has = (text, part, what) => ok(String(text).includes(part), what, `(no ${JSON.stringify(part)} in ${JSON.stringify(String(text).slice(0, 500))})`);

export function done() {
	console.log(`${held} held, ${failures.length} did not`);
	process.exitCode = failures.length || !held ? 1 : 0;
}

export const launch = () =>
	chromium.launch({
		executablePath: process.env.CONSOLE_BROWSER,
		args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
	});

// A page in a session of its own. expected: patterns of complaints that the test provokes.
export async function open(browser, look, url, expected = []) {
	const context = await browser.newContext(LOOKS[look]);
	context.setDefaultTimeout(15000 * SLOW);
	await context.addInitScript(() => {
		document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`));
	});
	const page = await context.newPage();
	// Nobody is signed in yet: the console asks and is told.
	const fine = [/401 \(Unauthorized\).*\/session$/, ...expected];
	const complain = (text) => fine.some((f) => f.test(text)) || ok(false, `${look}: the page complains`, text);
	page.on('console', (m) => m.type() === 'error' && complain(`${m.text()} ${m.location().url}`));
	page.on('pageerror', (e) => complain(`exception: ${e.stack || e.message}`));
	page.on('dialog', (d) => {
		complain(`dialog: ${d.message()}`);
		d.dismiss();
	});
	page.on('requestfailed', (r) => /\/live$/.test(r.url()) || complain(`request failed: ${r.url()} ${r.failure()?.errorText}`));
	if (url) await page.goto(url);
	return page;
}

export async function signIn(page, name, password) {
	await page.getByLabel('Name').fill(name);
	await page.getByLabel('Password').fill(password);
	await page.keyboard.press('Enter');
}

export async function shot(page, name) {
	if (!SHOTS) return;
	fs.mkdirSync(SHOTS, { recursive: true });
	const height = await page.evaluate(() => document.documentElement.scrollHeight);
	await page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: height < 5000 }); // no list of thousands
}

// To a page of the console, until it shows what it has. Nothing may stick out sideways, and whatever can be used must
// have a name.
export async function visit(page, look, key) {
	await page.evaluate((k) => {
		location.hash = `#/${k}`;
	}, key);
	await page.waitForFunction((k) => location.hash === `#/${k}` && !document.querySelector('main [aria-busy="true"]'), key);
	await page.locator('h1').first().waitFor();
	const seen = await page.evaluate(() => ({
		wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
		title: document.title,
		nameless: [...document.querySelectorAll('a, button, input, select, textarea, [tabindex="0"]')]
			.filter((e) => e.checkVisibility() && !(e.innerText || e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()))
			.map((e) => e.outerHTML.slice(0, 200)),
		dead: [...document.querySelectorAll('.cover, [onclick]')].filter((e) => e.tabIndex < 0).length,
		ids: [...document.querySelectorAll('[id]')].map((e) => e.id),
	}));
	ok(seen.wide <= 0, `${look} ${key}: nothing sticks out of the window`, `(${seen.wide} px)`);
	eq(seen.nameless.join(' | '), '', `${look} ${key}: everything that can be used has a name`);
	eq(seen.dead, 0, `${look} ${key}: nothing is for the mouse alone`);
	ok(new Set(seen.ids).size === seen.ids.length, `${look} ${key}: no id is there twice`, seen.ids.filter((x, i) => seen.ids.indexOf(x) !== i).join());
	has(seen.title, 'Gatehouse', `${look} ${key}: the title says where one is`);
}
