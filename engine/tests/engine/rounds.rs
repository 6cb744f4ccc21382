//! Runs that follow one another, and what reaches the last of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::future::{join, join_all};
use hansom_core::{
    Activity, ChildError, Ctx, Either, Never, Payload, Signal, SignalType, Status, StillOpen,
    Update, UpdateType, Workflow, Workflows,
};
use hansom_engine::{Client, IdReuse, StartRequest, Worker};
use hansom_postgres::testing::{PATIENCE, TestDatabase};
use serde::{Deserialize, Serialize};

use crate::crew::{LEASE, Process, audit, count, parent, shared_out, sql, until};
use crate::kit::{SOON, fresh};
use crate::plan::{Care, act, end, worker_of, worker_with};
use crate::stage::{Act, Stage, Unact};

#[derive(Serialize, Deserialize)]
struct Word(String);
impl Signal for Word {
    const NAME: &'static str = "word";
}

#[derive(Serialize, Deserialize)]
struct Add(u64);
impl Update for Add {
    const NAME: &'static str = "add";
    type Output = u64;
    type Error = Never;
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Lap {
    pub(crate) number: u32,
    pub(crate) of: u32,
    pub(crate) words: Vec<String>,
    pub(crate) sum: u64,
}

/// Does one thing a lap, or nothing for a moment; on the last lap everything until `end`.
struct Rounds;
impl Workflow for Rounds {
    const NAME: &'static str = "rounds";
    const ACTIVITIES: &'static [&'static str] = &[];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Word>()];
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<Add>()];
    type Input = Lap;
    type Output = Lap;
    type Error = StillOpen;

    async fn run(ctx: Ctx, mut lap: Lap) -> Result<Lap, StillOpen> {
        let (words, adds) = (ctx.signals::<Word>(), ctx.updates::<Add>());
        loop {
            let last = lap.number == lap.of;
            let moment = Duration::from_millis(if last { 600_000 } else { 1 });
            let next = ctx.select(words.next(), ctx.select(adds.next(), ctx.sleep(moment))).await;
            match next {
                Either::Left(Word(word)) if last && word == "end" => return Ok(lap),
                Either::Left(Word(word)) => lap.words.push(word),
                Either::Right(Either::Left(asked)) => {
                    lap.sum += asked.update.0;
                    ctx.publish(&lap.sum);
                    asked.answer(&lap.sum);
                }
                Either::Right(Either::Right(())) => {}
            }
            if !last {
                lap.number += 1;
                return Err(ctx.continue_as_new::<Self>(&lap).await);
            }
        }
    }
}

/// Does something a lap, which the next lap takes over; waits on the last one.
struct Relay;
impl Workflow for Relay {
    const NAME: &'static str = "relay";
    const ACTIVITIES: &'static [&'static str] = &[Act::NAME, Unact::NAME];
    type Input = (u32, u32);
    type Output = ();
    type Error = StillOpen;

    async fn run(ctx: Ctx, (lap, of): (u32, u32)) -> Result<(), StillOpen> {
        act(&ctx, &lap.to_string(), Care::default()).await.unwrap();
        ctx.label("lap", &lap.to_string());
        if lap == of {
            ctx.sleep(Duration::from_hours(1)).await;
        }
        let refused = ctx.continue_as_new::<Self>(&(lap + 1, of)).await;
        assert_eq!(refused, StillOpen { owed: lap as usize, unanswered: 0 });
        Err(ctx.continue_with_undos::<Self>(&(lap + 1, of)).await)
    }
}

/// Has a child that goes round.
struct Patron;
impl Workflow for Patron {
    const NAME: &'static str = "patron";
    const ACTIVITIES: &'static [&'static str] = &[];
    type Input = u32;
    type Output = u32;
    type Error = ChildError<StillOpen>;

    async fn run(ctx: Ctx, of: u32) -> Result<u32, Self::Error> {
        let lap = ctx.child::<Rounds>("child", &Lap { of, ..Lap::default() }).await?;
        Ok(lap.number)
    }
}

pub(crate) async fn worker(database: &TestDatabase, stage: &Stage) -> (Worker, Client) {
    worker_of(database.url(), stage, workflows()).await
}

/// Where one is killed, and soon taken over.
async fn mortal_at(url: &str) -> (Worker, Client) {
    worker_with(LEASE, url, &Stage::default(), workflows()).await
}

fn workflows() -> Workflows {
    Workflows::default().with::<Rounds>().with::<Relay>().with::<Patron>()
}

