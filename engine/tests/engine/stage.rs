//! Activities whose handlers do as a test says, and tell what they saw.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hansom_core::{
    Activity, ActivityContext, ActivityOptions, Failure, Handler, Handlers, Harmless, Never, Probe,
    RetryPolicy, Verdict,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::kit::No;

/// What the next attempts of something come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    Fail,
    Refuse,
    Panic,
    /// It fails, and asks for so long a wait.
    After(Duration),
    /// It is not answered while this rule stands.
    Hold,
    /// A probe finds that nothing happened.
    NotDone,
    /// The process that performs it ends.
    Abort,
}

/// One attempt, as its handler saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `do a`, `undo a`, `look a`, `tell a`.
    pub(crate) what: String,
    pub(crate) workflow_id: String,
    pub(crate) run: String,
    pub(crate) key: String,
    pub(crate) attempt: u32,
    pub(crate) at: Instant,
}

/// Where it is performed, and what was seen there.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Scenes>);

#[derive(Default)]
struct Scenes {
    seen: Mutex<Vec<Seen>>,
    rules: Mutex<HashMap<String, VecDeque<Rule>>>,
    standing: Mutex<HashMap<String, Rule>>,
    /// Outlives the process that performs.
    books: Option<PgPool>,
}

impl Stage {
    /// One that also writes down what it sees: key, what, how often.
    pub(crate) fn with_books(sql: &PgPool) -> Self {
        Self(Arc::new(Scenes { books: Some(sql.clone()), ..Scenes::default() }))
    }

    /// The table in which it does.
    pub(crate) async fn open_books(sql: &PgPool) {
        let table = "create table effect (key text primary key, what text, times int not null)";
        sqlx::query(table).execute(sql).await.unwrap();
    }

    /// The next attempts of `what` (`do a`) come to these; those after succeed.
    pub(crate) fn next(&self, what: &str, rules: &[Rule]) {
        self.0.rules.lock().unwrap().insert(what.to_owned(), rules.iter().copied().collect());
    }

    /// All attempts of `what` come to this, until it is lifted.
    pub(crate) fn always(&self, what: &str, rule: Rule) {
        self.0.standing.lock().unwrap().insert(what.to_owned(), rule);
    }

    pub(crate) fn lift(&self, what: &str) {
        self.0.standing.lock().unwrap().remove(what);
    }

    fn standing(&self, what: &str) -> Option<Rule> {
        self.0.standing.lock().unwrap().get(what).copied()
    }

    /// Every attempt, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    /// The same in short: `do a`, `undo a`.
    pub(crate) fn story(&self) -> Vec<String> {
        self.0.seen.lock().unwrap().iter().map(|seen| seen.what.clone()).collect()
    }

    /// The attempts of one thing.
    pub(crate) fn of(&self, what: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.what == what).collect()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.seen.lock().unwrap().iter().filter(|seen| seen.what == what).count()
    }

    async fn perform<E>(
        &self,
        what: String,
        cx: &ActivityContext,
    ) -> Result<Option<Rule>, Failure<E>> {
        self.0.seen.lock().unwrap().push(Seen {
            what: what.clone(),
            workflow_id: cx.workflow_id.clone(),
            run: cx.run.clone(),
            key: cx.idempotency_key(),
            attempt: cx.attempt,
            at: Instant::now(),
        });
        if let Some(books) = &self.0.books {
            let entry = "insert into effect values ($1, $2, 1)
                on conflict (key) do update set times = effect.times + 1";
            let entry = sqlx::query(entry).bind(cx.idempotency_key()).bind(&what);
            entry.execute(books).await.map_err(Failure::retry)?;
        }
        let next = self.0.rules.lock().unwrap().get_mut(&what).and_then(VecDeque::pop_front);
        let rule = next.or_else(|| self.standing(&what));
        match rule {
            Some(Rule::Fail) => Err(Failure::retry("the network is down")),
            Some(Rule::After(wait)) => {
                let reason = "busy".into();
                Err(Failure::Retry { reason, after: Some(wait) })
            }
            Some(Rule::Panic) => panic!("the handler of {what} panics"),
            Some(Rule::Abort) => std::process::abort(),
            Some(Rule::Hold) => {
                while self.standing(&what) == Some(Rule::Hold) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok(None)
            }
            rule => Ok(rule),
        }
    }
}

/// Something to be done, and undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Act {
    pub(crate) name: String,
    pub(crate) probe: bool,
}
impl Activity for Act {
    const NAME: &'static str = "act";
    type Output = String;
    type Error = No;
    fn probe(&self) -> Option<Probe<Self>> {
        self.probe.then(|| Probe::ask(&Look { name: self.name.clone() }))
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Look {
    name: String,
}
impl Activity for Look {
    const NAME: &'static str = "look";
    type Output = Verdict<String>;
    type Error = Never;
    fn options() -> ActivityOptions {
        ActivityOptions { retry: quick(2), ..ActivityOptions::default() }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Unact {
    pub(crate) name: String,
}
impl Activity for Unact {
    const NAME: &'static str = "unact";
    type Output = ();
    type Error = Never;
    fn options_as_undo() -> ActivityOptions {
        ActivityOptions { retry: quick(3), ..ActivityOptions::default() }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Tell {
    pub(crate) name: String,
}
impl Activity for Tell {
    const NAME: &'static str = "tell";
    type Output = ();
    type Error = Never;
    fn options() -> ActivityOptions {
        ActivityOptions { retry: quick(3), ..ActivityOptions::default() }
    }
}
impl Harmless for Tell {}

pub(crate) fn quick(attempts: u32) -> RetryPolicy {
    let wait = Duration::from_millis(10);
    RetryPolicy {
        initial_interval: wait,
        maximum_interval: wait,
        maximum_attempts: attempts,
        ..RetryPolicy::default()
    }
}

impl Handler<Act> for Stage {
    async fn handle(&self, ask: Act, cx: ActivityContext) -> Result<String, Failure<No>> {
        match self.perform(format!("do {}", ask.name), &cx).await? {
            Some(Rule::Refuse) => Err(Failure::Refused(No)),
            _ => Ok(format!("done {}", ask.name)),
        }
    }
}

impl Handler<Look> for Stage {
    async fn handle(
        &self,
        ask: Look,
        cx: ActivityContext,
    ) -> Result<Verdict<String>, Failure<Never>> {
        match self.perform(format!("look {}", ask.name), &cx).await? {
            Some(Rule::NotDone) => Ok(Verdict::NotDone),
            _ => Ok(Verdict::Done(format!("found {}", ask.name))),
        }
    }
}

impl Handler<Unact> for Stage {
    async fn handle(&self, ask: Unact, cx: ActivityContext) -> Result<(), Failure<Never>> {
        self.perform(format!("undo {}", ask.name), &cx).await.map(drop)
    }
}

impl Handler<Tell> for Stage {
    async fn handle(&self, ask: Tell, cx: ActivityContext) -> Result<(), Failure<Never>> {
        self.perform(format!("tell {}", ask.name), &cx).await.map(drop)
    }
}

pub(crate) fn handlers(stage: &Stage) -> Handlers {
    Handlers::default()
        .with::<Act>(stage.clone())
        .with::<Look>(stage.clone())
        .with::<Unact>(stage.clone())
        .with::<Tell>(stage.clone())
}
