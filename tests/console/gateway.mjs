// The console against a real gateway (tests/conformance/console_gateway.py starts it, with two tenants at work): what an
// administrator does when a door is on fire, and every page with what a working house shows.
import crypto from 'node:crypto';
import net from 'node:net';
import { LOOKS, PAGES, SLOW, done, eq, has, launch, ok, open, shot, signIn, visit } from './browser.mjs';

const url = process.env.CONSOLE_URL;
const password = process.env.CONSOLE_PASSWORD;
const MESSAGE = 'FTP is closed until six, use the browser.';
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- an FTP session of somebody who works ----

class Ftp {
	constructor() {
		const [host, port] = process.env.CONSOLE_FTP.split(':');
		this.text = '';
		this.closed = 0;
		this.socket = net.connect(Number(port), host);
		this.socket.on('data', (d) => (this.text += d));
		this.socket.on('error', () => {});
		this.socket.on('close', () => (this.closed = Date.now()));
	}

	// Until what was said since `from` has a whole reply, or the connection is closed.
	async reply(from = 0) {
		for (let i = 0; i < 500 * SLOW && !this.closed; i++) {
			const at = /^\d\d\d .*\r\n/m.exec(this.text.slice(from));
			if (at) return at[0].trim();
			await pause(10);
		}
		return this.text.slice(from).trim();
	}

	say(line) {
		const from = this.text.length;
		this.socket.write(`${line}\r\n`);
		return this.reply(from);
	}

	async login(user) {
		const greeting = await this.reply();
		if (!greeting.startsWith('220')) return greeting;
		const asked = await this.say(`USER ${user}`);
		return asked.startsWith('331') ? this.say(`PASS ${password}`) : asked;
	}

	end() {
		this.socket.destroy();
	}
}

// ---- one-time codes, as an authenticator makes them ----

function totp(secret) {
	let bits = '';
	for (const c of secret) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0');
	const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
	const counter = Buffer.alloc(8);
	counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
	const mac = crypto.createHmac('sha1', key).update(counter).digest();
	return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1000000).padStart(6, '0');
}

// ---- what is on fire ----

const figure = (page, chart, line) =>
	page.locator('figure', { hasText: chart }).locator('.legend li', { hasText: line }).locator('b').innerText();
const drawn = (page, chart) =>
	page.locator('figure', { hasText: chart }).locator('canvas').evaluate((c) => c.toDataURL());

async function shut(page) {
	await visit(page, 'desk', 'switchboard');
	await page.getByRole('button', { name: 'Set a rule' }).click();
	await page.getByLabel('FTP', { exact: true }).check();
	await page.getByRole('combobox', { name: 'Tenant' }).fill('acme');
	eq(await page.getByLabel('For how long').inputValue(), '3600', 'an hour is what is proposed');
	await page.getByLabel('Message for users').fill(MESSAGE);
	await page.getByLabel('Why', { exact: true }).fill('somebody found the password');
	await page.getByRole('button', { name: 'See what it hits' }).click();
	const dialog = page.getByRole('dialog');
	await dialog.getByText('Hits now').waitFor();
	has(await dialog.innerText(), '1 session', 'the dry run tells what it hits');
	has(await dialog.innerText(), MESSAGE, 'and what users will read');
	await shot(page, 'gateway-dry-run');
	const asked = Date.now();
	await dialog.getByRole('button', { name: 'Set it now' }).click();
	await page.getByText('0 live sessions left').waitFor();
	await shot(page, 'gateway-shut');
	return asked;
}

async function fire(browser) {
	const open_ = new Ftp();
	const neighbour = new Ftp();
	has(await open_.login('acme/ann'), '230', 'somebody of acme works over FTP');
	has(await neighbour.login('globex/ann'), '230', 'and somebody of globex');

	const page = await open(browser, 'desk', url, [/401 \(Unauthorized\)/]);
	await signIn(page, 'admin', 'not the password');
	await page.getByRole('alert').getByText('Name or password is wrong.').waitFor();
	await page.getByLabel('Password').fill(password);
	await page.keyboard.press('Enter');
	await page.getByRole('heading', { name: 'Overview' }).waitFor();
	await page.locator('.stream', { hasText: 'Live' }).waitFor();
	await page.locator('.plot canvas').first().waitFor();
	await shot(page, 'gateway-before');

	await visit(page, 'desk', 'sessions?proto=ftp');
	await page.getByRole('table').filter({ hasText: 'ann' }).first().waitFor();
	const asked = await shut(page);
	for (let i = 0; i < 300 * SLOW && !open_.closed; i++) await pause(10);
	ok(open_.closed && open_.closed - asked < 2000 * SLOW, 'the session is gone within a second or two', `(${open_.closed - asked} ms)`);
	has(open_.text, `421 ${MESSAGE}`, 'and was told why');
	has(await neighbour.say('NOOP'), '200', 'the neighbour notices nothing');

	await visit(page, 'desk', 'overview');
	await page.locator('.plot canvas').first().waitFor();
	const before = await drawn(page, 'Refused per second');
	let refused = '0';
	for (let i = 0; i < 40 * SLOW && refused === '0'; i++) {
		const again = new Ftp();
		has(await again.login('acme/ann'), MESSAGE, 'who comes again reads the message');
		again.end();
		await pause(100);
		refused = await figure(page, 'Refused per second', 'refused');
	}
	ok(refused !== '0', 'the plot counts what is refused', refused);
	ok((await drawn(page, 'Refused per second')) !== before, 'and is drawn anew');
	await shot(page, 'gateway-during');
	await page.getByRole('button', { name: 'Undo' }).click();
	await page.getByText('The rule is cleared.').waitFor();
	const back = new Ftp();
	has(await back.login('acme/ann'), '230', 'undone, they are back');
	back.end();
	neighbour.end();

	await visit(page, 'desk', 'audit');
	await page.getByText('switch.set').first().waitFor();
	has(await page.locator('main').innerText(), 'admin', 'the audit trail says who did it');
	await page.context().close();
}

