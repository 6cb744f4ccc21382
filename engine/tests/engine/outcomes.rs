//! The statements of transactional attempts, against one another.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::crew::{count, sql, until};
use crate::kit::fresh;

const RUN: Uuid = Uuid::from_u128(7);

/// Takes the step; what an attempt finds: whether it is fresh, its output, whether it is void.
async fn take(connection: &mut PgConnection) -> Result<(bool, Option<String>, bool), sqlx::Error> {
    let taken = "select fresh, output, void from hansom.take_step(3, $1, 0, false)";
    sqlx::query_as(taken).bind(RUN).fetch_one(connection).await
}

async fn void(connection: &mut PgConnection) -> bool {
    let took_place = sqlx::query_scalar("select hansom.void_step(3, $1, 0)").bind(RUN);
    took_place.fetch_one(connection).await.unwrap()
}

async fn answer(connection: &mut PgConnection) {
    let answer = "update hansom.outcome set output = '1' where run = $1 and not undo";
    sqlx::query(answer).bind(RUN).execute(connection).await.unwrap();
}

/// Takes the step elsewhere, and is waited for to wait for it.
async fn take_elsewhere(sql: &PgPool) -> JoinHandle<(bool, Option<String>, bool)> {
    let mut other = sql.begin().await.unwrap();
    let taking = tokio::spawn(async move {
        let taken = take(&mut other).await.unwrap();
        other.commit().await.unwrap();
        taken
    });
    one_waits(sql).await;
    taking
}

async fn one_waits(sql: &PgPool) {
    until("one waits for the other", async || {
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        count(sql, waiting).await == 1
    })
    .await;
}

#[tokio::test]
async fn a_second_attempt_waits_for_the_first_and_answers_what_it_answered() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let mut first = sql.begin().await.unwrap();
    assert_eq!(take(&mut first).await.unwrap(), (true, None, false));
    let second = take_elsewhere(&sql).await;
    answer(&mut first).await;
    assert!(!second.is_finished());
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), (false, Some("1".to_owned()), false));
}

#[tokio::test]
async fn a_second_attempt_has_the_step_when_the_first_is_rolled_back() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let mut first = sql.begin().await.unwrap();
    take(&mut first).await.unwrap();
    let second = take_elsewhere(&sql).await;
    answer(&mut first).await;
    first.rollback().await.unwrap();
    assert_eq!(second.await.unwrap(), (true, None, false));
}

#[tokio::test]
async fn a_step_is_void_only_if_no_attempt_of_it_committed_and_stays_void() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    for commits in [false, true] {
        sqlx::query("truncate hansom.outcome").execute(&sql).await.unwrap();
        let mut attempt = sql.begin().await.unwrap();
        take(&mut attempt).await.unwrap();
        let mut other = sql.acquire().await.unwrap();
        let voiding = tokio::spawn(async move { void(&mut other).await });
        one_waits(&sql).await;
        answer(&mut attempt).await;
        if commits {
            attempt.commit().await.unwrap();
        } else {
            attempt.rollback().await.unwrap();
        }
        assert_eq!(voiding.await.unwrap(), commits, "whether it took place");
        let mut late = sql.acquire().await.unwrap();
        let expected =
            if commits { (false, Some("1".to_owned()), false) } else { (false, None, true) };
        assert_eq!(take(&mut late).await.unwrap(), expected);
        assert_eq!(void(&mut late).await, commits, "and the same when asked again");
    }
}

/// Both orders of a takeover and the last statement of an attempt.
#[tokio::test]
async fn an_attempt_commits_before_a_takeover_or_not_at_all() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let worker = Uuid::now_v7();
    let owned = "update hansom.partition set owner = $1, epoch = 5 where part = 3";
    let hold = |worker: Uuid, epoch: i64| {
        sqlx::query("select hansom.hold(3, $1, $2)").bind(worker).bind(epoch)
    };
    let fenced = |result: Result<_, sqlx::Error>| {
        let error = result.expect_err("it is fenced");
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("HS001"));
    };
    let taken_over = "update hansom.partition set owner = null, epoch = 6 where part = 3";

    sqlx::query(owned).bind(worker).execute(&sql).await.unwrap();
    fenced(hold(worker, 4).execute(&sql).await);
    fenced(hold(Uuid::now_v7(), 5).execute(&sql).await);
    // The attempt first: the takeover waits for its commit.
    let mut attempt = sql.begin().await.unwrap();
    hold(worker, 5).execute(&mut *attempt).await.unwrap();
    let mut other = sql.acquire().await.unwrap();
    let takeover = tokio::spawn(async move {
        sqlx::query(taken_over).execute(&mut *other).await.unwrap();
    });
    one_waits(&sql).await;
    attempt.commit().await.unwrap();
    takeover.await.unwrap();

    // The takeover first: the attempt waits for that, and is refused.
    sqlx::query(owned).bind(worker).execute(&sql).await.unwrap();
    let mut takeover = sql.begin().await.unwrap();
    sqlx::query(taken_over).execute(&mut *takeover).await.unwrap();
    let mut other = sql.begin().await.unwrap();
    let attempt = tokio::spawn(async move { hold(worker, 5).execute(&mut *other).await });
    one_waits(&sql).await;
    takeover.commit().await.unwrap();
    fenced(tokio::time::timeout(Duration::from_secs(5), attempt).await.unwrap().unwrap());
}
