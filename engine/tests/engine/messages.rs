//! What may be said to a saga, and what it says: updates, signals that come with a start, state
//! and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use hansom_core::{
    Ctx, Either, Never, Payload, Signal, SignalType, Status, Update, UpdateType, Workflow,
    Workflows,
};
use hansom_engine::{Client, ClientError, Filter, SignalRequest, StartRequest, Worker};
use hansom_postgres::testing::{PATIENCE, TestDatabase};
use serde::{Deserialize, Serialize};

use crate::crew::{audit, count, shared_out, sql, until};
use crate::kit::{SOON, fresh};
use crate::plan::worker_of;
use crate::stage::Stage;

#[derive(Serialize, Deserialize)]
struct Word(String);
impl Signal for Word {
    const NAME: &'static str = "word";
}

/// Recorded, and never listened to: any JSON.
#[derive(Serialize, Deserialize)]
struct Note(serde_json::Value);
impl Signal for Note {
    const NAME: &'static str = "note";
}

/// Adds; more than 100 is refused, and 0 is never answered.
#[derive(Serialize, Deserialize)]
struct Add(u64);
impl Update for Add {
    const NAME: &'static str = "add";
    type Output = u64;
    type Error = TooMuch;
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{0} is too much")]
struct TooMuch(u64);

#[derive(Default, Serialize, Deserialize)]
struct Sum {
    sum: u64,
    words: Vec<String>,
}

/// Keeps a sum and what it was told, until the word is `close`.
struct Till;
impl Workflow for Till {
    const NAME: &'static str = "till";
    const ACTIVITIES: &'static [&'static str] = &[];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Word>(), SignalType::of::<Note>()];
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<Add>()];
    type Input = u64;
    type Output = Sum;
    type Error = Never;

    async fn run(ctx: Ctx, sum: u64) -> Result<Sum, Never> {
        let (words, adds) = (ctx.signals::<Word>(), ctx.updates::<Add>());
        let (mut till, mut unanswered) = (Sum { sum, ..Sum::default() }, Vec::new());
        loop {
            match ctx.select(words.next(), adds.next()).await {
                Either::Left(Word(word)) if word == "close" => return Ok(till),
                Either::Left(Word(word)) => till.words.push(word),
                Either::Right(asked) => match asked.update.0 {
                    0 => unanswered.push(asked),
                    101.. => {
                        let refusal = TooMuch(asked.update.0);
                        asked.refuse(&refusal);
                    }
                    more => {
                        till.sum += more;
                        ctx.publish(&till.sum);
                        ctx.label("sum", &till.sum.to_string());
                        asked.answer(&till.sum);
                    }
                },
            }
        }
    }
}

async fn worker(database: &TestDatabase) -> (Worker, Client) {
    worker_of(database.url(), &Stage::default(), Workflows::default().with::<Till>()).await
}

async fn close(client: &Client, id: &str) -> Sum {
    client.signal(id, &Word("close".to_owned()), None).await.unwrap();
    client.result(id, PATIENCE).await.unwrap().output.unwrap().decode().unwrap()
}

#[tokio::test]
async fn the_inbox_is_read_so_many_bytes_at_a_time() {
    const MIB: usize = 1024 * 1024;
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database).await;
    client.start::<Till>("t", &0).await.unwrap();
    one.drain().await;
    let large = Note("x".repeat(MIB).into());
    for n in 0..40 {
        client.signal("t", &large, Some(&format!("n{n:02}"))).await.unwrap();
    }
    let (two, client) = worker(&database).await;
    close(&client, "t").await;
    let heard = "select what -> 'signalled' ->> 'id' from hansom.event
        where what -> 'signalled' ->> 'name' = 'note' order by event";
    let heard: Vec<String> = sqlx::query_scalar(heard).fetch_all(&sql).await.unwrap();
    assert_eq!(heard, (0..40).map(|n| format!("n{n:02}")).collect::<Vec<_>>(), "all, in order");
    let most = count(&sql, "select max(octet_length(events))::bigint from hansom.history").await;
    assert!(usize::try_from(most).unwrap() < 18 * MIB, "{most} bytes in one row");
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn an_update_repeated_from_everywhere_at_once_is_answered_once() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) = (worker(&database).await, worker(&database).await);
    shared_out(&sql, &[8, 8]).await;
    here.start::<Till>("t", &0).await.unwrap();
    let mut answers = BTreeSet::new();
    for round in 0..10 {
        // Several at a time, each of them from several at once.
        let rounds = join_all((0..3).map(async |n| {
            let id = format!("{round}.{n}");
            let ask = async |client: &Client| {
                client.update("t", &Add(1), Some(&id), SOON).await.unwrap().unwrap()
            };
            let all = join_all([&here, &there, &here, &there].map(ask)).await;
            assert!(all.iter().all(|answer| *answer == all[0]), "{id}: {all:?}");
            all[0]
        }));
        answers.extend(rounds.await);
    }
    assert_eq!(answers, (1..=30).collect());
    assert_eq!(close(&there, "t").await.sum, 30);
    let asked = "select count(*) from hansom.event where what ? 'update_requested'";
    assert_eq!(count(&sql, asked).await, 30);
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

