//! The database is killed in the middle of it all.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use hansom_engine::{Client, Settings, Worker, connect, migrate};
use hansom_postgres::testing::DurableCluster;
use uuid::Uuid;

use crate::crew::{LEASE, audit, count, sql, until};
use crate::kit::{Ride, Trip, World, registry};

const AT_ONCE: Ride = Ride { patience_ms: 0 };
const ROUNDS: u32 = 3;
const STARTERS: usize = 8;

/// Starters that never give up, and what they were told.
#[derive(Default)]
struct Load {
    acknowledged: Mutex<BTreeMap<String, Uuid>>,
    over: AtomicBool,
}

impl Load {
    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    async fn start(&self, client: &Client, starter: usize) {
        for n in 0.. {
            let id = format!("s{starter}.{n}");
            loop {
                if self.over.load(Ordering::SeqCst) {
                    return;
                }
                match client.start::<Trip>(&id, &AT_ONCE).await {
                    Ok(started) => {
                        self.acknowledged.lock().unwrap().insert(id, started.run);
                        break;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_killed_database_loses_no_start_and_the_worker_goes_on_by_itself() {
    let mut cluster = DurableCluster::start().await;
    cluster.cluster().ensure_database("engine").await.unwrap();
    let (url, world, load) = (cluster.url("engine"), World::default(), Load::default());
    let pool = connect(&url, 8).await.unwrap();
    migrate(&pool, Some(16)).await.unwrap();
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let worker = Worker::start(pool, registry(&world), settings).await.unwrap();
    let client = worker.client();
    let chaos = async {
        for _ in 0..ROUNDS {
            let before = load.count();
            until("starts are answered", async || load.count() > before + 100).await;
            cluster.kill_server().await;
            until("it is felt", async || !worker.is_ready()).await;
            cluster.restart().await;
            let (ready, before) = (Instant::now(), load.count());
            until("starts are answered again", async || load.count() > before).await;
            let recovered = ready.elapsed();
            println!("{recovered:?} after the database is ready");
            assert!(recovered < Duration::from_secs(10), "took {recovered:?}");
        }
        load.over.store(true, Ordering::SeqCst);
    };
    let starters = join_all((0..STARTERS).map(|starter| load.start(&client, starter)));
    join(chaos, starters).await;
    let sql = sql(&url).await;
    until("all are closed", async || {
        count(&sql, "select count(*) from hansom.workflow where status <> 3").await == 0
    })
    .await;
    let acknowledged = load.acknowledged.lock().unwrap().clone();
    let rows = sqlx::query_as("select workflow_id, run from hansom.workflow");
    let rows: BTreeMap<String, Uuid> = rows.fetch_all(&sql).await.unwrap().into_iter().collect();
    for (id, run) in &acknowledged {
        assert_eq!(rows.get(id), Some(run), "an acknowledged start is kept");
    }
    let charges = world.per_run("charge");
    assert!(charges.values().all(|count| *count == 1));
    assert_eq!(charges.len(), rows.len(), "each is charged once, and nothing else is");
    println!("{} acknowledged, {} rows", acknowledged.len(), rows.len());
    audit(&sql).await;
    sql.close().await;
    worker.drain().await;
}
