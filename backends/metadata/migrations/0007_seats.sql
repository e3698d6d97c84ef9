-- Sessions and transfers at a time that a gateway may let in on its own, until its lease ends. A gateway of the release before
-- has none on lease and counts its own.
ALTER TABLE quota_lease ADD COLUMN sessions {bigint} DEFAULT 0 NOT NULL;
ALTER TABLE quota_lease ADD COLUMN transfers {bigint} DEFAULT 0 NOT NULL;
