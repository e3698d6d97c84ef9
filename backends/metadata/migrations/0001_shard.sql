-- One shard: everything that is a tenant's. Words in braces are the driver's: types, and {keyed} for a table that is
-- stored in the order of its primary key. What is compared or ordered is {blob}, never text: no collation decides.

{mark};

CREATE TABLE tenant (
	id {bigint} NOT NULL,
	name {blob} NOT NULL,
	hosts {text} NOT NULL,
	disabled {bigint} NOT NULL,
	case_sensitive {bigint} NOT NULL,
	root {bigint} NOT NULL,
	trash {bigint} NOT NULL,
	tree_gen {bigint} NOT NULL,
	rights_epoch {bigint} NOT NULL,
	route_epoch {bigint} NOT NULL,
	PRIMARY KEY (id)
) {keyed};
CREATE UNIQUE INDEX tenant_name ON tenant (name);

-- A place in the tree, with what a stat or a small read needs of its current version. Clustered by what paths and
-- listings ask for.
CREATE TABLE node (
	tenant {bigint} NOT NULL,
	parent {bigint} NOT NULL,
	name_key {blob} NOT NULL,
	id {bigint} NOT NULL,
	type {bigint} NOT NULL,
	name {blob} NOT NULL,
	owner {bigint} NOT NULL,
	version {bigint} NOT NULL,
	rev {bigint} NOT NULL,
	size {bigint} NOT NULL,
	made_us {bigint} NOT NULL,
	mtime_us {bigint} NOT NULL,
	has_props {bigint} NOT NULL,
	parts {bigint} NOT NULL,
	blob {bigint} NOT NULL,
	loc {blob} NOT NULL,
	crc {bigint} NOT NULL,
	PRIMARY KEY (tenant, parent, name_key)
) {keyed};
CREATE UNIQUE INDEX node_id ON node (tenant, id);

CREATE TABLE version (
	tenant {bigint} NOT NULL,
	id {bigint} NOT NULL,
	node {bigint} NOT NULL,
	size {bigint} NOT NULL,
	mtime_us {bigint} NOT NULL,
	made_us {bigint} NOT NULL,
	author {bigint} NOT NULL,
	parts {bigint} NOT NULL,
	blob {bigint} NOT NULL,
	crc {bigint} NOT NULL,
	PRIMARY KEY (tenant, id)
) {keyed};
CREATE INDEX version_node ON version (tenant, node);

CREATE TABLE part (
	tenant {bigint} NOT NULL,
	version {bigint} NOT NULL,
	seq {bigint} NOT NULL,
	blob {bigint} NOT NULL,
	start {bigint} NOT NULL,
	len {bigint} NOT NULL,
	PRIMARY KEY (tenant, version, seq)
) {keyed};

-- refs: version rows of one part that name it, plus part rows that name it. 0 = dead since dead_us.
CREATE TABLE blob (
	tenant {bigint} NOT NULL,
	id {bigint} NOT NULL,
	backend {bigint} NOT NULL,
	loc {blob} NOT NULL,
	size {bigint} NOT NULL,
	crc {bigint} NOT NULL,
	format {bigint} NOT NULL,
	key_id {bigint} NOT NULL,
	refs {bigint} NOT NULL,
	dead_us {bigint} NOT NULL,
	damaged {bigint} NOT NULL,
	PRIMARY KEY (tenant, id)
) {keyed};
CREATE INDEX blob_dead ON blob (dead_us, tenant, id) WHERE refs = 0;

CREATE TABLE prop (
	tenant {bigint} NOT NULL,
	node {bigint} NOT NULL,
	ns {blob} NOT NULL,
	name {blob} NOT NULL,
	xml {text} NOT NULL,
	lang {text} NOT NULL,
	PRIMARY KEY (tenant, node, ns, name)
) {keyed};

