//! Handlers whose effect is in this very database: it takes place exactly once.
//!
//! A plain [`Handler`](hansom_core::Handler) may run more than once for one step, and its effect has
//! to be deduplicated by its key. Where the effect is SQL in the engine's own database there is a
//! better way: a [`TransactionHandler`] gets the attempt's transaction, and what it writes
//! commits together with the outcome of the step, or not at all.
//!
//! # Why it is exactly once
//!
//! Each step (an action or an undo, by its idempotency key) has at most one row in
//! `hansom.outcome`. An attempt is one transaction: it inserts the row, runs the handler, writes
//! down the answer, makes sure that its worker still owns the partition, and commits.
//!
//! * *Two attempts at once.* The second waits for the first one's row, by the unique index. If that
//!   was committed, the second answers with what it finds there, and its handler does not run.
//!   If it was rolled back, there is no row, and nothing has happened.
//! * *The worker is lost after the commit, before history knows of it.* As before: the next
//!   owner's attempt finds the row.
//! * *The answer to the commit is lost.* Then the row is looked for on another connection, until
//!   the database answers. The look is the first statement of an attempt, and so waits for a
//!   commit that is still on its way.
//! * *The worker was buried, and does not know it.* The last statement before the commit locks the
//!   partition's row, if its owner and epoch are still those of the dispatch, and travels in one
//!   message with the commit: a takeover comes either after the commit or before the check,
//!   which then fails. A worker that is stopped for an hour cannot hold the lock meanwhile.
//! * *Over time, refused, failed, panicked.* The transaction is rolled back before the attempt is
//!   answered. One that runs a statement at that moment has its backend terminated; where not even
//!   that gets through, it is certain all the same that it never commits, because nobody will ask
//!   it to. Once the commit is sent, no limit holds any more.
//! * *The step was given up while an attempt runs* (its run was terminated, or ended without waiting
//!   for it, and left its undo to another run). The undo of a step whose outcome history
//!   does not know first voids it: it inserts the action's row itself, as void. This waits for the
//!   attempt that runs. If that committed, the undo has something to undo; if not, the action
//!   never takes place any more, by the same row, and its undo has nothing to do and is
//!   not called. So the undo of a transactional step may be the plain opposite of it
//!   (`balance + 5` of `balance - 5`), although the same undo of a plain step would have
//!   to find out first. (An undo that is performed in another process is asked in any case.)
//!
//! What a handler could break is checked: if it ends the transaction by itself (`commit` as a
//! statement), the step fails, loudly, and does not run again.
//!
//! # What it costs
//!
//! A commit of its own for each step, where plain steps share one with hundreds of others. Its rows
//! are small and stay; they may be deleted together with the history of their run, not before.
//!
//! Transactional attempts have connections of their own, and no more than [`Settings`] says: a
//! handler that holds on to its transaction keeps other transactional attempts waiting, and
//! neither the engine's reads nor its heartbeat nor the caller's pool. What waits for a
//! connection is not under way: its time has not begun.
//!
//! [`Settings`]: crate::Settings::transactions

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use hansom_core::{Activity, ActivityContext, ActivityOptions, Answers, Attempt, Failure, Payload};
use sqlx::PgConnection;

/// Performs one kind of activity in this very database, exactly once.
///
/// What the handler writes through `tx` commits together with the step's outcome: it takes
/// place once if the step is done, and not at all if it is refused or fails. `Ok` commits;
/// [`Failure::Refused`] and everything else rolls back.
///
/// The transaction is the attempt's own, at read committed. Savepoints (`tx.begin()` of
/// [`sqlx::Connection`]) are welcome; `commit` and `rollback` as statements are not. It is held as
/// long as the handler runs, at most [`ActivityOptions::start_to_close`], and so
/// are the locks it takes: no calls to services here. Heartbeats are not listened to.
///
/// Its connection is used again by later attempts, of any activity, as it was left. So whatever
/// belongs to the session has to end with the transaction: `set local` and not `set`,
/// `pg_advisory_xact_lock` and not `pg_advisory_lock`, temporary tables `on commit drop`.
///
/// ```
/// # use hansom_core::*;
/// # use serde::{Deserialize, Serialize};
/// use hansom_engine::{TransactionHandler, sqlx::{PgConnection, query, query_scalar}};
///
/// # #[derive(Serialize, Deserialize)] struct Debit { account: i64, cents: i64 }
/// # #[derive(Debug, Serialize, Deserialize, thiserror::Error)] #[error("not enough")] struct NotEnough;
/// # impl Activity for Debit { const NAME: &'static str = "debit"; type Output = i64; type Error = NotEnough; }
/// # #[derive(Serialize, Deserialize)] struct Credit { account: i64, cents: i64 }
/// # impl Activity for Credit { const NAME: &'static str = "credit"; type Output = (); type Error = Never; }
/// struct Accounts;
///
/// impl TransactionHandler<Debit> for Accounts {
///     async fn handle(&self, ask: Debit, _: ActivityContext, tx: &mut PgConnection)
///     -> Result<i64, Failure<NotEnough>> {
///         let left = query_scalar(
///             "update account set cents = cents - $2 where id = $1 and cents >= $2 returning cents",
///         );
///         let left = left.bind(ask.account).bind(ask.cents).fetch_optional(tx).await?;
///         left.ok_or(Failure::Refused(NotEnough))
///     }
/// }
///
/// // `ctx.run(Debit { account, cents }).undo(Credit { account, cents })`
/// impl TransactionHandler<Credit> for Accounts {
///     async fn handle(&self, ask: Credit, _: ActivityContext, tx: &mut PgConnection)
///     -> Result<(), Failure<Never>> {
///         let back = query("update account set cents = cents + $2 where id = $1");
///         back.bind(ask.account).bind(ask.cents).execute(tx).await?;
///         Ok(())
///     }
/// }
///
/// # fn registry(workflows: Workflows, handlers: Handlers) -> Result<(), hansom_engine::EngineError> {
/// use hansom_engine::{Registry, TransactionHandlers};
///
/// let transactions =
///     TransactionHandlers::default().with::<Debit>(Accounts).with::<Credit>(Accounts);
/// let registry = Registry::with_transactions(workflows, handlers, transactions)?;
/// # Ok(()) }
/// ```
pub trait TransactionHandler<A: Activity>: Send + Sync + 'static {
    /// Performs it, by what it writes through `tx`.
    fn handle(
        &self,
        ask: A,
        cx: ActivityContext,
        tx: &mut PgConnection,
    ) -> impl Future<Output = Result<A::Output, Failure<A::Error>>> + Send;
}

