//! The services of move24mall and of the bikes, on a real Postgres.

mod bikes;
mod moves;
mod numbers;

use hansom_core::{Activity, ActivityContext, Direction, Failure, Handler, Seq};
use hansom_postgres::testing::{TestDatabase, database};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;

/// A database of one's own, with the services' schemas.
async fn services() -> (PgPool, TestDatabase) {
    let migrator = hansom_activities::migrator();
    let bytes = migrator.iter().flat_map(|migration| migration.checksum.iter());
    let version = bytes.fold(0_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte));
    let database = database(&format!("services_{version:016x}"), |url| async move {
        let pool = PgPool::connect(&url).await.expect("the template answers");
        hansom_activities::migrator().run(&pool).await.expect("the migrations run");
        pool.close().await;
    })
    .await;
    let pool = PgPoolOptions::new().max_connections(12).connect(database.url()).await;
    (pool.expect("the database answers"), database)
}

fn of_run(run: &str) -> ActivityContext {
    ActivityContext::new("the workflow", run, Seq(0), Direction::Do, 1)
}

/// Asks for a run, and expects no technical failure.
async fn ask<A: Activity>(
    handler: &impl Handler<A>,
    run: &str,
    ask: A,
) -> Result<A::Output, A::Error> {
    match handler.handle(ask, of_run(run)).await {
        Ok(output) => Ok(output),
        Err(Failure::Refused(error)) => Err(error),
        Err(failure) => panic!("{}: {failure:?}", A::NAME),
    }
}

/// Asks for one run, and expects it to be done.
async fn done<A: Activity>(handler: &impl Handler<A>, request: A) -> A::Output {
    let answer = ask(handler, "run", request).await;
    answer.unwrap_or_else(|refused| panic!("{}: {refused}", A::NAME))
}

/// Asks eight times at once for one run: the answers.
async fn eight_at_once<A, H>(handler: &H, request: &A) -> Vec<Result<A::Output, A::Error>>
where
    A: Activity + Clone,
    H: Handler<A> + Clone,
{
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let (handler, request) = (handler.clone(), request.clone());
        asking.spawn(async move { ask(&handler, "run", request).await });
    }
    asking.join_all().await
}
