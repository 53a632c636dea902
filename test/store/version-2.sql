-- The schema of user_version 2, in a file that was made with it.
PRAGMA auto_vacuum = INCREMENTAL;
CREATE TABLE exchanges (id TEXT PRIMARY KEY NOT NULL, started_at REAL, trace_id TEXT, span_id TEXT, parent_span_id TEXT, method TEXT, path TEXT, route TEXT, server_address TEXT, server_port INTEGER, trace_flags INTEGER, trace_state TEXT, link TEXT, usage_by_caller INTEGER, caller TEXT, ended_at REAL, end_reason TEXT, status INTEGER, streamed INTEGER, framing TEXT, format TEXT, operation TEXT, provider TEXT, request_model TEXT, response_model TEXT, response_id TEXT, finish_reasons TEXT, input_tokens INTEGER, output_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER, reasoning_tokens INTEGER, total_tokens INTEGER, iterations_input_tokens INTEGER, iterations_output_tokens INTEGER, iterations_cache_read_tokens INTEGER, iterations_cache_write_tokens INTEGER, usage_outcome TEXT, usage_reason TEXT, error_type TEXT, request_bytes INTEGER, response_bytes INTEGER, time_to_first_chunk_ms REAL, duration_ms REAL, content_encoding TEXT, drained_bytes INTEGER, drained_ms REAL, notes TEXT, responses INTEGER, cost REAL, cost_status TEXT, cost_source TEXT, estimated_input_tokens INTEGER, estimated_output_tokens INTEGER);
CREATE INDEX exchanges_started_at ON exchanges (started_at);
CREATE INDEX exchanges_open ON exchanges (id) WHERE end_reason IS NULL;
CREATE TABLE spool ( id INTEGER PRIMARY KEY, signal TEXT NOT NULL, encoding TEXT NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL, created_at REAL NOT NULL, process INTEGER NOT NULL, body BLOB NOT NULL );
CREATE INDEX spool_waiting ON spool (signal, id, encoding, records, bytes, created_at, process);
CREATE TABLE series ( id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, started_at REAL NOT NULL, value REAL, bounds TEXT, counts TEXT, sum REAL );
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
PRAGMA application_id = 1953981810;
PRAGMA user_version = 2;