impl<A: Activity, H: TransactionHandler<A>> TransactionHandler<A> for Arc<H> {
    fn handle(
        &self,
        ask: A,
        cx: ActivityContext,
        tx: &mut PgConnection,
    ) -> impl Future<Output = Result<A::Output, Failure<A::Error>>> + Send {
        H::handle(self, ask, cx, tx)
    }
}

type BoxAttempt<'c> = Pin<Box<dyn Future<Output = Attempt> + Send + 'c>>;

/// A handler with its types erased.
trait Erased: Send + Sync {
    fn handle<'c>(
        &'c self,
        request: &'c Payload,
        cx: ActivityContext,
        tx: &'c mut PgConnection,
    ) -> BoxAttempt<'c>;
}

struct Typed<A, H>(H, PhantomData<fn(A)>);

impl<A: Activity, H: TransactionHandler<A>> Erased for Typed<A, H> {
    fn handle<'c>(
        &'c self,
        request: &'c Payload,
        cx: ActivityContext,
        tx: &'c mut PgConnection,
    ) -> BoxAttempt<'c> {
        let ask = request.decode::<A>();
        Box::pin(async move {
            match ask {
                Ok(ask) => Attempt::of::<A>(self.0.handle(ask, cx, tx).await),
                Err(error) => Attempt::failed(format!("request of {}: {error}", A::NAME)),
            }
        })
    }
}

/// A transactional handler with its types erased, and the options its activity declares.
#[derive(Clone)]
pub(crate) struct ErasedTransaction {
    pub(crate) options: ActivityOptions,
    pub(crate) options_as_undo: ActivityOptions,
    pub(crate) answers: Answers,
    handler: Arc<dyn Erased>,
}

impl ErasedTransaction {
    /// Makes one attempt in `tx`, and neither commits nor rolls back.
    pub(crate) fn handle<'c>(
        &'c self,
        request: &'c Payload,
        cx: ActivityContext,
        tx: &'c mut PgConnection,
    ) -> BoxAttempt<'c> {
        self.handler.handle(request, cx, tx)
    }
}

/// Transactional handlers by the name of the activity they perform; as
/// [`Handlers`](hansom_core::Handlers).
#[derive(Clone, Default)]
pub struct TransactionHandlers {
    by_name: BTreeMap<&'static str, ErasedTransaction>,
    twice: BTreeSet<&'static str>,
}

impl TransactionHandlers {
    /// Adds one.
    #[must_use]
    pub fn with<A: Activity>(mut self, handler: impl TransactionHandler<A>) -> Self {
        let erased = ErasedTransaction {
            options: A::options(),
            options_as_undo: A::options_as_undo(),
            answers: Answers::of::<A>(),
            handler: Arc::new(Typed(handler, PhantomData)),
        };
        self.add(A::NAME, erased);
        self
    }

    /// Adds all of `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        others.by_name.into_iter().for_each(|(name, handler)| self.add(name, handler));
        self.twice.extend(others.twice);
        self
    }

    fn add(&mut self, name: &'static str, handler: ErasedTransaction) {
        if self.by_name.insert(name, handler).is_some() {
            self.twice.insert(name);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ErasedTransaction> {
        self.by_name.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// The names of the activities that were given more than one.
    pub(crate) fn twice(&self) -> impl Iterator<Item = &'static str> {
        self.twice.iter().copied()
    }
}
