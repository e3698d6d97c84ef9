// The one place that talks to the gateway: control operations over /admin/v1, and what an error means to who reads it.

const BASE = 'admin/v1/';
let csrf = '';
let signedOut = () => {};

// Called when the gateway no longer knows our session.
export function onSignedOut(fn) {
	signedOut = fn;
}

export class ApiError extends Error {
	constructor(status, problem) {
		super(problem.detail || problem.title || 'The gateway refused this.');
		this.status = status;
		this.reason = problem.reason || '';
		this.retryAfter = problem.retry_after;
	}

	// This gateway does not have the operation: an older one, or built without it.
	get missing() {
		return this.status === 404 && /there is no operation/.test(this.message);
	}

	// What the reader can do about it.
	get advice() {
		if (this.status === 0)
			return 'Check that the gateway runs and that this computer reaches its admin address, then try again.';
		if (this.missing) return 'This gateway does not offer it. A newer release may.';
		if (this.status === 401) return 'Sign in again.';
		if (this.status === 403) return 'An owner can give your account another role under Operators.';
		if (this.status === 429 || this.reason === 'throttled')
			return this.retryAfter
				? `Wait ${this.retryAfter} s, then try again.`
				: 'Wait a little, then try again.';
		if (this.reason === 'conflict' || this.reason === 'stale')
			return 'Somebody changed the same thing meanwhile. Look at it again, then repeat the change.';
		if (this.reason === 'exists') return 'Take another name, or change the one that is there.';
		if (this.status >= 500)
			return 'Nothing of it was stored unless the list shows it. The Health page and the log of the gateway say more.';
		return 'Mend what the message names, then try again.';
	}
}

async function request(path, options) {
	let response;
	try {
		response = await fetch(BASE + path, { credentials: 'same-origin', cache: 'no-store', ...options });
	} catch {
		throw new ApiError(0, { detail: 'The gateway does not answer.' });
	}
	const text = await response.text();
	let body = {};
	try {
		body = text ? JSON.parse(text) : {};
	} catch {
		body = {
			detail: response.ok
				? 'The answer could not be read.'
				: `The gateway answered ${response.status}.`,
		};
		if (response.ok) throw new ApiError(response.status, body);
	}
	if (response.ok) return body;
	if (body.retry_after === undefined && response.headers.get('Retry-After'))
		body.retry_after = response.headers.get('Retry-After');
	throw new ApiError(response.status, body);
}

function post(path, args) {
	const headers = { 'Content-Type': 'application/json' };
	if (csrf) headers['X-CSRF-Token'] = csrf;
	return request(path, { method: 'POST', headers, body: JSON.stringify(args) });
}

// Runs a control operation. Arguments that are undefined or '' are left out; null is sent.
export async function call(op, args = {}) {
	const given = {};
	for (const [name, value] of Object.entries(args)) {
		if (value !== undefined && value !== '') given[name] = value;
	}
	try {
		return await post(op, given);
	} catch (error) {
		if (error.status === 401) signedOut();
		throw error;
	}
}

function remember(session) {
	csrf = session.csrf || '';
	return { name: session.name, role: session.role };
}

export const session = async () => remember(await request('session', {}));
// An event stream that ends does not say why: perhaps it was the session.
export async function lookForSession() {
	try {
		await request('session', {});
	} catch (error) {
		if (error.status === 401) signedOut();
	}
}

export const signIn = async (args) => remember(await post('sign-in', args));

export async function signOut() {
	try {
		await post('sign-out', {});
	} finally {
		csrf = '';
	}
}

// What this gateway can do: Map of operation -> role that may, from the description of the interface. Null: not known.
export async function operations() {
	try {
		const description = await request('openapi.json', {});
		const ops = new Map();
		for (const [path, methods] of Object.entries(description.paths || {})) {
			const about = methods.post || methods.get || {};
			ops.set(path.replace(/^.*\//, ''), about['x-role'] || null);
		}
		return ops.size ? ops : null;
	} catch {
		return null;
	}
}
