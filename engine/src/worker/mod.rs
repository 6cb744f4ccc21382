//! A process that owns partitions and runs their workflows.

mod attempt;
mod bells;
mod committer;
mod errands;
mod heartbeat;
pub(crate) mod hub;
mod lane;
mod listen;
mod membership;
mod offers;
mod scheduler;
pub(crate) mod told;
mod transaction;
mod watch;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::store::{Pool, partition, worker, workflow_type};
use crate::{Client, EngineError, Registry, Settings};
use attempt::Attempts;
use heartbeat::Heartbeats;
use hub::Hub;
use lane::{Lane, Shared};
use membership::{Membership, Notices};
use scheduler::Scheduler;
use transaction::Transactions;

/// A running worker. Dropped without [`Worker::drain`] it leaves all the same,
/// in the background, as long as its runtime lives.
pub struct Worker {
    client: Client,
    hub: Arc<Hub>,
    stop: oneshot::Sender<()>,
    membership: JoinHandle<()>,
    scheduler: (oneshot::Sender<()>, JoinHandle<()>),
    listener: JoinHandle<()>,
    watch: JoinHandle<()>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Worker {
    /// Joins the workers of a database, and takes its share of the partitions.
    ///
    /// # Errors
    ///
    /// [`EngineError::NotMigrated`], or that the database does not answer.
    pub async fn start(
        pool: PgPool,
        registry: Registry,
        settings: Settings,
    ) -> Result<Self, EngineError> {
        let pool = Pool::from(pool);
        let partitions = partition::count(&pool).await.map_err(|error| match error {
            sqlx::Error::Database(_) | sqlx::Error::RowNotFound => EngineError::NotMigrated,
            error => EngineError::Database(error),
        })?;
        let registry = Arc::new(registry);
        let clock = Arc::new(Clock::new(worker::time(&pool).await?));
        let (senders, inboxes): (Vec<_>, Vec<_>) =
            (0..settings.threads.max(1)).map(|_| unbounded_channel()).unzip();
        let hub = Arc::new(Hub::new(partitions, senders));
        let notices = Notices::default();
        // A loss, and each lane's errands and offers: mostly a few of them at a time.
        let own = pool.beside(1 + u32::try_from(hub.lanes().len()).unwrap_or(1) * 4);
        // What attempts say is written by one, and read by some.
        let heartbeats = Heartbeats::start(pool.beside(3));
        let attempts = Attempts::new(
            Arc::clone(&registry),
            own.clone(),
            heartbeats.clone(),
            Transactions::new(pool.clone(), settings.transactions),
            partitions,
        );
        let shared = Shared {
            registry: Arc::clone(&registry),
            hub: Arc::clone(&hub),
            clock: Arc::clone(&clock),
            fenced: Arc::clone(&notices.fenced),
            attempts: Arc::new(attempts),
            runtime: Handle::current(),
            pool: own.clone(),
            heartbeats,
        };
        let threads = inboxes.into_iter().enumerate().map(|(index, inbox)| {
            let (shared, back) = (shared.clone(), hub.lanes()[index].clone());
            let run = move || run_lane(index, shared, inbox, back);
            thread::Builder::new().name(format!("hansom-lane-{index}")).spawn(run)
        });
        let threads = threads.collect::<Result<_, _>>().map_err(sqlx::Error::Io)?;
        let partitions = Arc::clone(&notices.partitions);
        // In one order: two workers that join at a time do not wait for one another.
        let types: Vec<_> = registry.workflows().map(|kind| kind.name.to_owned()).collect();
        workflow_type::know(&pool, &types).await?;
        let watch = watch::run(own.clone(), Arc::clone(&hub), settings.lease);
        let joined = Membership::join(
            // Nobody else's connections have to be found cut before it says that it lives.
            pool.beside(1).within(settings.lease.max(Duration::from_secs(5))),
            Arc::clone(&hub),
            Arc::clone(&registry),
            clock,
            settings,
            notices,
        )
        .await?;
        let listener = tokio::spawn(listen::run(pool.clone(), Arc::clone(&hub), partitions));
        let watch = tokio::spawn(watch);
        let (stop, stopped) = oneshot::channel();
        let membership = tokio::spawn(joined.run(stopped));
        let (stop_firing, firing_stopped) = oneshot::channel();
        let scheduler = Scheduler::new(pool.beside(1), Arc::clone(&registry), Arc::clone(&hub));
        let scheduler = (stop_firing, tokio::spawn(scheduler.run(firing_stopped)));
        let client = Client::of_worker(pool, registry, Arc::clone(&hub));
        Ok(Self { client, hub, stop, membership, scheduler, listener, watch, threads })
    }

    /// A client that talks to this worker directly where it can.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether it is a member in good standing: its last heartbeat was taken,
    /// and it is not draining.
    pub fn is_ready(&self) -> bool {
        self.hub.is_ready()
    }

    /// The workflow whose body has not returned for two leases, once there is one: this worker
    /// will not do its work again, and is lost to the others. Its process is best ended; such a
    /// thread cannot be.
    pub fn death(&self) -> impl Future<Output = String> + use<> {
        let mut death = self.hub.death();
        async move {
            // An error means that nobody can say so any more.
            match death.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(run)) => run.workflow_id.to_string(),
                _ => std::future::pending().await,
            }
        }
    }

    /// Stops gracefully: takes no more starts, waits for attempts under way (at
    /// most [`Settings::drain`]), commits their answers, charges no attempt, and
    /// hands its partitions over at once.
    pub async fn drain(self) {
        self.hub.drain();
        // What is due from here on is the next owner's.
        let (stop, scheduler) = self.scheduler;
        let _ = stop.send(());
        let _ = scheduler.await;
        // The membership ends only by this.
        let _ = self.stop.send(());
        let _ = self.membership.await;
        self.listener.abort();
        for thread in self.threads {
            // A lane that panicked has nothing left to hand over.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        self.watch.abort();
    }
}

fn run_lane(
    index: usize,
    shared: Shared,
    inbox: tokio::sync::mpsc::UnboundedReceiver<told::ToLane>,
    back: tokio::sync::mpsc::UnboundedSender<told::ToLane>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(Lane::new(index, shared, inbox, back).run()),
        Err(error) => tracing::error!(%error, "lane_without_runtime"),
    }
}
