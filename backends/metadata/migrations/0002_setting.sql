-- The house's own: switches, limits, operators ... A document is whole and small; readers keep fields of it that they do
-- not know. Tenant 0 is the house: its events tell who changed what.

CREATE TABLE setting (
	kind {blob} NOT NULL,
	id {bigint} NOT NULL,
	tenant {bigint} NOT NULL,
	user_id {bigint} NOT NULL,
	rev {bigint} NOT NULL,
	doc {text} NOT NULL,
	PRIMARY KEY (kind, id)
) {keyed};
CREATE INDEX setting_tenant ON setting (tenant, user_id) WHERE tenant <> 0;

INSERT INTO usage_total (tenant, folded, bytes, files) VALUES (0, 0, 0, 0);
