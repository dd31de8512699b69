#!/usr/bin/env bash
# Runs the example `enrich-table` against a PostgreSQL server of its own and compares what it writes.
set -euo pipefail
job=$(realpath "$1")
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
folder=$(mktemp -d /tmp/thalweg-pg-XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid postgres --regid postgres --clear-groups); fi
finish() {
    "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap finish EXIT
chmod 777 "$folder"
"${as[@]}" "$bin/initdb" -D "$folder/data" -A trust -U postgres -N >"$folder/initdb.log"
"${as[@]}" "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
    -o "-k '$folder' -c listen_addresses= -c fsync=off" start >/dev/null
database="host=$folder dbname=postgres user=postgres"
"$bin/psql" -q "$database" <<'SQL'
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, city text);
INSERT INTO customers SELECT i, 'customer ' || i, CASE WHEN i % 3 > 0 THEN 'city ' || i % 7 END
FROM generate_series(0, 499) i WHERE i % 10 <> 3;
SQL
"$job" run --connection "$database" --orders 20000 --output "$folder/enriched.csv" --quiet
"$bin/psql" -q -A -t "$database" >"$folder/expected.csv" <<'SQL'
COPY (SELECT o AS order, name AS customer, city, o % 90 * 100 AS cents FROM generate_series(0::bigint, 19999) o
JOIN customers ON id = o * 7919 % 500 ORDER BY o) TO STDOUT (FORMAT csv, HEADER)
SQL
cmp "$folder/enriched.csv" "$folder/expected.csv"
echo "enrich-table wrote $(($(wc -l <"$folder/enriched.csv") - 1)) rows as expected"
