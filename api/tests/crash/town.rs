//! A database, servers on it, and HTTP.

use std::time::Duration;

use hansom_postgres::testing::DurableCluster;
use reqwest::Method;
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

use crate::process::{Log, Process, hansom, until};

/// Few enough for a debug build, and many enough to be shared out.
pub(crate) const PARTITIONS: i64 = 32;

/// A durable Postgres of a test's own, migrated.
pub(crate) struct Town {
    pub(crate) books: PgPool,
    url: String,
    _cluster: DurableCluster,
}

impl Town {
    pub(crate) async fn new() -> Self {
        let cluster = DurableCluster::start().await;
        cluster.cluster().ensure_database("hansom").await.expect("a database is made");
        let url = cluster.url("hansom");
        let partitions = PARTITIONS.to_string();
        let mut migrate = hansom(&["migrate", "--partitions", &partitions]);
        let migrated = migrate.env("HANSOM_DATABASE_URL", &url).output().expect("it runs");
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        Self { books: open(&url).await, url, _cluster: cluster }
    }

    /// Another server on it.
    pub(crate) async fn serve(&self, lease: &str) -> Process {
        self.serve_as("hansom", lease).await
    }

    /// … that the database knows by a name.
    pub(crate) async fn serve_as(&self, name: &str, lease: &str) -> Process {
        let url = format!("{}&options[crash.server]={name}", self.url);
        let mut command = hansom(&["serve"]);
        command.env("HANSOM_DATABASE_URL", url).env("HANSOM_LEASE", lease);
        Process::start(command).await
    }

    /// Waits until the partitions are shared out between these and nobody else.
    pub(crate) async fn shared_by(&self, servers: &[&Process]) {
        let each = PARTITIONS / i64::try_from(servers.len()).expect("a few");
        let mut wanted: Vec<_> = servers.iter().map(|server| (server.worker(), each)).collect();
        wanted.sort();
        until("the partitions are shared out", async || {
            let owners: Vec<(String, i64)> = rows(
                &self.books,
                "select coalesce(owner::text, ''), count(*) from hansom.partition
                 group by 1 order by 1",
            )
            .await;
            (owners == wanted).then_some(())
        })
        .await;
    }

    /// Calls whose saga is a worker's and waits for the answer to its first attempt of this.
    pub(crate) async fn in_flight(&self, worker: &str, activity: &str) -> Vec<i64> {
        let found: Vec<(i64,)> = rows(
            &self.books,
            &format!(
                "select split_part(w.workflow_id, '.', 3)::bigint from hansom.workflow w
                 join hansom.partition p using (part)
                 where p.owner = '{worker}' and w.closed_at is null
                   and (select h.events from hansom.history h
                        where h.part = w.part and h.run = w.run order by h.event desc limit 1)
                       like '%{{\"run\":{{\"activity\":\"{activity}\"%'
                 order by 1"
            ),
        )
        .await;
        found.into_iter().map(|(id,)| id).collect()
    }

    /// From now on every row of history is noted with who wrote it, and who owned its partition
    /// at that moment.
    pub(crate) async fn watch_writers(&self) {
        let watch = "
            create table public.written (
                n bigint generated always as identity, writer text, owner uuid, part int, event int);
            create function public.note_writer() returns trigger language plpgsql as $$ begin
                insert into public.written (writer, owner, part, event)
                select current_setting('crash.server', true), p.owner, new.part, new.event
                from hansom.partition p where p.part = new.part;
                return null;
            end $$;
            create trigger note_writer after insert on hansom.history
                for each row execute function public.note_writer();";
        sqlx::raw_sql(watch).execute(&self.books).await.expect("it is watched");
    }

    /// Whoever wrote owned what it wrote, under one of the identities that its log names. Anybody
    /// may write the first row of a history: that is how a start reaches another's partition.
    pub(crate) async fn assert_only_owners_wrote(&self, servers: &[(&str, &Log)]) {
        for (name, log) in servers {
            let written: Vec<(String, i64)> = rows(
                &self.books,
                &format!(
                    "select coalesce(owner::text, 'nobody'), count(*) from public.written
                     where writer = '{name}' and event > 0 group by 1"
                ),
            )
            .await;
            assert!(!written.is_empty(), "{name} wrote nothing");
            let joined = log.all("joined");
            for (owner, count) in written {
                let own = joined.iter().any(|line| line.field("worker") == owner);
                assert!(own, "{name} wrote {count} rows into partitions of {owner}");
            }
        }
    }

    /// A table that nobody else changes until this is let go with [`unlock`].
    pub(crate) async fn lock(&self, table: &str) -> PgConnection {
        lock(self.connect().await, table).await
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the database answers")
    }

    /// How many rows there are of a table, or of some.
    pub(crate) async fn count(&self, what: &str) -> i64 {
        let counted: Vec<(i64,)> = rows(&self.books, &format!("select count(*) from {what}")).await;
        counted[0].0
    }
}

/// As [`Town::lock`], where connecting would take too long.
pub(crate) async fn lock(mut connection: PgConnection, table: &str) -> PgConnection {
    let lock = AssertSqlSafe(format!("begin; lock table {table} in exclusive mode"));
    sqlx::raw_sql(lock).execute(&mut connection).await.expect("it is locked");
    connection
}

/// Lets go of what [`Town::lock`] holds.
pub(crate) async fn unlock(connection: PgConnection) {
    connection.close().await.expect("it lets go");
}

pub(crate) async fn open(url: &str) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(4).connect(url).await;
    pool.expect("the database answers")
}

/// All rows of a query.
pub(crate) async fn rows<R>(pool: &PgPool, query: &str) -> Vec<R>
where
    R: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    let query = sqlx::query_as(AssertSqlSafe(query.to_owned()));
    query.fetch_all(pool).await.expect("the database answers")
}

/// HTTP to one server.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    pub(crate) url: String,
}

/// An answer, with its body where it has one that is JSON.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Api {
    pub(crate) fn to(url: &str) -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build();
        Self { http: http.expect("a client is made"), url: url.to_owned() }
    }

    /// The same client, to another server.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { http: self.http.clone(), url: url.to_owned() }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or_default() })
    }

    /// An error when the server is gone, or goes before it has answered.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        self.ask(Method::GET, path, None).await
    }

    /// As [`Self::get`].
    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Answer, reqwest::Error> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Sets the switches of a service; as [`Self::get`].
    pub(crate) async fn try_fault(
        &self,
        service: &str,
        switches: Value,
    ) -> Result<Answer, reqwest::Error> {
        self.ask(Method::PUT, &format!("/faults/{service}"), Some(switches)).await
    }

    /// … of a server that is there to answer.
    pub(crate) async fn fault(&self, service: &str, switches: Value) {
        let answer = self.try_fault(service, switches).await.expect("it is there");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// The body of a page that is there.
    pub(crate) async fn see(&self, path: &str) -> Value {
        let answer = self.get(path).await.expect("it is there");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }
}
