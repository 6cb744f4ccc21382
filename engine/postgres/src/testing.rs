//! Databases for tests.
//!
//! [`database`] gives each test a database of its own in one [`Throwaway`](Durability::Throwaway)
//! cluster under the target directory, which test binaries share and the last one's end stops.
//! [`DurableCluster`] is for tests that kill the server.
//!
//! Everything here panics where it cannot go on: a test has nothing better to do.

mod durable;
mod keeper;
mod queries;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

pub use self::durable::DurableCluster;
use self::keeper::Keeper;
pub use self::queries::check_queries;
use crate::cluster::{Cluster, Durability, quote};
use crate::error::ClusterError;
use crate::locks;

/// How long a test waits for anything before it fails. No promise is measured with it: a step that
/// failed while its service was down is tried again after a wait that is drawn at random, which is
/// of up to a minute after seven failures.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// What the names of tests' databases begin with.
const PREFIX: &str = "test_";

/// Postgres truncates longer names.
const LONGEST_NAME: usize = 63;

/// How often a template that is briefly in use is tried again, every [`TRY_AGAIN`].
const TRIES: u32 = 500;

const TRY_AGAIN: Duration = Duration::from_millis(10);

struct Shared {
    cluster: Cluster,
    _keeper: Keeper,
}

/// Started by the process's first test. Holds no connection, which would belong to the runtime of
/// one test.
static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// A test's own database: dropped with this value, but kept, and its URL printed, when the test
/// panics.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    maintenance: String,
    keep_note: PathBuf,
}

impl TestDatabase {
    /// The database's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The note keeps the server running for a look, until the next test run.
            let _ = fs::write(&self.keep_note, &self.url);
            eprintln!("the test's database is kept: {}", self.url);
            return;
        }
        let drop = format!("drop database if exists {} with (force)", quote(&self.name));
        let maintenance = self.maintenance.clone();
        // A thread with a runtime of its own: the test's may be ending, or be the one blocked here.
        let dropped = std::thread::spawn(move || -> Result<(), ClusterError> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(ClusterError::io("start", Path::new("a runtime")))?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&maintenance).await?;
                sqlx::query(AssertSqlSafe(drop)).execute(&mut connection).await?;
                Ok(connection.close().await?)
            })
        });
        match dropped.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the database {} is left behind: {error}", self.name),
            Err(_) => eprintln!("the database {} is left behind", self.name),
        }
    }
}

/// A new database cloned from `template`, which `migrate` fills through the URL it is given.
///
/// `migrate` runs once per template name for as long as the target directory lives, however many
/// tests and processes ask at once: put a hash of the migrations into the name. At most 50 bytes.
pub async fn database<F, Fut>(template: &str, migrate: F) -> TestDatabase
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = ()>,
{
    assert!(template.len() <= 50, "the template's name is longer than 50 bytes: {template}");
    let shared = SHARED.get_or_init(start_shared).await;
    let template = format!("template_{template}");
    let created = async {
        let name = new_name();
        if !clone_template(&shared.cluster, &template, &name).await? {
            make_template(&shared.cluster, &template, migrate).await?;
            assert!(
                clone_template(&shared.cluster, &template, &name).await?,
                "{template} was made and is gone"
            );
        }
        Ok::<_, ClusterError>(name)
    };
    let name = created.await.unwrap_or_else(|error| panic!("no database for this test: {error}"));
    TestDatabase {
        url: shared.cluster.url(&name),
        name,
        maintenance: shared.cluster.url("postgres"),
        keep_note: keep_note(&shared.cluster),
    }
}

async fn start_shared() -> Shared {
    let started = async {
        let dir = target_directory().join("pgtest");
        let cluster = Cluster::start(&dir, Durability::Throwaway).await?;
        let note = keep_note(&cluster);
        if note.exists() {
            fs::remove_file(&note).map_err(ClusterError::io("remove", &note))?;
        }
        let keeper = Keeper::stop_after_the_last(&cluster)?;
        Ok::<_, ClusterError>(Shared { cluster, _keeper: keeper })
    };
    started.await.unwrap_or_else(|error| panic!("no Postgres for the tests: {error}"))
}

/// A file whose presence tells [`Keeper`] to leave the server running.
fn keep_note(cluster: &Cluster) -> PathBuf {
    cluster.data_dir().join("keep")
}

/// Clones the template; `false` when it does not exist.
async fn clone_template(
    cluster: &Cluster,
    template: &str,
    name: &str,
) -> Result<bool, ClusterError> {
    let mut connection = cluster.connect().await?;
    let create = format!("create database {} template {}", quote(name), quote(template));
    for tried in 1.. {
        match sqlx::query(AssertSqlSafe(create.clone())).execute(&mut connection).await {
            Ok(_) => break,
            Err(error) if code(&error).as_deref() == Some("3D000") => return Ok(false),
            // Somebody, such as a background worker, is connected to the template.
            Err(error) if code(&error).as_deref() == Some("55006") && tried < TRIES => {
                tokio::time::sleep(TRY_AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    connection.close().await?;
    Ok(true)
}

/// Makes the template under another name, so that a half-migrated one never counts, and closes it
/// to connections, which would be in the way of cloning.
async fn make_template<F, Fut>(
    cluster: &Cluster,
    template: &str,
    migrate: F,
) -> Result<(), ClusterError>
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = ()>,
{
    let _gate = locks::gate(cluster.data_dir()).await?;
    let mut connection = cluster.connect().await?;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(template)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        let half = format!("half_{template}");
        run(&mut connection, &format!("drop database if exists {} with (force)", quote(&half)))
            .await?;
        cluster.ensure_database(&half).await?;
        migrate(cluster.url(&half)).await;
        run(&mut connection, &format!("alter database {} allow_connections false", quote(&half)))
            .await?;
        sqlx::query(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1",
        )
        .bind(&half)
        .execute(&mut connection)
        .await?;
        run(
            &mut connection,
            &format!("alter database {} rename to {}", quote(&half), quote(template)),
        )
        .await?;
    }
    connection.close().await?;
    Ok(())
}

/// Drops the databases that failed or killed tests left, when the server starts anew.
pub(crate) async fn drop_leftovers(cluster: &Cluster) -> Result<(), ClusterError> {
    let mut connection = cluster.connect().await?;
    let names: Vec<String> =
        sqlx::query_scalar("select datname::text from pg_database where starts_with(datname, $1)")
            .bind(PREFIX)
            .fetch_all(&mut connection)
            .await?;
    for name in names {
        run(&mut connection, &format!("drop database if exists {}", quote(&name))).await?;
    }
    connection.close().await?;
    Ok(())
}

async fn run(connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(connection).await.map(drop)
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Unique for as long as a cluster lives, and it tells which test it was.
fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let thread = std::thread::current();
    // The harness names each test's thread after the test.
    let test = thread.name().unwrap_or("thread").rsplit("::").next().unwrap_or_default();
    let test = test.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_');
    let mut name = format!("{PREFIX}{:x}_{}_{count}_", now.as_secs(), std::process::id());
    name.extend(test);
    name.truncate(LONGEST_NAME);
    name
}

/// The target directory of the workspace whose test this is: the one this program was built into,
/// known by cargo's tag, else where cargo puts it by default.
fn target_directory() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let tagged = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    tagged
        .map(Path::to_owned)
        .or(set.filter(|dir| dir.is_absolute()))
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"))
}
