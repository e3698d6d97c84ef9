-- Quotas. user_id 0 is the tenant's own account.

-- Room that a gateway may use up on its own, until it ends. id names the lease: a batch that rests on it names it too, and
-- happens only while it lives.
CREATE TABLE quota_lease (
	tenant {bigint} NOT NULL,
	id {bigint} NOT NULL,
	user_id {bigint} NOT NULL,
	bytes {bigint} NOT NULL,
	files {bigint} NOT NULL,
	expires_us {bigint} NOT NULL,
	PRIMARY KEY (tenant, id)
) {keyed};
CREATE INDEX quota_lease_user ON quota_lease (tenant, user_id);

-- What users own, for those that have a limit: a sum, and what has changed since, a row for each operation, so that no row
-- is hot. The fold adds the second to the first.
CREATE TABLE usage_user (
	tenant {bigint} NOT NULL,
	user_id {bigint} NOT NULL,
	bytes {bigint} NOT NULL,
	files {bigint} NOT NULL,
	PRIMARY KEY (tenant, user_id)
) {keyed};
CREATE TABLE usage_change (
	tenant {bigint} NOT NULL,
	user_id {bigint} NOT NULL,
	op {bigint} NOT NULL,
	bytes {bigint} NOT NULL,
	files {bigint} NOT NULL,
	PRIMARY KEY (tenant, user_id, op)
) {keyed};

-- Transfer in a month (months since year 0), paid ahead in chunks by the gateways.
CREATE TABLE usage_month (
	tenant {bigint} NOT NULL,
	user_id {bigint} NOT NULL,
	month {bigint} NOT NULL,
	bytes {bigint} NOT NULL,
	PRIMARY KEY (tenant, user_id, month)
) {keyed};