#[tokio::test]
async fn a_thousand_runs_follow_one_another_and_each_is_short() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    let begun = Instant::now();
    client.start::<Rounds>("r", &Lap { of: 1_000, ..Lap::default() }).await.unwrap();
    let waiter = {
        let client = client.clone();
        tokio::spawn(async move { client.result("r", PATIENCE).await })
    };
    client.signal("r", &Word("end".to_owned()), None).await.unwrap();
    until("all are over", async || {
        count(&sql, "select count(*) from hansom.workflow").await == 1_001
    })
    .await;
    println!("a thousand runs in {:?}", begun.elapsed());
    client.signal("r", &Word("end".to_owned()), None).await.unwrap();
    let outcome = waiter.await.unwrap().unwrap();
    assert_eq!(outcome.status, Status::Completed);
    let longest = "select max(n) from (select count(*) as n from hansom.event group by run) e";
    assert!(count(&sql, longest).await < 10);
    audit(&sql).await;
    worker.drain().await;
}

const SENDERS: usize = 4;
const WORDS: usize = 50;

#[tokio::test]
async fn what_is_said_while_runs_follow_one_another_is_heard_in_order_and_once() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) =
        (worker(&database, &stage).await, worker(&database, &stage).await);
    shared_out(&sql, &[8, 8]).await;
    here.start::<Rounds>("r", &Lap { of: 300, ..Lap::default() }).await.unwrap();
    let senders = join_all((0..SENDERS).map(async |sender| {
        let client = if sender % 2 == 0 { &here } else { &there };
        for n in 0..WORDS {
            let word = Word(format!("{sender}.{n}"));
            client.signal("r", &word, Some(&word.0)).await.unwrap();
            if n % 3 == 0 {
                // Whoever did not hear the answer asks again.
                client.signal("r", &word, Some(&word.0)).await.unwrap();
            }
        }
    }));
    let updaters = join_all((0..SENDERS).map(async |updater| {
        let mut answers = Vec::new();
        for n in 0..WORDS / 2 {
            let id = format!("{updater}.{n}");
            let ask = async |client: &Client| {
                client.update("r", &Add(1), Some(&id), SOON).await.unwrap().unwrap()
            };
            let (first, second) = join(ask(&here), ask(&there)).await;
            assert_eq!((first, first), (second, ask(&here).await), "one answer for one id");
            answers.push(first);
        }
        answers
    }));
    let (_, answers) = join(senders, updaters).await;
    until("the last lap has come", async || {
        count(&sql, "select count(*) from hansom.workflow").await == 301
    })
    .await;
    there.signal("r", &Word("end".to_owned()), None).await.unwrap();
    let lap: Lap = here.result("r", SOON).await.unwrap().output.unwrap().decode().unwrap();
    for sender in 0..SENDERS {
        let of = |word: &&String| word.starts_with(&format!("{sender}."));
        let heard: Vec<_> = lap.words.iter().filter(of).cloned().collect();
        let said: Vec<_> = (0..WORDS).map(|n| format!("{sender}.{n}")).collect();
        assert_eq!(heard, said, "all, once, and in order");
    }
    let answers: Vec<u64> = answers.concat();
    assert_eq!(lap.sum, u64::try_from(answers.len()).unwrap());
    assert_eq!(answers.iter().collect::<BTreeSet<_>>().len(), answers.len(), "each was added once");
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

const LAST: &str = "select max(run_no)::bigint from hansom.workflow";