#[tokio::test]
async fn an_answer_or_a_refusal_is_heard_again_after_a_takeover_and_after_the_end() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database).await;
    client.start::<Till>("t", &40).await.unwrap();
    let add = async |client: &Client, more: u64, id: &str| {
        client.update("t", &Add(more), Some(id), SOON).await
    };
    let check = async |client: &Client| {
        assert_eq!(add(client, 2, "two").await.unwrap(), Ok(42));
        assert_eq!(add(client, 101, "many").await.unwrap(), Err(TooMuch(101)));
    };
    check(&client).await;
    one.drain().await;
    let (two, client) = worker(&database).await;
    check(&client).await;
    assert_eq!(add(&client, 1, "one").await.unwrap(), Ok(43));
    // One that is never answered hears of the end, and before that nothing.
    let nothing = client.update("t", &Add(0), Some("none"), Duration::from_millis(100)).await;
    assert!(matches!(nothing, Err(ClientError::StillOpen(_))), "{nothing:?}");
    let waiter = {
        let client = client.clone();
        tokio::spawn(async move { client.update("t", &Add(0), Some("none"), SOON).await })
    };
    assert_eq!(close(&client, "t").await.sum, 43);
    let ended = |heard: &Result<_, ClientError>| {
        matches!(heard, Err(ClientError::Closed { status: Status::Completed, .. }))
    };
    let heard = waiter.await.unwrap();
    assert!(ended(&heard), "{heard:?}");
    check(&client).await;
    let late = add(&client, 1, "late").await;
    assert!(ended(&late), "{late:?}");
    let asked = "select count(*) from hansom.event where what ? 'update_requested'";
    assert_eq!(count(&sql, asked).await, 4);
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn a_signal_that_comes_with_a_start_is_heard_whether_or_not_it_was_there() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) = (worker(&database).await, worker(&database).await);
    shared_out(&sql, &[8, 8]).await;
    let with = |id: &str, word: &str| {
        let payload = Payload::of(&Word(word.to_owned())).unwrap();
        let (name, signal_id) = (Word::NAME.to_owned(), Some(word.to_owned()));
        let signal = Some(SignalRequest { name, id: signal_id, payload });
        let input = Payload::of(&0).unwrap();
        StartRequest { signal, ..StartRequest::new(Till::NAME, id, input) }
    };
    for id in (0..6).map(|n| format!("t{n}")) {
        // Twenty at once, some of them the first; each of them twice.
        let started = join_all((0..40).map(async |n| {
            let client = if n % 2 == 0 { &here } else { &there };
            client.start_raw(with(&id, &format!("w{}", n / 2))).await.unwrap()
        }))
        .await;
        assert_eq!(started.iter().map(|s| s.run).collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(started.iter().filter(|started| !started.existing).count(), 1);
        here.start_raw(with(&id, "last")).await.unwrap();
        let words = close(&there, &id).await.words;
        assert_eq!(words.last().unwrap(), "last");
        let all: BTreeSet<_> = words.iter().cloned().collect();
        let expected = (0..20).map(|n| format!("w{n}")).chain(["last".to_owned()]);
        assert_eq!((words.len(), all), (21, expected.collect()), "each once");
        let late = here.start_raw(with(&id, "late")).await;
        assert!(matches!(late, Err(ClientError::Closed { .. })), "{late:?}");
    }
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

#[tokio::test]
async fn state_is_read_with_nobody_there_and_labels_find_their_saga() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database).await;
    for (id, sum) in [("a", 0), ("b", 0), ("c", 10)] {
        client.start::<Till>(id, &sum).await.unwrap();
        assert_eq!(client.state(id).await.unwrap().state, None);
        client.update(id, &Add(5), None, SOON).await.unwrap().unwrap();
    }
    client.update("b", &Add(10), None, SOON).await.unwrap().unwrap();
    let labelled = async |sum: &str| {
        let labels = BTreeMap::from([("sum".to_owned(), sum.to_owned())]);
        let filter = Filter { labels, limit: 10, ..Filter::default() };
        let found = client.list(&filter).await.unwrap().items;
        found.into_iter().map(|found| found.workflow_id).collect::<Vec<_>>()
    };
    worker.drain().await;
    let nobody = "select count(*) from hansom.partition where owner is not null";
    until("nobody is there", async || count(&sql, nobody).await == 0).await;
    assert_eq!(client.state("b").await.unwrap().state.unwrap().get(), "15");
    assert_eq!(client.describe("c").await.unwrap().state.unwrap().get(), "15");
    assert_eq!(labelled("15").await, ["c", "b"], "newest first");
    assert_eq!((labelled("5").await, labelled("10").await), (vec!["a".to_owned()], vec![]));
    audit(&sql).await;
}

#[tokio::test]
async fn a_payload_that_looks_like_a_state_or_an_answer_hides_neither() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database).await;
    client.start::<Till>("t", &0).await.unwrap();
    let heard = "select count(*) from hansom.event where what ? 'signalled'";
    let decoy = async |n: i64| {
        let answer = |id: &str| serde_json::json!({"answer": {"update": id, "answer": 7}});
        let note = serde_json::json!([{"publish": {"state": 7}}, answer("one"), answer("two")]);
        client.signal("t", &Note(note), None).await.unwrap();
        until("it is told", async || count(&sql, heard).await == n).await;
    };
    decoy(1).await;
    assert_eq!(client.state("t").await.unwrap().state, None);
    let add = async |more: u64, id: &str| client.update("t", &Add(more), Some(id), SOON).await;
    assert_eq!(add(5, "one").await.unwrap(), Ok(5));
    decoy(2).await;
    decoy(3).await;
    assert_eq!(client.state("t").await.unwrap().state.unwrap().get(), "5");
    assert_eq!(add(5, "one").await.unwrap(), Ok(5));
    assert_eq!(add(6, "two").await.unwrap(), Ok(11));
    decoy(4).await;
    assert_eq!(add(6, "two").await.unwrap(), Ok(11));
    assert_eq!(client.state("t").await.unwrap().state.unwrap().get(), "11");
    audit(&sql).await;
    worker.drain().await;
}
