//! Bodies that change while their runs are open.

use hansom_core::{
    Activity, ActivityError, Ctx, Fingerprint, SignalType, Status, Workflow, Workflows,
};
use hansom_engine::{Client, Worker};
use hansom_postgres::testing::TestDatabase;

use crate::crew::{audit, count, sql, until};
use crate::kit::{No, SOON, fresh};
use crate::plan::{Care, Go, act, becomes, end, worker_of};
use crate::stage::{Act, Rule, Stage, Unact};

const OLD: u8 = 0;
/// With a change of its beginning, for runs that begin with it.
const PATCHED: u8 = 1;
/// No open run is without the change any more.
const RETIRED: u8 = 2;
/// Changed without a thought.
const BROKEN: u8 = 3;

struct Version<const N: u8>;
impl<const N: u8> Workflow for Version<N> {
    const NAME: &'static str = "version";
    const ACTIVITIES: &'static [&'static str] = &[Act::NAME, Unact::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Go>()];
    const CODE: Option<Fingerprint> = Some(Fingerprint::of(&[&[N]]));
    type Input = ();
    type Output = ();
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, (): ()) -> Result<(), Self::Error> {
        let new = match N {
            PATCHED => ctx.patched("look-first"),
            RETIRED => {
                ctx.retire_patch("look-first");
                true
            }
            _ => N == BROKEN,
        };
        if new {
            act(&ctx, "new", Care::default()).await?;
        }
        act(&ctx, "a", Care::default()).await?;
        let Go = ctx.signals::<Go>().next().await;
        act(&ctx, "b", Care::default()).await?;
        Ok(())
    }
}

async fn worker<const N: u8>(database: &TestDatabase, stage: &Stage) -> (Worker, Client) {
    worker_of(database.url(), stage, Workflows::default().with::<Version<N>>()).await
}

async fn start(client: &Client, stage: &Stage, id: &str) {
    let before = stage.count("do a");
    client.start::<Version<OLD>>(id, &()).await.unwrap();
    until("it waits", async || stage.count("do a") > before).await;
}

async fn go(client: &Client, id: &str) {
    client.signal(id, &Go, None).await.unwrap();
    assert_eq!(end(client, id).await, Status::Completed, "{id}");
}

#[tokio::test]
async fn a_patched_body_takes_over_old_runs_and_new_ones_and_the_patch_is_retired() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (old, client) = worker::<OLD>(&database, &stage).await;
    start(&client, &stage, "before").await;
    start(&client, &stage, "long-before").await;
    old.drain().await;
    let (patched, client) = worker::<PATCHED>(&database, &stage).await;
    start(&client, &stage, "with-it").await;
    assert_eq!(stage.count("do new"), 1);
    go(&client, "before").await;
    patched.drain().await;
    // Once more, so that both kinds are taken over by the patched body.
    let (patched, client) = worker::<PATCHED>(&database, &stage).await;
    start(&client, &stage, "also-with-it").await;
    go(&client, "with-it").await;
    go(&client, "long-before").await;
    patched.drain().await;
    let (retired, client) = worker::<RETIRED>(&database, &stage).await;
    start(&client, &stage, "after").await;
    go(&client, "also-with-it").await;
    go(&client, "after").await;
    assert_eq!((stage.count("do new"), stage.count("do a"), stage.count("do b")), (3, 5, 5));
    let told = "select count(*) from hansom.event where what ? 'patched'";
    assert_eq!(count(&sql, told).await, 2, "one after its retirement records nothing");
    let codes = "select count(distinct what -> 'started' ->> 'code') from hansom.event
        where what ? 'started'";
    assert_eq!(count(&sql, codes).await, 3, "each run knows what it was started with");
    let stuck = "select count(*) from hansom.event where what ? 'stuck'";
    assert_eq!(count(&sql, stuck).await, 0);
    audit(&sql).await;
    retired.drain().await;
}

#[tokio::test]
async fn a_body_that_disagrees_with_history_is_stuck_with_both_sides_and_goes_on_when_put_back() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (old, client) = worker::<OLD>(&database, &stage).await;
    start(&client, &stage, "mended").await;
    start(&client, &stage, "undone").await;
    old.drain().await;
    let (broken, client) = worker::<BROKEN>(&database, &stage).await;
    for id in ["mended", "undone"] {
        // What is said to it meanwhile is kept.
        client.signal(id, &Go, None).await.unwrap();
        let stuck = becomes(&client, id, Status::Stuck).await.now.stuck.unwrap();
        assert_eq!(stuck.reason, "nondeterminism");
        let (history, code) = stuck.detail.split_once("the code asks for").unwrap();
        assert!(history.starts_with("at command 0: history has"), "{history}");
        assert!(history.contains(r#""name":"a""#) && code.contains(r#""name":"new""#));
    }
    // Without a body that fits: from data.
    client.cancel("undone", None).await.unwrap();
    assert_eq!(end(&client, "undone").await, Status::Cancelled);
    assert_eq!(stage.count("undo a"), 1);
    client.retry("mended", Some("too soon")).await.unwrap();
    let again = "select count(*) from hansom.event where what ? 'stuck'";
    until("it is stuck again", async || count(&sql, again).await == 3).await;
    broken.drain().await;
    let (old, client) = worker::<OLD>(&database, &stage).await;
    client.retry("mended", Some("rolled back")).await.unwrap();
    assert_eq!(end(&client, "mended").await, Status::Completed);
    assert_eq!(stage.story(), ["do a", "do a", "undo a", "do b"]);
    audit(&sql).await;
    old.drain().await;
}

#[tokio::test]
async fn a_run_whose_type_is_gone_is_undone_from_data_or_goes_on_when_it_is_back() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (old, client) = worker::<OLD>(&database, &stage).await;
    for id in ["undone", "back"] {
        start(&client, &stage, id).await;
    }
    old.drain().await;
    let (without, client) = worker_of(database.url(), &stage, Workflows::default()).await;
    for id in ["undone", "back"] {
        let stuck = becomes(&client, id, Status::Stuck).await.now.stuck.unwrap();
        assert_eq!(stuck.reason, "unknown_type");
    }
    stage.next("undo a", &[Rule::Fail]);
    client.cancel("undone", Some("nobody needs it")).await.unwrap();
    assert_eq!(client.result("undone", SOON).await.unwrap().status, Status::Cancelled);
    without.drain().await;
    let (old, client) = worker::<OLD>(&database, &stage).await;
    client.retry("back", None).await.unwrap();
    go(&client, "back").await;
    assert_eq!(stage.story(), ["do a", "do a", "undo a", "undo a", "do b"]);
    audit(&sql).await;
    old.drain().await;
}
