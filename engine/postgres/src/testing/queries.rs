use std::fs;
use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr};

/// Panics unless the migrated database at `url` says of each query in `described`, a crate's
/// `.sqlx`, what is written down there.
pub async fn check_queries(url: &str, described: &Path) {
    let mut connection = PgConnection::connect(url).await.expect("the database answers");
    let (mut queries, mut stale) = (0, Vec::new());
    for entry in fs::read_dir(described).expect("a folder of described queries") {
        let text = fs::read(entry.expect("a file").path()).expect("a readable file");
        let mut file: Value = serde_json::from_slice(&text).expect("a described query");
        let query = file["query"].as_str().expect("a query").to_owned();
        queries += 1;
        match connection.describe(AssertSqlSafe(query.clone()).into_sql_str()).await {
            Ok(now) => {
                let now = serde_json::to_value(now).expect("a description");
                if what_counts(now) != what_counts(file["describe"].take()) {
                    stale.push(query);
                }
            }
            Err(error) => stale.push(format!("{query}\n-- {error}")),
        }
    }
    assert!(queries > 0, "no query is described in {}", described.display());
    assert!(
        stale.is_empty(),
        "run `cargo run -p hansom-postgres --example queries`, these are out of date:\n{}",
        stale.join("\n\n")
    );
}

/// A description without what does not change what is compiled: where a column comes from, and
/// whether it can be null when its name settles that, being `x!` or `x?`.
fn what_counts(mut description: Value) -> Value {
    let mut settled = Vec::new();
    for column in description["columns"].as_array_mut().into_iter().flatten() {
        column["origin"].take();
        settled.push(column["name"].as_str().is_some_and(|name| name.ends_with(['!', '?'])));
    }
    let nullable = description["nullable"].as_array_mut().into_iter().flatten();
    for (nullable, _) in nullable.zip(settled).filter(|(_, settled)| *settled) {
        *nullable = Value::Null;
    }
    description
}
