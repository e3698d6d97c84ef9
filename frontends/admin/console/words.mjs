// Names of things, as the gateway writes them and as people read them; rules as sentences.
import * as format from './format.mjs';

export const PROTOCOL_NAMES = {
	webdav: 'WebDAV',
	ftp: 'FTP',
	ftps: 'FTP under TLS',
	rest: 'REST',
	web: 'Web pages',
	links: 'Links',
};
export const CLASS_NAMES = {
	login: 'signing in',
	lookup: 'looking up',
	list: 'listing',
	read: 'reading',
	write: 'writing',
	change: 'changing names and folders',
	bulk: 'copying trees',
};
export const MODES = {
	off: { label: 'Off', kind: 'bad', help: 'Nothing gets in; what runs is cut within a second.' },
	drain: { label: 'Drain', kind: 'warn', help: 'What runs may finish; nothing new begins.' },
	'read-only': { label: 'Read-only', kind: 'warn', help: 'Reading goes on, changes are refused.' },
	on: { label: 'On', kind: 'ok', help: 'Open: an exception to what a wider rule shuts.' },
};
export const RIGHTS = ['list', 'read', 'create', 'write', 'delete', 'share', 'manage'];

const join = (list) => (list.length > 1 ? `${list.slice(0, -1).join(', ')} and ${list[list.length - 1]}` : list[0]);

const list = (value) => (Array.isArray(value) ? value : value ? String(value).split(',') : []);

// "FTP, for tenant acme, on host gate1": whom a rule (its arguments or its row) is for.
export function scope(rule) {
	const protocols = list(rule.protocols);
	const classes = list(rule.classes);
	const parts = [protocols.length ? join(protocols.map((p) => PROTOCOL_NAMES[p] || p)) : 'Every protocol'];
	if (classes.length) parts.push(`only ${join(classes.map((c) => CLASS_NAMES[c] || c))}`);
	if (rule.user) parts.push(`for user ${rule.tenant}/${rule.user}`);
	else if (rule.tenant) parts.push(`for tenant ${rule.tenant}`);
	else parts.push('for everybody');
	for (const [key, word] of [
		['host', 'host'],
		['pod', 'pod'],
		['dc', 'data centre'],
	]) {
		if (rule[key]) parts.push(`on ${word} ${rule[key]}`);
	}
	return parts.join(', ');
}

// What a dry run says would be hit.
export function hit(h) {
	if (!h) return 'The gateway does not say what it would hit.';
	return join([
		format.plural(h.sessions || 0, 'session'),
		format.plural(h.uploads || 0, 'upload'),
		format.plural(h.downloads || 0, 'download'),
	]);
}
