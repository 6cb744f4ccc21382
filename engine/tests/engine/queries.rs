//! What the compiler was told of the queries, and what the migrations make of them.

use hansom_engine::{connect, migrate};
use hansom_postgres::testing::{check_queries, database};

#[tokio::test]
async fn the_compiler_knew_the_queries_as_the_migrated_database_does() {
    let database = database("empty", |_| async {}).await;
    let pool = connect(database.url(), 1).await.unwrap();
    migrate(&pool, None).await.unwrap();
    pool.close().await;
    check_queries(database.url(), concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx").as_ref()).await;
}