// ---- every page ----

async function offered(page) {
	const paths = await page.evaluate(async () => (await (await fetch('admin/v1/openapi.json')).json()).paths);
	return new Set(Object.keys(paths).map((p) => p.replace(/.*\//, '')));
}

// Pages that show parts by operations: all that the gateway has must be there.
const NEEDS = { breakers: ['breaker.list'], 'tenants/acme': ['limit.list', 'quota.list', 'share.list'] };

async function everyPage(browser) {
	for (const look of Object.keys(LOOKS)) {
		const page = await open(browser, look, url);
		await signIn(page, 'admin', password);
		await page.locator('.plot canvas').first().waitFor();
		const ops = await offered(page);
		for (const key of [...PAGES, 'tenants/acme']) {
			await visit(page, look, key);
			const text = await page.locator('main').innerText();
			if ((NEEDS[key] || []).every((op) => ops.has(op)))
				ok(!text.includes('does not offer'), `${look} ${key}: everything on it is there`, text.slice(0, 300));
			ok(!text.includes('Try again'), `${look} ${key}: nothing failed`, text.slice(0, 300));
			await shot(page, `gateway-${look}-${key.replace('/', '-')}`);
		}
		await page.context().close();
	}
}

// ---- another operator, made in the console, with a code ----

async function colleague(browser) {
	const page = await open(browser, 'desk', url);
	await signIn(page, 'admin', password);
	await page.getByRole('heading', { name: 'Overview' }).waitFor();
	await visit(page, 'desk', 'operators');
	await page.getByRole('button', { name: 'New operator' }).click();
	const dialog = page.getByRole('dialog');
	await dialog.getByLabel('Name').fill('bea');
	await dialog.getByLabel('Password').fill('a password of bea');
	await dialog.getByLabel('Role').selectOption('viewer');
	await dialog.getByRole('button', { name: 'Make operator' }).click();
	await page.getByRole('button', { name: 'One-time codes of bea' }).click();
	await dialog.getByRole('button', { name: 'Turn on' }).click();
	await dialog.getByText('otpauth://').waitFor();
	const secret = /secret=([A-Z2-7]+)/.exec(await dialog.innerText())[1];
	await dialog.getByRole('button', { name: 'Done' }).click();

	const other = await open(browser, 'phone', url, [/401 \(Unauthorized\)/]);
	await signIn(other, 'bea', 'a password of bea');
	await other.getByRole('textbox', { name: 'Code' }).fill(totp(secret));
	await other.keyboard.press('Enter');
	await other.getByText('You are a viewer').waitFor();
	ok(true, 'who was made in the console signs in with a code');
	await page.getByRole('button', { name: 'Change bea' }).click();
	await dialog.getByLabel('Disabled').check();
	await dialog.getByRole('button', { name: 'Store' }).click();
	await other.getByRole('heading', { name: 'Sign in' }).waitFor();
	ok(true, 'and is signed out when disabled');
	await other.context().close();

	await page.getByRole('button', { name: 'One-time codes of admin' }).click();
	await dialog.getByRole('button', { name: 'Turn on' }).click();
	await dialog.getByText('otpauth://').waitFor();
	await pause(1500);
	ok(await dialog.getByText('otpauth://').isVisible(), 'whoever turns on codes for itself keeps the secret in view');
	await dialog.getByRole('button', { name: 'Done' }).click();
	await page.getByRole('button', { name: 'One-time codes of admin' }).click();
	await dialog.getByRole('button', { name: 'Turn off' }).click();

	await page.getByRole('button', { name: 'Sign out' }).click();
	await page.getByText('You are signed out.').waitFor();
	await page.reload();
	await page.getByRole('heading', { name: 'Sign in' }).waitFor();
	ok(true, 'who has signed out stays out');
	await page.context().close();
}

const browser = await launch();
try {
	await fire(browser);
	await everyPage(browser);
	await colleague(browser);
} finally {
	await browser.close();
}
done();
