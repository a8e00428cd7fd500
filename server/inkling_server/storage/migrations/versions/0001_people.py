"""Content, what people do with it, and what is computed from that.

    person ◄── engagement ──► content ──► content_tag ──► interest
       ▲          profile        │ ▲
       └── author_key ───────────┘ ├── content_embedding ──► model ◄── visual_clusters
                                   ├── cluster_exemplar
                                   └── content_neighbor, content_popularity (batch work: no keys)

What is written is numbered (`feed_seq`) for readers who come back for what is new, see feed.py. A
number is drawn under a lock that the transaction shares with other writers, so that a reader can
wait until everything up to a number is committed. The lock is taken by triggers: whoever writes
takes it, and the numbers survive a dump. Replacing an item does not change its number.

Every id of a caller stands in one column of one table, everything else holds numbers: so erasing a
row erases the id. Columns of text have no statistics: ANALYZE would copy their values into
pg_statistic.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE SEQUENCE feed_seq;
CREATE FUNCTION share_feed_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1768844140, 1);
    RETURN NULL;
END $$;

-- Up to where somebody has read: a restored dump that is older than that does not know the token.
CREATE TABLE feed_mark (
    token uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    seq bigint NOT NULL
);

CREATE TABLE person (
    person_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text NOT NULL UNIQUE,
    -- Rises with everything that changes what is computed from the person's engagements.
    engagement_version bigint NOT NULL DEFAULT 0,
    -- Of the rows in engagement: counting them takes too long for people with very many.
    engagement_count bigint NOT NULL DEFAULT 0,
    last_time timestamptz
) WITH (fillfactor = 70);

CREATE TABLE interest (
    interest_key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    interest_id text NOT NULL UNIQUE
);

CREATE TABLE model (
    model_key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text NOT NULL UNIQUE,
    dimension integer NOT NULL CHECK (dimension BETWEEN 1 AND 4000)
);

CREATE TABLE content (
    content_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content_id text NOT NULL UNIQUE,
    author_key bigint REFERENCES person,
    -- Of the model that tagged it last.
    model_key integer REFERENCES model,
    created_time timestamptz NOT NULL,
    latitude_deg double precision,
    longitude_deg double precision,
    source text NOT NULL,
    location text NOT NULL,
    graph_version text NOT NULL,
    model_version text NOT NULL,
    texts jsonb NOT NULL,
    -- {interest_key: explanation}: apart from content_tag, which then holds numbers alone.
    explanations jsonb NOT NULL,
    feed_seq bigint NOT NULL DEFAULT nextval('feed_seq')
);
CREATE INDEX content_feed ON content (feed_seq);
CREATE TRIGGER share_feed_lock BEFORE INSERT ON content
    FOR EACH STATEMENT EXECUTE FUNCTION share_feed_lock();
CREATE INDEX content_author ON content (author_key, created_time DESC) WHERE author_key IS NOT NULL;
CREATE INDEX content_newest ON content (created_time DESC, content_key DESC);

CREATE TABLE content_tag (
    content_key bigint NOT NULL REFERENCES content ON DELETE CASCADE,
    interest_key integer NOT NULL REFERENCES interest,
    score real NOT NULL,
    -- The item's, here for the index of what is new in an interest.
    created_time timestamptz NOT NULL,
    PRIMARY KEY (content_key, interest_key) INCLUDE (score)
);
CREATE INDEX content_tag_best ON content_tag (interest_key, score DESC, content_key);
CREATE INDEX content_tag_newest ON content_tag (interest_key, created_time DESC, content_key);

-- One partial HNSW index for each model, made when the model is first seen: see models.py.
CREATE TABLE content_embedding (
    content_key bigint NOT NULL REFERENCES content ON DELETE CASCADE,
    model_key integer NOT NULL REFERENCES model,
    embedding halfvec NOT NULL,
    PRIMARY KEY (content_key, model_key)
);

CREATE TABLE engagement (
    person_key bigint NOT NULL REFERENCES person ON DELETE CASCADE,
    -- The first 16 bytes of the SHA-256 of the request id.
    request_key uuid NOT NULL,
    content_key bigint NOT NULL REFERENCES content ON DELETE CASCADE,
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 5),
    time timestamptz NOT NULL,
    feed_seq bigint NOT NULL DEFAULT nextval('feed_seq'),
    PRIMARY KEY (person_key, request_key)
);
CREATE TRIGGER share_feed_lock BEFORE INSERT ON engagement
    FOR EACH STATEMENT EXECUTE FUNCTION share_feed_lock();
CREATE INDEX engagement_feed ON engagement (feed_seq);
CREATE INDEX engagement_newest ON engagement (person_key, time DESC) INCLUDE (content_key, kind);
CREATE INDEX engagement_content ON engagement (content_key, person_key);
CREATE INDEX engagement_time ON engagement USING brin (time);

CREATE TABLE profile (
    person_key bigint PRIMARY KEY REFERENCES person ON DELETE CASCADE,
    engagement_version bigint NOT NULL,
    stamp text NOT NULL,
    visual bytea,
    picture_count integer NOT NULL,
    outdated_count integer NOT NULL,
    interests jsonb NOT NULL,
    computed_time timestamptz NOT NULL
);
CREATE INDEX profile_stamp ON profile (stamp);

CREATE TABLE visual_clusters (
    version text PRIMARY KEY,
    model_key integer NOT NULL REFERENCES model,
    data bytea NOT NULL,
    created_time timestamptz NOT NULL,
    background_count bigint NOT NULL
);
CREATE INDEX visual_clusters_model ON visual_clusters (model_key, created_time DESC);

CREATE TABLE cluster_exemplar (
    version text NOT NULL REFERENCES visual_clusters ON DELETE CASCADE,
    cluster integer NOT NULL,
    place integer NOT NULL,
    content_key bigint NOT NULL REFERENCES content ON DELETE CASCADE,
    PRIMARY KEY (version, cluster, place)
);
CREATE INDEX cluster_exemplar_content ON cluster_exemplar (content_key);

CREATE TABLE content_neighbor (
    content_key bigint NOT NULL,
    neighbor_key bigint NOT NULL,
    weight real NOT NULL,
    PRIMARY KEY (content_key, neighbor_key) INCLUDE (weight)
);
CREATE INDEX content_neighbor_back ON content_neighbor (neighbor_key);

CREATE TABLE content_popularity (
    content_key bigint PRIMARY KEY,
    popularity real NOT NULL
);
CREATE INDEX content_popularity_best ON content_popularity (popularity DESC, content_key);
"""

_WITHOUT_STATISTICS = {
    "feed_mark": ("token",),
    "person": ("user_id",),
    "content": (
        *("content_id", "latitude_deg", "longitude_deg"),
        *("source", "location", "texts", "explanations"),
    ),
    "content_embedding": ("embedding",),
    "engagement": ("request_key",),
    "profile": ("visual", "interests"),
}


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(_TABLES)
    for table, columns in _WITHOUT_STATISTICS.items():
        for column in columns:
            connection.exec_driver_sql(
                f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0"
            )
