//! A saga whose steps take place in the engine's own database, and the books to hold them against.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hansom_core::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Ctx, Failure, Handlers, Never,
    RetryPolicy, SignalType, Workflow, Workflows,
};
use hansom_engine::{
    Client, Registry, Settings, TransactionHandler, TransactionHandlers, Worker, connect,
};
use hansom_postgres::testing::TestDatabase;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, PgPool};

use crate::crew::{LEASE, count, held, parent};
use crate::kit::{Arrive, Charge, No, Refund, World};

/// What one attempt does besides its work, once that is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trick {
    /// Nothing.
    Honest,
    /// Fails technically.
    Fail,
    /// Says no.
    Refuse,
    /// Panics.
    Panic,
    /// Runs a statement that takes a minute, and begins it late.
    Sleep,
    /// Waits for something else than the database for a minute.
    Dream,
    /// Waits for the gate, which a test holds shut.
    Gate,
    /// Commits by itself.
    Commit,
    /// Does more in a savepoint, and takes that back.
    Savepoint,
    /// Leaves a statement behind that failed, and says that all is well.
    Swallow,
}

/// The handlers. What they do next is in their hands.
#[derive(Clone, Default)]
pub(crate) struct Bank(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tricks: Mutex<VecDeque<Trick>>,
    calls: AtomicU32,
}

impl Bank {
    /// The tables, with one rich account.
    pub(crate) async fn open(sql: &PgPool) -> Self {
        for statement in [
            "create table account (id int primary key, cents bigint not null)",
            "insert into account values (1, 1000000)",
            "create table entry (run text not null, what text not null)",
        ] {
            sqlx::query(statement).execute(sql).await.unwrap();
        }
        Self::default()
    }

    /// The next attempts do these; all after them are honest.
    pub(crate) fn next(&self, tricks: impl IntoIterator<Item = Trick>) {
        self.0.tricks.lock().unwrap().extend(tricks);
    }

    /// How often a handler was called.
    pub(crate) fn calls(&self) -> u32 {
        self.0.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn registry(&self) -> Registry {
        let workflows = Workflows::default()
            .with::<Transfer>()
            .with::<Half>()
            .with::<Errand>()
            .with::<Family>();
        let handlers = Handlers::default().with::<Refund>(World::default());
        let transactions = TransactionHandlers::default()
            .with::<Debit>(self.clone())
            .with::<Credit>(self.clone())
            .with::<Book>(self.clone());
        Registry::with_transactions(workflows, handlers, transactions).unwrap()
    }

    /// A worker with a short lease.
    pub(crate) async fn worker(&self, database: &TestDatabase) -> (Worker, Client) {
        let settings = Settings { lease: Duration::from_secs(1), ..Settings::default() };
        self.worker_at(database.url(), settings).await
    }

    /// A worker whose callers have no more than two connections.
    pub(crate) async fn worker_at(&self, url: &str, settings: Settings) -> (Worker, Client) {
        let pool = connect(url, 2).await.unwrap();
        let worker = Worker::start(pool, self.registry(), settings).await.unwrap();
        let client = worker.client();
        (worker, client)
    }

    async fn act<E>(
        &self,
        (what, cents): (&str, i64),
        cx: &ActivityContext,
        tx: &mut PgConnection,
        no: impl FnOnce() -> Failure<E>,
    ) -> Result<i64, Failure<E>> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let trick = self.0.tricks.lock().unwrap().pop_front().unwrap_or(Trick::Honest);
        let entry = sqlx::query("insert into entry values ($1, $2)").bind(&cx.run).bind(what);
        entry.execute(&mut *tx).await?;
        let left = "update account set cents = cents + $1 where id = 1 returning cents";
        let left = sqlx::query_scalar(left).bind(cents).fetch_one(&mut *tx).await?;
        match trick {
            Trick::Honest => {}
            Trick::Fail => return Err(Failure::retry("the lights went out")),
            Trick::Refuse => return Err(no()),
            Trick::Panic => panic!("as it is meant to"),
            Trick::Sleep => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                sqlx::query("select pg_sleep(60)").execute(tx).await?;
            }
            Trick::Dream => tokio::time::sleep(Duration::from_mins(1)).await,
            Trick::Gate => {
                sqlx::query("select pg_advisory_xact_lock(7)").execute(tx).await?;
            }
            Trick::Commit => {
                sqlx::query("commit").execute(tx).await?;
            }
            Trick::Savepoint => {
                let mut inner = tx.begin().await?;
                sqlx::query("update account set cents = 0").execute(&mut *inner).await?;
                inner.rollback().await?;
            }
            Trick::Swallow => {
                assert!(sqlx::query("select 1/0").execute(tx).await.is_err());
            }
        }
        Ok(left)
    }
}

