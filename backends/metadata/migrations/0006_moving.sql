-- A tenant goes to another shard, and what changes meanwhile is told.

-- hold_us: until then nobody may change it, although it is at home; it ends by itself. mover: whoever brings it to another
-- shard, drawn anew by each; one that was taken for dead finds another's number here.
ALTER TABLE tenant ADD COLUMN hold_us {bigint} DEFAULT 0 NOT NULL;
ALTER TABLE tenant ADD COLUMN mover {bigint} DEFAULT 0 NOT NULL;

-- What each batch has changed while its tenant is copied away (tenant.state 1), in the order of commits like event.pos. told:
-- words, backends/metadata/told.h.
CREATE TABLE moving (
	tenant {bigint} NOT NULL,
	pos {bigint} NOT NULL,
	op {bigint} NOT NULL,
	told {text} NOT NULL,
	PRIMARY KEY (tenant, pos, op)
) {keyed};