#[tokio::test]
async fn the_runs_of_a_loop_have_one_start_one_deadline_one_parent_and_one_set_of_labels() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    let input = Payload::of(&Lap { of: 20, ..Lap::default() }).unwrap();
    let request = || StartRequest {
        labels: [("city".to_owned(), "Seoul".to_owned())].into(),
        deadline: Some(Utc::now() + Duration::from_secs(10)),
        ..StartRequest::new(Rounds::NAME, "r", input.clone())
    };
    client.start_raw(request()).await.unwrap();
    until("it is on its last lap", async || count(&sql, LAST).await == 21).await;
    let now = client.describe("r").await.unwrap();
    assert_eq!(now.labels, BTreeMap::from([("city".to_owned(), "Seoul".to_owned())]));
    // Whoever repeats the start hears of the run by now; another input is another start.
    for id_reuse in [IdReuse::Reject, IdReuse::Allow] {
        let again = client.start_raw(StartRequest { id_reuse, ..request() }).await.unwrap();
        assert_eq!((again.run, again.existing), (now.run, true));
    }
    let other = client.start::<Rounds>("r", &Lap { of: 20, number: 20, ..Lap::default() }).await;
    assert!(other.is_err(), "{other:?}");
    assert_eq!(end(&client, "r").await, Status::Cancelled);
    let closed = client.describe("r").await.unwrap();
    assert!(closed.closed_at.unwrap() >= now.deadline.unwrap());
    client.start::<Patron>("p", &30).await.unwrap();
    until("the child is on its last lap", async || count(&sql, LAST).await == 31).await;
    client.signal("child", &Word("end".to_owned()), None).await.unwrap();
    let outcome = client.result("p", SOON).await.unwrap();
    assert_eq!(outcome.output.unwrap().get(), "30");
    client.start::<Patron>("taken", &30).await.unwrap();
    let outcome = client.result("taken", SOON).await.unwrap();
    assert_eq!(outcome.error.unwrap().get(), r#""taken""#);
    assert_eq!(count(&sql, "select count(*) from hansom.inbox").await, 0);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn undos_that_were_carried_along_run_in_reverse_under_the_names_of_their_runs() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    client.start::<Relay>("r", &(1, 12)).await.unwrap();
    until("it waits", async || stage.count("do 12") == 1).await;
    until("it says so", async || {
        client.describe("r").await.unwrap().labels.get("lap").is_some_and(|lap| lap == "12")
    })
    .await;
    assert_eq!(client.undo_plan("r").await.unwrap().undos.len(), 12);
    client.cancel("r", None).await.unwrap();
    assert_eq!(end(&client, "r").await, Status::Cancelled);
    let seen = stage.seen();
    let (done, undone) = seen.split_at(12);
    assert_eq!(done.iter().map(|seen| &seen.run).collect::<BTreeSet<_>>().len(), 12);
    for (did, undid) in done.iter().zip(undone.iter().rev()) {
        assert_eq!((&undid.run, &undid.key), (&did.run, &did.key.replace("/do", "/undo")));
        assert_eq!(undid.what, did.what.replace("do", "undo"));
    }
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_cancel_finds_the_run_there_is_by_then() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) =
        (worker(&database, &stage).await, worker(&database, &stage).await);
    shared_out(&sql, &[8, 8]).await;
    let ids: Vec<_> = (0..12).map(|n| format!("r{n}")).collect();
    join_all(ids.iter().map(|id| here.start::<Relay>(id, &(1, 1_000_000)))).await;
    join_all(ids.iter().enumerate().map(async |(n, id)| {
        let client = if n % 2 == 0 { &here } else { &there };
        until("it goes round", async || {
            client.describe(id).await.unwrap().labels.contains_key("lap")
        })
        .await;
        client.cancel(id, None).await.unwrap();
        assert_eq!(end(client, id).await, Status::Cancelled);
    }))
    .await;
    let undone = |what: &str| stage.seen().iter().filter(|s| s.what.starts_with(what)).count();
    assert_eq!(undone("do "), undone("undo "));
    println!("{} laps", undone("do "));
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

#[tokio::test]
async fn a_loop_outlives_its_workers_and_loses_no_word() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let spawn = || Process::of(&database, "rounds::a_process_that_goes_round");
    let mut crew = vec![spawn(), spawn()];
    let (starter, client) = mortal_at(database.url()).await;
    client.start::<Rounds>("r", &Lap { of: 400, ..Lap::default() }).await.unwrap();
    starter.drain().await;
    let senders = join_all((0..3).map(async |sender| {
        for n in 0..60 {
            let word = Word(format!("{sender}.{n}"));
            for _ in 0..2 {
                client.signal("r", &word, Some(&word.0)).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }));
    let kills = async {
        for kill in 1..=3 {
            until("it goes round", async || count(&sql, LAST).await > 60 * kill).await;
            // Whichever of them has it: one of two kills finds it.
            crew.remove(0).kill();
            crew.push(spawn());
        }
    };
    join(senders, kills).await;
    until("it is on its last lap", async || count(&sql, LAST).await == 401).await;
    client.signal("r", &Word("end".to_owned()), None).await.unwrap();
    let lap: Lap = client.result("r", SOON).await.unwrap().output.unwrap().decode().unwrap();
    for sender in 0..3 {
        let of = |word: &&String| word.starts_with(&format!("{sender}."));
        let heard: Vec<_> = lap.words.iter().filter(of).cloned().collect();
        assert_eq!(heard, (0..60).map(|n| format!("{sender}.{n}")).collect::<Vec<_>>());
    }
    audit(&sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "no test: the worker process of the test above"]
async fn a_process_that_goes_round() {
    let Some(url) = parent() else { return };
    let _worker = mortal_at(&url).await;
    std::future::pending::<()>().await;
}