/// Shuts the gate until it is dropped, or its transaction ended.
pub(crate) async fn shut(sql: &PgPool) -> sqlx::PgTransaction<'static> {
    let mut gate = held(sql).await;
    sqlx::query("select pg_advisory_xact_lock(7)").execute(&mut *gate).await.unwrap();
    gate
}

/// How many wait at the gate.
pub(crate) async fn at_the_gate(sql: &PgPool) -> i64 {
    let waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
        where d.datname = current_database() and l.locktype = 'advisory' and not l.granted";
    count(sql, waiting).await
}

/// Entries of all runs: debits, credits, bookings.
pub(crate) async fn entries(sql: &PgPool) -> [i64; 3] {
    let mut found = [0; 3];
    for (found, query) in found.iter_mut().zip([
        "select count(*) from entry where what = 'debit'",
        "select count(*) from entry where what = 'credit'",
        "select count(*) from entry where what = 'book'",
    ]) {
        *found = count(sql, query).await;
    }
    found
}

/// Each run that completed is debited and booked once and not credited, each that did not has no
/// more debits than credits, at most one of each, and no booking; and the account says the same.
pub(crate) async fn balance(sql: &PgPool) {
    let wrong = "select count(*) from hansom.workflow w, lateral (
            select count(*) filter (where what = 'debit') as debits,
                   count(*) filter (where what = 'credit') as credits,
                   count(*) filter (where what = 'book') as bookings
            from entry e where e.run = w.run::text) e
        where case when w.status = 3 then (debits, credits, bookings) <> (1, 0, 1)
                   else debits <> credits or debits > 1 or bookings > 0 end";
    assert_eq!(count(sql, wrong).await, 0, "each run has what its end says");
    let astray = "select (select cents from account) - 1000000 - coalesce(sum(
            case what when 'debit' then -5 when 'credit' then 5 else 0 end), 0)::bigint from entry";
    assert_eq!(count(sql, astray).await, 0, "the account says what the entries say");
    let open = "select count(*) from hansom.outcome where output is null and not void";
    assert_eq!(count(sql, open).await, 0, "no outcome without an answer");
}

/// Of one attempt, where that is not what is looked at.
const LIMIT: Duration = Duration::from_secs(10);

