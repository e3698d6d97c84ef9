-- The event log in the order of commits, and several gateways on one database.

-- pos: where in that order. PostgreSQL: the transaction's number, SQLite: a counter of its one writer. Older rows have 0 and
-- stand in the order of their operations. In PostgreSQL, where the release before may still serve, a program that does not
-- know the column gets it filled in.
-- touched: what caches have to forget (core/meta.h); empty: not told, so anything.
ALTER TABLE event ADD COLUMN pos {bigint} NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN touched {text} NOT NULL DEFAULT '';
CREATE INDEX event_feed ON event (tenant, pos, op);
{pgsql} ALTER TABLE event ALTER COLUMN pos SET DEFAULT pg_current_xact_id()::text::bigint;
{pgsql} CREATE INDEX event_stream ON event (pos, op);

-- epoch: of tenant 0, which every cursor carries; another tenant's is added to it, so that it alone can begin anew. cut: up to
-- there events have been dropped.
CREATE TABLE feed (
	tenant {bigint} NOT NULL,
	epoch {bigint} NOT NULL,
	cut_pos {bigint} NOT NULL,
	cut_op {bigint} NOT NULL,
	PRIMARY KEY (tenant)
) {keyed};
INSERT INTO feed (tenant, epoch, cut_pos, cut_op) VALUES (0, {random}, 0, 0);

-- Who serves: slot is in every id that it makes, token is drawn anew at every start.
CREATE TABLE gateway (
	slot {bigint} NOT NULL,
	name {blob} NOT NULL,
	token {bigint} NOT NULL,
	version {text} NOT NULL,
	started_us {bigint} NOT NULL,
	expires_us {bigint} NOT NULL,
	PRIMARY KEY (slot)
) {keyed};
CREATE UNIQUE INDEX gateway_name ON gateway (name);

-- What one gateway at a time may do, or has under its hands; holder is its token. It ends by itself.
CREATE TABLE lease (
	kind {blob} NOT NULL,
	tenant {bigint} NOT NULL,
	id {bigint} NOT NULL,
	holder {bigint} NOT NULL,
	expires_us {bigint} NOT NULL,
	PRIMARY KEY (kind, tenant, id)
) {keyed};
CREATE INDEX lease_holder ON lease (holder);
