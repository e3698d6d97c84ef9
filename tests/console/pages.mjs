// Every page in every look, against a server that is none (mock.mjs): names that are markup, operations that are missing,
// a viewer, one-time codes, refusals, a stream that breaks. With pictures.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { LOOKS, PAGES, done, eq, has, launch, ok, open, shot, signIn, visit } from './browser.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const children = [];

function mock(env = {}) {
	const child = spawn(process.execPath, [path.join(here, 'mock.mjs'), process.env.CONSOLE_VENDOR], {
		env: { ...process.env, ...env },
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	children.push(child);
	return new Promise((resolve) => child.stdout.once('data', (d) => resolve(`http://127.0.0.1:${JSON.parse(d).port}/`)));
}

async function everyPage(browser, url) {
	for (const look of Object.keys(LOOKS)) {
		const page = await open(browser, look, url);
		await page.getByRole('heading', { name: 'Sign in' }).waitFor();
		await shot(page, `mock-${look}-sign-in`);
		await signIn(page, 'bea', 'secret');
		await page.locator('.tile .value', { hasText: 'MiB/s' }).waitFor();
		await page.locator('.plot canvas').first().waitFor();
		for (const key of [...PAGES, 'tenants/acme']) {
			await visit(page, look, key);
			if (key === 'switchboard') await page.getByRole('button', { name: 'Set a rule' }).click();
			if (key === 'rights') {
				await page.getByRole('combobox', { name: 'User' }).fill('ann');
				await page.getByRole('button', { name: 'Explain' }).click();
				await page.getByText('an entry denies it').waitFor();
			}
			await shot(page, `mock-${look}-${key.replace('/', '-')}`);
		}
		await visit(page, look, 'overview');
		await page.getByRole('button', { name: 'tenant', exact: true }).click();
		await page.locator('.legend', { hasText: 'globex' }).first().waitFor();
		await shot(page, `mock-${look}-overview-tenants`);
		await page.context().close();
	}
}

async function refusals(browser, url) {
	const page = await open(browser, 'desk', url, [/401 \(Unauthorized\)/, /409 \(Conflict\)/, /400 \(Bad Request\)/]);
	await signIn(page, 'ada', 'wrong');
	await page.getByRole('alert').getByText('Name or password is wrong.').waitFor();
	await page.getByLabel('Password').fill('secret');
	await page.keyboard.press('Enter');
	await page.getByRole('textbox', { name: 'Code' }).fill('000 000');
	await page.keyboard.press('Enter');
	await page.getByText('This code is not right').waitFor();
	await shot(page, 'mock-code');
	await page.getByRole('textbox', { name: 'Code' }).fill('123 456');
	await page.keyboard.press('Enter');
	await page.getByRole('heading', { name: 'Overview' }).waitFor();

	await visit(page, 'desk', 'tenants');
	await page.getByRole('button', { name: 'New tenant' }).click();
	await page.getByRole('dialog').getByLabel('Name', { exact: false }).first().fill('acme');
	await page.keyboard.press('Enter');
	await page.getByRole('alert').getByText('there is a tenant acme already').waitFor();
	has(await page.getByRole('alert').innerText(), 'Take another name', 'a refusal says what to do');
	eq(await page.getByRole('dialog').getByLabel('Name', { exact: false }).first().inputValue(), 'acme', 'what was typed stays');
	await page.keyboard.press('Escape');
	eq(await page.getByRole('dialog').count(), 0, 'Escape closes a dialog');
	ok(await page.getByRole('button', { name: 'New tenant' }).evaluate((b) => b === document.activeElement), 'and gives the focus back');

	await visit(page, 'desk', 'switchboard');
	await page.getByRole('button', { name: 'Set a rule' }).click();
	await page.getByRole('button', { name: 'See what it hits' }).click();
	await page.getByRole('alert').getByText('names nothing').waitFor();
	await page.context().close();
}

async function stream(browser, url) {
	const page = await open(browser, 'desk', url, [/ERR_/, /\/live/, /401 \(Unauthorized\)/]);
	await signIn(page, 'bea', 'secret');
	await page.locator('.stream', { hasText: 'Live' }).waitFor();
	await page.evaluate(() => fetch('admin/v1/mock.break-stream', { method: 'POST' }));
	await page.locator('.stream', { hasText: 'Reconnecting' }).waitFor();
	await page.locator('.stream', { hasText: 'Live' }).waitFor();
	ok(true, 'the event stream comes back by itself');
	await page.context().clearCookies(); // the session has ended meanwhile
	await page.evaluate(() => {
		location.hash = '#/locks';
	});
	await page.getByRole('heading', { name: 'Sign in' }).waitFor();
	ok(true, 'whose session has ended is asked to sign in');
	await page.context().close();
}

async function viewer(browser, url) {
	const page = await open(browser, 'desk', url);
	await signIn(page, 'watcher', 'secret');
	await page.getByText('You are a viewer').waitFor();
	for (const key of [...PAGES, 'tenants/acme']) {
		await visit(page, 'desk', key);
		const buttons = await page.locator('main button:not(.sort)').allInnerTexts();
		const wrong = buttons.filter((b) => /^(Set|Clear|New|End|Break|Open|Reset|Change|Remove|Store|Disable|Password|Codes|Revoke)/.test(b));
		eq(wrong.join(), '', `a viewer is offered nothing to change at ${key}`);
	}
	await page.context().close();
}

async function missing(browser) {
	const url = await mock({ MOCK_MISSING: 'breaker.list,share.list,pool.list,limit.list,quota.list,session.list,upload.list,flag.list,live.now,live.history,doctor,operator.list,operator.token.list,switch.list,switch.set' });
	const page = await open(browser, 'desk', url);
	await signIn(page, 'bea', 'secret');
	for (const key of ['breakers', 'sessions', 'flags', 'health', 'operators', 'switchboard', 'tenants/acme']) {
		await visit(page, 'desk', key);
		has(await page.locator('main').innerText(), 'This gateway does not offer', `${key} says what the gateway does not have`);
	}
	await visit(page, 'desk', 'tenants');
	has(await page.locator('main').innerText(), 'globex', 'what it has is there');
	await shot(page, 'mock-missing');
	await page.context().close();
}

const url = await mock();
const browser = await launch();
try {
	await everyPage(browser, url);
	await refusals(browser, url);
	await stream(browser, url);
	await viewer(browser, url);
	await missing(browser);
} finally {
	await browser.close();
	for (const child of children) child.kill();
}
done();