fn quickly(options: ActivityOptions) -> ActivityOptions {
    let retry = RetryPolicy {
        initial_interval: Duration::from_millis(10),
        maximum_attempts: 3,
        ..RetryPolicy::default()
    };
    ActivityOptions { retry, start_to_close: LIMIT, ..options }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Debit;
impl Activity for Debit {
    const NAME: &'static str = "debit";
    type Output = i64;
    type Error = No;
    fn options() -> ActivityOptions {
        quickly(ActivityOptions::default())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Credit;
impl Activity for Credit {
    const NAME: &'static str = "credit";
    type Output = i64;
    type Error = Never;
    fn options_as_undo() -> ActivityOptions {
        quickly(ActivityOptions::default())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Book;
impl Activity for Book {
    const NAME: &'static str = "book";
    type Output = i64;
    type Error = Never;
    fn options() -> ActivityOptions {
        quickly(ActivityOptions::default())
    }
}

impl TransactionHandler<Debit> for Bank {
    async fn handle(
        &self,
        _: Debit,
        cx: ActivityContext,
        tx: &mut PgConnection,
    ) -> Result<i64, Failure<No>> {
        self.act(("debit", -5), &cx, tx, || Failure::Refused(No)).await
    }
}

impl TransactionHandler<Credit> for Bank {
    async fn handle(
        &self,
        _: Credit,
        cx: ActivityContext,
        tx: &mut PgConnection,
    ) -> Result<i64, Failure<Never>> {
        self.act(("credit", 5), &cx, tx, || Failure::retry("it cannot refuse")).await
    }
}

impl TransactionHandler<Book> for Bank {
    async fn handle(
        &self,
        _: Book,
        cx: ActivityContext,
        tx: &mut PgConnection,
    ) -> Result<i64, Failure<Never>> {
        self.act(("book", 0), &cx, tx, || Failure::retry("it cannot refuse")).await
    }
}

impl TransactionHandler<Charge> for Bank {
    async fn handle(
        &self,
        _: Charge,
        _: ActivityContext,
        _: &mut PgConnection,
    ) -> Result<String, Failure<No>> {
        Ok("paid".to_owned())
    }
}

/// Debits, waits for the arrival if it is told to, books.
pub(crate) struct Transfer;

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Wait for the arrival for at most so long; 0 is not at all.
    pub(crate) patience_ms: u64,
    /// What an attempt to debit may take, if another time than the rest.
    pub(crate) limit_ms: Option<u64>,
}

impl Order {
    fn limit(&self) -> Duration {
        self.limit_ms.map_or(LIMIT, Duration::from_millis)
    }
}

pub(crate) const AT_ONCE: Order = Order { patience_ms: 0, limit_ms: None };
pub(crate) const PATIENT: Order = Order { patience_ms: 600_000, limit_ms: None };

impl Workflow for Transfer {
    const NAME: &'static str = "transfer";
    const ACTIVITIES: &'static [&'static str] = &[Debit::NAME, Credit::NAME, Book::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Arrive>()];
    type Input = Order;
    type Output = i64;
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, order: Order) -> Result<i64, Self::Error> {
        let left = ctx.run(Debit).undo(Credit).start_to_close(order.limit()).await?;
        if order.patience_ms > 0 {
            let patience = Duration::from_millis(order.patience_ms);
            let arrivals = ctx.signals::<Arrive>();
            if ctx.timeout(patience, arrivals.next()).await.is_err() {
                return Err(ActivityError::Refused(No));
            }
        }
        ctx.pivot().run(Book).await;
        Ok(left)
    }
}

/// Debits, and has that undone by a handler that knows nothing of transactions.
pub(crate) struct Half;

impl Workflow for Half {
    const NAME: &'static str = "half";
    const ACTIVITIES: &'static [&'static str] = &[Debit::NAME, Refund::NAME];
    type Input = Order;
    type Output = i64;
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, _: Order) -> Result<i64, Self::Error> {
        ctx.run(Debit).undo(Refund).await
    }
}

/// Debits, and does not wait for it for longer than it is told to; 0 is as long as it takes.
pub(crate) struct Errand;

impl Workflow for Errand {
    const NAME: &'static str = "errand";
    const ACTIVITIES: &'static [&'static str] = &[Debit::NAME, Credit::NAME];
    type Input = Order;
    type Output = ();
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, order: Order) -> Result<(), Self::Error> {
        let debit = ctx.run(Debit).undo(Credit).start_to_close(order.limit());
        if order.patience_ms == 0 {
            debit.await?;
        } else if let Ok(debited) =
            ctx.timeout(Duration::from_millis(order.patience_ms), debit).await
        {
            debited?;
        }
        Ok(())
    }
}

/// Has an errand run, and fails.
pub(crate) struct Family;

impl Workflow for Family {
    const NAME: &'static str = "family";
    const ACTIVITIES: &'static [&'static str] = &[];
    type Input = Order;
    type Output = ();
    type Error = No;

    async fn run(ctx: Ctx, order: Order) -> Result<(), No> {
        // However it ends.
        let _ = ctx.child::<Errand>("errand", &order).await;
        Err(No)
    }
}

/// The path of [`a_bank_process`].
pub(crate) const PROCESS: &str = "bank::a_bank_process";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "no test: the worker process of tests that kill one"]
async fn a_bank_process() {
    let Some(url) = parent() else { return };
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let worker = Bank::default().worker_at(&url, settings).await;
    std::future::pending::<()>().await;
    drop(worker);
}
