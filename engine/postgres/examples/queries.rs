//! Writes down anew what Postgres says of the engine's and the services' queries, after a change of
//! SQL or of a migration: builds need no database for it. Commit the `.sqlx` folders that it fills.
#![allow(clippy::unwrap_used, reason = "a tool that cannot go on panics")]

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use hansom_postgres::testing::database;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

/// A crate's folder, its migrations, and the schema they are for.
const CRATES: [(&str, &str, &str); 2] =
    [("engine", "migrations/engine", "hansom"), ("activities", "migrations/services", "taxisvc")];

#[tokio::main]
async fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    for (folder, migrations, schema) in CRATES {
        let database = database("empty", |_| async {}).await;
        let pool = PgPool::connect(database.url()).await.unwrap();
        let mut migrator = Migrator::new(root.join(migrations)).await.unwrap();
        migrator.create_schema(schema);
        migrator.run(&pool).await.unwrap();
        pool.close().await;

        let described = std::env::temp_dir().join(format!("sqlx-{}-{folder}", std::process::id()));
        fs::create_dir_all(&described).unwrap();
        describe(&root.join(folder), &described, database.url());
        replace(&root.join(folder).join(".sqlx"), &described);
        fs::remove_dir_all(&described).unwrap();
    }
}

/// Has the compiler ask the database at `url` about a crate's queries.
fn describe(folder: &Path, described: &Path, url: &str) {
    // What has been compiled already would not be asked about.
    let library = File::options().append(true).open(folder.join("src/lib.rs")).unwrap();
    library.set_modified(SystemTime::now()).unwrap();
    let mut check = Command::new("cargo");
    // Build scripts would take what cargo told this program of its own package for news, and have
    // half of the dependencies compiled again.
    let told = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| told.iter().any(|prefix| name.starts_with(prefix))) {
        check.env_remove(name);
    }
    check
        .args(["check", "--quiet", "--lib"])
        .current_dir(folder)
        .envs([("SQLX_OFFLINE", "false"), ("DATABASE_URL", url)])
        .env("SQLX_OFFLINE_DIR", described);
    assert!(check.status().unwrap().success(), "{} does not compile", folder.display());
}

fn replace(folder: &Path, with: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    fs::create_dir_all(folder).unwrap();
    let mut queries = 0;
    for entry in fs::read_dir(with).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        queries += 1;
    }
    println!("{queries} queries in {}", folder.display());
}
