//! The payment ledger of taxisvc, as a test holds it up.

use sqlx::{PgPool, Postgres, Transaction};

/// Until it is rolled back nobody writes into the ledger.
pub(crate) async fn hold(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut holding = pool.begin().await.expect("it answers");
    let lock = sqlx::raw_sql("lock table taxisvc.payment in exclusive mode");
    lock.execute(&mut *holding).await.expect("it is locked");
    holding
}
