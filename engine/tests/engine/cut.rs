//! Connections that are cut silently: nothing arrives any more, and nobody is told. So it is when
//! a database's host is lost, or a firewall forgets what it has let through.

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use hansom_core::Status;
use hansom_engine::{Client, Settings, Worker, connect};
use hansom_postgres::testing::{PATIENCE, TestDatabase};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

use crate::crew::{LEASE, audit, count, sql, until};
use crate::kit::{Ride, Trip, World, fresh, registry};

const AT_ONCE: Ride = Ride { patience_ms: 0 };
/// What a statement that is under way is given, and what comes after it.
const PROMISED: Duration = Duration::from_secs(45);
/// The same where none is under way.
const AT_REST: Duration = Duration::from_secs(10);

/// Between workers and their database.
struct Wire {
    url: String,
    /// Connections with a number up to that are cut.
    cut: watch::Sender<u32>,
    made: watch::Receiver<u32>,
}

impl Wire {
    async fn to(database: &TestDatabase) -> Self {
        let server = PgConnectOptions::from_str(database.url()).unwrap();
        let socket = server.get_socket().unwrap().join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, (number, made)) = (watch::channel(0).0, watch::channel(0));
        let cuts = cut.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let this = *number.borrow() + 1;
                number.send_replace(this);
                tokio::spawn(carry(from_client, to_server, cuts.clone(), this));
                tokio::spawn(carry(from_server, to_client, cuts.clone(), this));
            }
        });
        Self { url: format!("postgres://hansom@{address}/{}", database.name()), cut, made }
    }

    /// Cuts every connection there is. New ones are carried as ever.
    fn cut(&self) {
        self.cut.send_replace(*self.made.borrow());
    }
}

/// Carries one direction of a connection until either end closes it. Once it is cut it is kept
/// open, so that neither end is told.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut cut: watch::Receiver<u32>,
    number: u32,
) {
    let is_cut = async {
        // An error: the test is over.
        let _ = cut.wait_for(|cut| *cut >= number).await.is_ok();
    };
    tokio::select! {
        () = is_cut => {}
        _ = tokio::io::copy(&mut from, &mut to) => return,
    }
    std::future::pending::<()>().await;
}

/// Starts one saga after the other, and has each of them come to its end.
struct Load<'a> {
    client: &'a Client,
    over: AtomicBool,
    done: AtomicU32,
}

impl Load<'_> {
    fn done(&self) -> u32 {
        self.done.load(Ordering::SeqCst)
    }

    async fn starter(&self, starter: usize) {
        for n in 0.. {
            let id = format!("s{starter}.{n}");
            while self.client.start::<Trip>(&id, &AT_ONCE).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let completed = async || {
                let outcome = self.client.result(&id, PATIENCE).await;
                outcome.is_ok_and(|outcome| outcome.status == Status::Completed)
            };
            until("it is completed", completed).await;
            self.done.fetch_add(1, Ordering::SeqCst);
            if self.over.load(Ordering::SeqCst) {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_cut_silently_under_way_is_done_on_other_connections() {
    let (database, world) = (fresh().await, World::default());
    let (wire, worker) = wired(&database, &world).await;
    let client = worker.client();
    let load = Load { client: &client, over: AtomicBool::new(false), done: AtomicU32::new(0) };
    let chaos = async {
        for _ in 0..3 {
            let before = load.done();
            until("sagas come to their end", async || load.done() > before + 50).await;
            let cut = Instant::now();
            wire.cut();
            let before = load.done();
            // More than were under way.
            until("they do so again", async || load.done() > before + 8).await;
            let recovered = cut.elapsed();
            println!("{recovered:?} after the cut");
            assert!(recovered < PROMISED, "took {recovered:?}");
        }
        load.over.store(true, Ordering::SeqCst);
    };
    join(chaos, join_all((0..8).map(|starter| load.starter(starter)))).await;
    let charges = world.per_run("charge");
    assert!(charges.values().all(|count| *count == 1), "{charges:?}");
    let sql = sql(database.url()).await;
    let open = "select count(*) from hansom.workflow where status <> 3";
    assert_eq!(count(&sql, open).await, 0);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_cut_silently_at_rest_is_noticed_at_once() {
    let (database, world) = (fresh().await, World::default());
    let (wire, worker) = wired(&database, &world).await;
    let (client, sql) = (worker.client(), sql(database.url()).await);
    let listens = "select count(*) from pg_stat_activity
        where datname = current_database() and query in ('LISTEN \"hansom\";LISTEN \"hansom_task\";', 'select')";
    client.start::<Trip>("t0", &AT_ONCE).await.unwrap();
    assert_eq!(client.result("t0", PATIENCE).await.unwrap().status, Status::Completed);
    for id in ["t1", "t2", "t3"] {
        // Whatever was not used for a second is asked before it is used again.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let before = count(&sql, listens).await;
        wire.cut();
        let cut = Instant::now();
        client.start::<Trip>(id, &AT_ONCE).await.unwrap();
        assert_eq!(client.result(id, PATIENCE).await.unwrap().status, Status::Completed);
        let recovered = cut.elapsed();
        println!("{recovered:?} after the cut");
        assert!(recovered < AT_REST, "took {recovered:?}");
        until("it listens anew", async || count(&sql, listens).await > before).await;
    }
    worker.drain().await;
}

async fn wired(database: &TestDatabase, world: &World) -> (Wire, Worker) {
    let wire = Wire::to(database).await;
    // None to spare.
    let pool = connect(&wire.url, 2).await.unwrap();
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let worker = Worker::start(pool, registry(world), settings).await.unwrap();
    (wire, worker)
}
