//! Sagas that do as their input says.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use hansom_core::{
    Activity, ActivityError, ChildError, Ctx, OnUnknown, ParentClose, Signal, SignalType, Status,
    Workflow, Workflows,
};
use hansom_engine::{Client, Description, Registry, Settings, Worker, connect};
use hansom_postgres::testing::TestDatabase;
use serde::{Deserialize, Serialize};

use crate::crew::{LEASE, until};
use crate::kit::{No, SOON};
use crate::stage::{Act, Look, Stage, Tell, Unact, handlers, quick};

/// How a step is tried.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Care {
    pub(crate) attempts: u32,
    pub(crate) limit_ms: u64,
    pub(crate) budget_ms: Option<u64>,
    pub(crate) then: OnUnknown,
    pub(crate) probe: bool,
}

impl Default for Care {
    fn default() -> Self {
        Self {
            attempts: 3,
            limit_ms: 10_000,
            budget_ms: None,
            then: OnUnknown::Verify,
            probe: false,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Do {
    Act(String, Care),
    Child {
        id: String,
        plan: Plan,
        close: ParentClose,
        wait: bool,
    },
    /// Waits for all children that nobody waits for yet.
    Join,
    Sleep(u64),
    /// Waits for a signal.
    Go,
    /// Panics while the fuse of that name is short.
    Fuse(String),
    Fail,
}

/// What a saga is to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Plan {
    steps: Vec<Do>,
    /// Past the point of no return.
    after: Option<Vec<String>>,
}

impl Plan {
    fn and(mut self, step: Do) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn act(self, name: &str) -> Self {
        self.act_with(name, Care::default())
    }

    pub(crate) fn act_with(self, name: &str, care: Care) -> Self {
        self.and(Do::Act(name.to_owned(), care))
    }

    /// Starts a child and waits for it.
    pub(crate) fn child(self, id: &str, plan: Self) -> Self {
        let close = ParentClose::default();
        self.and(Do::Child { id: id.to_owned(), plan, close, wait: true })
    }

    /// Starts a child and goes on.
    pub(crate) fn spawn(self, id: &str, plan: Self, close: ParentClose) -> Self {
        self.and(Do::Child { id: id.to_owned(), plan, close, wait: false })
    }

    pub(crate) fn join(self) -> Self {
        self.and(Do::Join)
    }

    pub(crate) fn sleep(self, millis: u64) -> Self {
        self.and(Do::Sleep(millis))
    }

    pub(crate) fn go(self) -> Self {
        self.and(Do::Go)
    }

    pub(crate) fn fuse(self, name: &str) -> Self {
        self.and(Do::Fuse(name.to_owned()))
    }

    pub(crate) fn fail(self) -> Self {
        self.and(Do::Fail)
    }

    pub(crate) fn pivot(self, after: &[&str]) -> Self {
        Self { after: Some(after.iter().map(|&name| name.to_owned()).collect()), ..self }
    }
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum Woe {
    #[error("a step: {0}")]
    Step(#[from] ActivityError<No>),
    #[error("a child: {0}")]
    Child(Box<ChildError<Self>>),
    #[error("as planned")]
    Planned,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Go;
impl Signal for Go {
    const NAME: &'static str = "go";
}

/// How often the body panics yet where it comes upon a fuse.
static FUSES: Mutex<VecDeque<(String, u32)>> = Mutex::new(VecDeque::new());

/// The body panics so often where it comes upon this fuse.
pub(crate) fn short(name: &str, times: u32) {
    let mut fuses = FUSES.lock().unwrap();
    fuses.retain(|(fuse, _)| fuse != name);
    fuses.push_back((name.to_owned(), times));
}

/// How often the body would panic yet.
pub(crate) fn left(name: &str) -> u32 {
    let fuses = FUSES.lock().unwrap();
    fuses.iter().find(|(fuse, _)| fuse == name).map_or(0, |(_, left)| *left)
}

fn burn(name: &str) -> bool {
    let mut fuses = FUSES.lock().unwrap();
    let left = fuses.iter_mut().find(|(fuse, left)| fuse == name && *left > 0);
    left.map(|(_, left)| *left -= 1).is_some()
}

/// Does as its input says.
pub(crate) struct Planned;

impl Workflow for Planned {
    const NAME: &'static str = "planned";
    const ACTIVITIES: &'static [&'static str] = &[Act::NAME, Unact::NAME, Look::NAME, Tell::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Go>()];
    type Input = Plan;
    type Output = String;
    type Error = Woe;

    async fn run(ctx: Ctx, plan: Plan) -> Result<String, Woe> {
        let (mut last, mut spawned) = (String::new(), Vec::new());
        for step in plan.steps {
            match step {
                Do::Act(name, care) => last = act(&ctx, &name, care).await?,
                Do::Child { id, plan, close, wait } => {
                    let child = ctx.child::<Self>(&id, &plan).on_parent_close(close);
                    if wait {
                        last = child.await.map_err(|error| Woe::Child(Box::new(error)))?;
                    } else {
                        spawned.push(child.spawn());
                    }
                }
                Do::Join => {
                    for ended in ctx.join_all(std::mem::take(&mut spawned)).await {
                        last = ended.map_err(|error| Woe::Child(Box::new(error)))?;
                    }
                }
                Do::Sleep(millis) => ctx.sleep(Duration::from_millis(millis)).await,
                Do::Go => {
                    let Go = ctx.signals::<Go>().next().await;
                }
                Do::Fuse(name) => assert!(!burn(&name), "the fuse {name} is short"),
                Do::Fail => return Err(Woe::Planned),
            }
        }
        if let Some(after) = plan.after {
            let committed = ctx.pivot();
            for name in after {
                committed.run(Tell { name }).await;
            }
        }
        Ok(last)
    }
}

pub(crate) async fn act(ctx: &Ctx, name: &str, care: Care) -> Result<String, ActivityError<No>> {
    let name = name.to_owned();
    let step = ctx.run(Act { name: name.clone(), probe: care.probe }).undo(Unact { name });
    let step = step.retry(quick(care.attempts)).on_unknown(care.then);
    let step = step.start_to_close(Duration::from_millis(care.limit_ms));
    match care.budget_ms {
        Some(budget) => step.schedule_to_close(Duration::from_millis(budget)).await,
        None => step.await,
    }
}

/// A worker that has these workflows, and lives through a pause of the whole machine.
pub(crate) async fn worker_of(url: &str, stage: &Stage, workflows: Workflows) -> (Worker, Client) {
    worker_with(Duration::from_secs(5), url, stage, workflows).await
}

/// The same with that lease: all workers of a database have one.
pub(crate) async fn worker_with(
    lease: Duration,
    url: &str,
    stage: &Stage,
    workflows: Workflows,
) -> (Worker, Client) {
    let pool = connect(url, 8).await.unwrap();
    let settings = Settings { lease, ..Settings::default() };
    let registry = Registry::new(workflows, handlers(stage)).unwrap();
    let worker = Worker::start(pool, registry, settings).await.unwrap();
    let client = worker.client();
    (worker, client)
}

/// A worker that has [`Planned`].
pub(crate) async fn worker(database: &TestDatabase, stage: &Stage) -> (Worker, Client) {
    worker_of(database.url(), stage, Workflows::default().with::<Planned>()).await
}

/// The same where one is killed, and soon taken over.
pub(crate) async fn mortal_at(url: &str, stage: &Stage) -> (Worker, Client) {
    worker_with(LEASE, url, stage, Workflows::default().with::<Planned>()).await
}

/// How it ended.
pub(crate) async fn end(client: &Client, id: &str) -> Status {
    client.result(id, SOON).await.unwrap().status
}

/// Waits until it is in that state.
pub(crate) async fn becomes(client: &Client, id: &str, status: Status) -> Description {
    let mut seen = None;
    until(&format!("{id} is {status:?}"), async || {
        let now = client.describe(id).await.unwrap();
        let so = now.status == status;
        seen = Some(now);
        so
    })
    .await;
    seen.unwrap()
}