-- seq rises with every lock the tenant is given, whatever order ids were made in; lock_seq holds the highest.
CREATE TABLE locks (
	tenant {bigint} NOT NULL,
	token {blob} NOT NULL,
	id {bigint} NOT NULL,
	seq {bigint} NOT NULL,
	node {bigint} NOT NULL,
	user_id {bigint} NOT NULL,
	user_name {text} NOT NULL,
	path_key {blob} NOT NULL,
	path {text} NOT NULL,
	exclusive {bigint} NOT NULL,
	deep {bigint} NOT NULL,
	expires_us {bigint} NOT NULL,
	timeout_s {bigint} NOT NULL,
	owner_xml {text} NOT NULL,
	PRIMARY KEY (tenant, token)
) {keyed};
CREATE INDEX locks_seq ON locks (tenant, seq);
CREATE INDEX locks_path ON locks (tenant, path_key);
CREATE INDEX locks_node ON locks (tenant, node);

CREATE TABLE lock_seq (
	tenant {bigint} NOT NULL,
	last {bigint} NOT NULL,
	PRIMARY KEY (tenant)
) {keyed};

CREATE TABLE acl_node (
	tenant {bigint} NOT NULL,
	node {bigint} NOT NULL,
	inherit_off {bigint} NOT NULL,
	PRIMARY KEY (tenant, node)
) {keyed};

-- who: the character code of 'u', 'g' or 'e'.
CREATE TABLE ace (
	tenant {bigint} NOT NULL,
	node {bigint} NOT NULL,
	seq {bigint} NOT NULL,
	who {bigint} NOT NULL,
	who_id {bigint} NOT NULL,
	deny {bigint} NOT NULL,
	rights {bigint} NOT NULL,
	PRIMARY KEY (tenant, node, seq)
) {keyed};
CREATE INDEX ace_who ON ace (tenant, who, who_id);

CREATE TABLE account (
	tenant {bigint} NOT NULL,
	id {bigint} NOT NULL,
	name {blob} NOT NULL,
	name_key {blob} NOT NULL,
	owner {bigint} NOT NULL,
	disabled {bigint} NOT NULL,
	gen {bigint} NOT NULL,
	password_hash {text} NOT NULL,
	PRIMARY KEY (tenant, id)
) {keyed};
CREATE UNIQUE INDEX account_name ON account (tenant, name_key);

CREATE TABLE team (
	tenant {bigint} NOT NULL,
	id {bigint} NOT NULL,
	name {blob} NOT NULL,
	PRIMARY KEY (tenant, id)
) {keyed};
CREATE UNIQUE INDEX team_name ON team (tenant, name);

CREATE TABLE member (
	tenant {bigint} NOT NULL,
	team {bigint} NOT NULL,
	account {bigint} NOT NULL,
	PRIMARY KEY (tenant, team, account)
) {keyed};
CREATE INDEX member_account ON member (tenant, account);

CREATE TABLE token (
	tenant {bigint} NOT NULL,
	id {bigint} NOT NULL,
	account {bigint} NOT NULL,
	name {blob} NOT NULL,
	hash {text} NOT NULL,
	scope {bigint} NOT NULL,
	made_us {bigint} NOT NULL,
	expires_us {bigint} NOT NULL,
	PRIMARY KEY (tenant, id)
) {keyed};
CREATE UNIQUE INDEX token_name ON token (tenant, account, name);

-- What happened, and the quota's ledger (bytes, files). late = 1: committed after the fold had passed its op, so that
-- it is not in the folded total yet.
CREATE TABLE event (
	tenant {bigint} NOT NULL,
	op {bigint} NOT NULL,
	time_us {bigint} NOT NULL,
	user_id {bigint} NOT NULL,
	user_name {text} NOT NULL,
	what {text} NOT NULL,
	door {text} NOT NULL,
	path {text} NOT NULL,
	dest {text} NOT NULL,
	request_id {text} NOT NULL,
	node {bigint} NOT NULL,
	bytes {bigint} NOT NULL,
	files {bigint} NOT NULL,
	late {bigint} NOT NULL,
	PRIMARY KEY (tenant, op)
) {keyed};
CREATE INDEX event_late ON event (tenant, op) WHERE late = 1;

-- The ledger folded up to and with op `folded`, late events excepted.
CREATE TABLE usage_total (
	tenant {bigint} NOT NULL,
	folded {bigint} NOT NULL,
	bytes {bigint} NOT NULL,
	files {bigint} NOT NULL,
	PRIMARY KEY (tenant)
) {keyed};
