-- Central and shards. Everything but the last table is central's, and empty in any other database.

-- Databases that tenants can be in. 1 is central's own, called main; it has a row once there are others.
-- state: 0 open, 1 draining (no new tenants), 2 closed. identity: random, also written into the database itself, so that
-- another is never taken for it.
CREATE TABLE shard (
	id {bigint} NOT NULL,
	name {blob} NOT NULL,
	conninfo {text} NOT NULL,
	state {bigint} NOT NULL,
	identity {text} NOT NULL,
	PRIMARY KEY (id)
) {keyed};
CREATE UNIQUE INDEX shard_name ON shard (name);

-- Where tenants are that are, or ever were, in another database than central's. The row of a tenant that is not in here is in
-- central's own. step: 0 it is there, 1 it is being made; higher, and `target`, are for
-- one that is on its way to another.
-- changed: route_clock when this row was last changed, so that others can ask for what is new.
CREATE TABLE route (
	tenant {bigint} NOT NULL,
	name {blob} NOT NULL,
	hosts {text} NOT NULL,
	disabled {bigint} NOT NULL,
	case_sensitive {bigint} NOT NULL,
	root {bigint} NOT NULL,
	trash {bigint} NOT NULL,
	shard {bigint} NOT NULL,
	epoch {bigint} NOT NULL,
	step {bigint} NOT NULL,
	target {bigint} NOT NULL,
	changed {bigint} NOT NULL,
	PRIMARY KEY (tenant)
) {keyed};
CREATE UNIQUE INDEX route_name ON route (name);
CREATE INDEX route_changed ON route (changed);
CREATE TABLE route_clock (
	id {bigint} NOT NULL,
	value {bigint} NOT NULL,
	PRIMARY KEY (id)
) {keyed};
INSERT INTO route_clock (id, value) VALUES (1, 1);

-- Which shard this database is. No row: it belongs to no other.
CREATE TABLE shard_self (
	id {bigint} NOT NULL,
	name {blob} NOT NULL,
	identity {text} NOT NULL,
	PRIMARY KEY (id)
) {keyed};

-- 0 it is at home, 1 it is being copied away and changes all the same, 2 nobody may change it, 3 it is not here: about to
-- come, or gone.
ALTER TABLE tenant ADD COLUMN state {bigint} DEFAULT 0 NOT NULL;
