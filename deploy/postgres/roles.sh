#!/bin/sh
# Make the two roles of Chainweb's database, or bring those of an older one up to date: run by the image of PostgreSQL when it
# makes the database, and by hand after an upgrade (docs/operations.md). It can be run again at any time.
#
# chainweb_owner owns the tables and migrates; chainweb_app is what web and workers connect as. Neither is a superuser.
set -eu
SECRETS="${SECRETS:-/run/secrets}" OWNER="${OWNER:-chainweb_owner}" APP="${APP:-chainweb_app}"
export SECRETS
# Passwords are read by psql itself, so that they are in no command line.
exec psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=owner="$OWNER" --set=app="$APP" \
  --username="${POSTGRES_USER:-chainweb}" --dbname="${POSTGRES_DB:-chainweb}" <<'SQL'
\set owner_password `cat "$SECRETS/database_owner_password"`
\set app_password `cat "$SECRETS/database_password"`
SELECT format('CREATE ROLE %I', wanted) FROM unnest(ARRAY[:'owner', :'app']) AS wanted
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) \gexec
ALTER ROLE :"owner" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'owner_password';
ALTER ROLE :"app" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'app_password';
SELECT format('ALTER DATABASE %I OWNER TO %I', current_database(), :'owner') \gexec
ALTER SCHEMA public OWNER TO :"owner";
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SELECT format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, :'owner') FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') \gexec
SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, :'owner') FROM pg_proc p
  WHERE p.pronamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e') \gexec
SQL
