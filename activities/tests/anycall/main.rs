//! Payment and notification, which all systems share, and the services of anycall, on a real
//! Postgres.

mod member;
mod payment;
mod taxi;

use hansom_activities::notification::{Feed, NotificationService};
use hansom_activities::page::Page;
use hansom_core::{Activity, ActivityContext, Direction, Failure, Handler, Seq};
use hansom_postgres::testing::{TestDatabase, database};
use hansom_workflows::notification::{Channel, Notify};
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

/// Asks for that step of a run, and expects no technical failure.
async fn ask<A: Activity>(
    handler: &impl Handler<A>,
    (run, seq): (&str, u32),
    request: A,
) -> Result<A::Output, A::Error> {
    let cx = ActivityContext::new("anycall.call.1", run, Seq(seq), Direction::Do, 1);
    match handler.handle(request, cx).await {
        Ok(output) => Ok(output),
        Err(Failure::Refused(error)) => Err(error),
        Err(failure) => panic!("{}: {failure:?}", A::NAME),
    }
}

/// Asks eight times at once for one step: the answers.
async fn eight_at_once<A, H>(handler: &H, request: &A) -> Vec<Result<A::Output, A::Error>>
where
    A: Activity + Clone,
    H: Handler<A> + Clone,
{
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let (handler, request) = (handler.clone(), request.clone());
        asking.spawn(async move { ask(&handler, ("run", 1), request).await });
    }
    asking.join_all().await
}

#[tokio::test]
async fn a_message_is_delivered_once_for_each_step_and_kept_for_whom_it_is() {
    let (pool, _database) = services().await;
    let messages = NotificationService::new(pool);
    let notify = Notify {
        about: "anycall.call.1".to_owned(),
        channel: Channel::Sms,
        from: "02-1234-5678".to_owned(),
        to: "010-3333-4444".to_owned(),
        message: "택시운행이 시작되었습니다".to_owned(),
    };
    assert_eq!(eight_at_once(&messages, &notify).await, [Ok(()); 8]);
    let of = |system, to| messages.list(Feed { system, to }, Page::default());
    let kept = of("anycall", None).await.expect("it answers");
    assert_eq!((kept.total, &kept.items[0].notify), (1, &notify));
    assert_eq!(ask(&messages, ("run", 2), notify.clone()).await, Ok(()));
    assert_eq!(ask(&messages, ("another run", 1), notify).await, Ok(()));
    assert_eq!(of("anycall", Some("010-3333-4444")).await.expect("it answers").total, 3);
    assert_eq!(of("anycall", Some("010-7202-2664")).await.expect("it answers").total, 0);
    assert_eq!(of("move", None).await.expect("it answers").total, 0);
}
