//! Long sagas: what a step costs does not depend on how many there were before it.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use hansom_core::{Activity, ActivityError, Ctx, Event, Status, Workflow, Workflows};
use hansom_engine::{Client, ClientError, HistoryEvent};
use hansom_postgres::testing::PATIENCE;
use sqlx::{Postgres, Transaction};

use crate::crew::{self, audit, count, sql};
use crate::kit::{Name, No, Roll, fresh};
use crate::plan::{Care, act, worker_of};
use crate::stage::{Act, Stage, Unact};

/// So many steps, one after the other; then it fails.
struct Steps;
impl Workflow for Steps {
    const NAME: &'static str = "steps";
    const ACTIVITIES: &'static [&'static str] = &[Act::NAME, Unact::NAME];
    type Input = u32;
    type Output = ();
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, steps: u32) -> Result<(), Self::Error> {
        for step in 0..steps {
            act(&ctx, &step.to_string(), Care::default()).await?;
        }
        Err(ActivityError::Refused(No))
    }
}

async fn history(client: &Client, id: &str) -> Vec<HistoryEvent> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|event: &HistoryEvent| event.event);
        let page = client.history(id, after, 2_000).await.unwrap();
        let last = page.next.is_none();
        all.extend(page.items);
        if last {
            return all;
        }
    }
}

/// The time of each event of that kind.
fn times(history: &[HistoryEvent], kind: impl Fn(&Event) -> bool) -> Vec<i64> {
    let of_kind = history.iter().filter(|event| kind(&event.what));
    of_kind.map(|event| event.at.timestamp_micros()).collect()
}

/// What one took in the last quarter in terms of one in the first: in the middle of all that it
/// was.
fn growth(what: &str, times: &[i64]) -> f64 {
    let middle = |times: &[i64]| {
        let mut took: Vec<_> = times.windows(2).map(|pair| pair[1].abs_diff(pair[0])).collect();
        took.sort_unstable();
        Duration::from_micros(took[took.len() / 2])
    };
    let quarter = times.len() / 4;
    let (first, last) = (middle(&times[..quarter]), middle(&times[times.len() - quarter..]));
    println!("{what}: {} in all, {first:?} each at first, {last:?} at last", times.len());
    last.as_secs_f64() / first.as_secs_f64()
}

/// Others use this machine as well: the best of a few tries.
async fn check_flat(mut timed: impl AsyncFnMut(usize) -> Vec<(&'static str, Vec<i64>)>) {
    let mut best: Vec<f64> = Vec::new();
    for attempt in 0..4 {
        let growths = timed(attempt).await;
        let growths = growths.iter().map(|(what, times)| growth(what, times));
        if best.is_empty() {
            best = growths.collect();
        } else {
            best = best.iter().zip(growths).map(|(best, growth)| best.min(growth)).collect();
        }
        if best.iter().all(|growth| *growth < 3.0) {
            return;
        }
    }
    panic!("what comes last takes longer: {best:?}");
}

const STEPS: u32 = 2_000;

#[tokio::test]
async fn the_two_thousandth_step_costs_what_the_first_did_and_so_does_its_undo() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let workflows = Workflows::default().with::<Steps>();
    let (worker, client) = worker_of(database.url(), &stage, workflows).await;
    check_flat(async |attempt| {
        let (id, before) = (format!("s{attempt}"), stage.story().len());
        client.start::<Steps>(&id, &STEPS).await.unwrap();
        assert_eq!(client.result(&id, PATIENCE).await.unwrap().status, Status::Failed);
        assert_eq!(client.describe(&id).await.unwrap().now.events, 4 * STEPS + 3);
        let names = |what: &str| (0..STEPS).map(|n| format!("{what} {n}")).collect::<Vec<_>>();
        let (mut done, undone) = (names("do"), names("undo"));
        done.extend(undone.into_iter().rev());
        assert!(stage.story()[before..] == done, "each once, and back in reverse");
        let done = times(&history(&client, &id).await, |what| matches!(what, Event::Done { .. }));
        let (steps, undos) = done.split_at(done.len() / 2);
        vec![("steps", steps.to_vec()), ("undos", undos.to_vec())]
    })
    .await;
    let runs = count(&sql, "select count(*) from hansom.workflow").await;
    let rows = count(&sql, "select count(*) from hansom.history").await;
    assert!(rows <= runs * (2 * i64::from(STEPS) + 2), "one commit each: {rows}");
    assert!(count(&sql, "select max(length(events))::bigint from hansom.history").await < 400);
    audit(&sql).await;
    worker.drain().await;
}

const SENDERS: usize = 5;
const SIGNALS: usize = 10_000;

/// So many names, from several senders at once; who is told to wait does, and goes on. Nothing
/// is heard before that, if the owner's commits are held up.
async fn call_roll(
    client: &Client,
    id: &str,
    count: usize,
    held: Option<Transaction<'_, Postgres>>,
) {
    let (holds, held) = (held.is_some(), Cell::new(held));
    let each = count / SENDERS;
    join_all((0..SENDERS).map(async |sender| {
        for n in 0..each {
            let name = Name(format!("{sender}.{n}"));
            // Whoever did not hear the answer says it again, but not after the last of all.
            let again = if n % 100 == 50 { 2 } else { 1 };
            for _ in 0..again {
                while let Err(error) = client.signal(id, &name, Some(&name.0)).await {
                    assert!(matches!(error, ClientError::QueueFull { .. }), "{error}");
                    if let Some(held) = held.take() {
                        held.rollback().await.unwrap();
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }))
    .await;
    assert!(!holds || held.take().is_none(), "somebody was told to wait");
    let outcome = client.result(id, PATIENCE).await.unwrap();
    let names: Vec<String> = outcome.output.unwrap().decode().unwrap();
    assert_eq!(names.len(), count);
    for sender in 0..SENDERS {
        let heard = names.iter().filter(|name| name.starts_with(&format!("{sender}.")));
        let said: Vec<_> = (0..each).map(|n| format!("{sender}.{n}")).collect();
        assert!(heard.eq(&said), "sender {sender} is heard in order");
    }
}

#[tokio::test]
async fn the_ten_thousandth_signal_costs_what_the_first_did_and_each_sender_is_heard_in_order() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let workflows = Workflows::default().with::<Roll>();
    let (worker, client) = worker_of(database.url(), &stage, workflows).await;
    client.start::<Roll>("held", &(SIGNALS / 5)).await.unwrap();
    let mut held = crew::held(&sql).await;
    sqlx::query("select from hansom.fence for update").execute(&mut *held).await.unwrap();
    call_roll(&client, "held", SIGNALS / 5, Some(held)).await;
    check_flat(async |attempt| {
        let id = format!("r{attempt}");
        client.start::<Roll>(&id, &SIGNALS).await.unwrap();
        call_roll(&client, &id, SIGNALS, None).await;
        let history = history(&client, &id).await;
        let heard = times(&history, |what| matches!(what, Event::Signalled { .. }));
        // Hundreds are heard at a time.
        vec![("five hundred signals", heard.into_iter().step_by(500).collect())]
    })
    .await;
    audit(&sql).await;
    worker.drain().await;
}
