//! One process of Hansom: worker, API, services and gateway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hansom_core::Handlers;
use hansom_engine::{Registry, Settings, Worker};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::{CliError, Exit};
use crate::config::Config;
use crate::http::{Api, app, metrics};
use crate::nearest::nearest;
use crate::page;
use crate::systems::{Systems, problems};

/// How long `/readyz` says no before connections are refused, so that a load balancer sees it.
const NOTICE: Duration = Duration::from_millis(300);

/// How long requests under way are waited for.
const REQUESTS: Duration = Duration::from_secs(10);

/// What runs until it is told to stop.
pub(crate) struct Node {
    api: Arc<Api>,
    router: Router,
}

/// How a server is told to listen somewhere else.
pub(crate) const OTHER_ADDRESS: &str = "--listen 127.0.0.1:8089";

/// Takes the address, before anything is started that would have to be stopped again. `other` is
/// how another one is asked for.
pub(crate) async fn bind(listen: SocketAddr, other: &str) -> Result<TcpListener, CliError> {
    if !listen.ip().is_loopback() {
        let what =
            format!("{listen} can be reached from other machines, and there is no authentication");
        return Err(CliError::new(Exit::Usage, what)
            .hint("listen on 127.0.0.1 or [::1], and put a proxy that authenticates in front"));
    }
    TcpListener::bind(listen).await.map_err(|error| {
        let failed = CliError::new(Exit::Usage, format!("cannot listen on {listen}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => failed
                .cause("the port is taken")
                .hint(format!("stop the program that has it, or choose another: {other}")),
            std::io::ErrorKind::PermissionDenied => {
                failed.cause("ports below 1024 need permission").hint("choose another port")
            }
            _ => failed.cause(error.to_string()),
        }
    })
}

/// What this binary can run.
pub(crate) fn registry(systems: &Systems, remote: &[String]) -> Result<Registry, CliError> {
    let handlers = handlers(systems, remote)?;
    Ok(systems.registry(handlers)?)
}

impl Node {
    /// Starts the worker on a database that is migrated.
    pub(crate) async fn start(pool: PgPool, config: &Config) -> Result<Self, CliError> {
        let server = &config.server;
        let systems = Systems::with_breakers(&pool, &server.services, &server.breakers)
            .with_rides(server.rides);
        let registry = registry(&systems, &server.remote)?;
        let defaults = Settings::default();
        let settings = Settings {
            lease: server.lease,
            threads: server.worker_threads.unwrap_or(defaults.threads),
            ..defaults
        };
        metrics::recorder();
        tokio::spawn(metrics::upkeep());
        let worker = Worker::start(pool, registry, settings).await?;
        let api = Api::new(worker).with_landscape(config.landscape.clone());
        let api = api.with_breakers(systems.breakers()).with_problems(problems());
        let api = Arc::new(api.with_max_backlog(server.max_backlog));
        let others = page::beside(&api, systems.routes(&api, server.gateway));
        Ok(Self { router: app(Arc::clone(&api), others), api })
    }

    /// Serves until SIGTERM or SIGINT, then stops gracefully. A second one stops at once.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        mut stop: StopSignals,
    ) -> Result<(), CliError> {
        let Self { api, router } = self;
        let (closing, mut closed) = tokio::sync::watch::channel(false);
        let leaving = Arc::clone(&api);
        let told: JoinHandle<()> = tokio::spawn(async move {
            stop.received().await;
            tracing::info!("server.draining");
            leaving.begin_drain();
            tokio::spawn(async move {
                stop.received().await;
                tracing::warn!("server.aborted");
                std::process::exit(130);
            });
            tokio::time::sleep(NOTICE).await;
            closing.send_replace(true);
        });
        let mut shut = closed.clone();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            // An error means that the sender is gone, which is as good a reason to stop.
            let _ = shut.wait_for(|closing| *closing).await;
        });
        let late = async {
            let _ = closed.wait_for(|closing| *closing).await;
            tokio::time::sleep(REQUESTS).await;
        };
        let death = api.death();
        tokio::pin!(death);
        let served = tokio::select! {
            served = serving.into_future() => served,
            () = late => Ok(()),
            workflow_id = &mut death => return Err(dead(&workflow_id)),
        };
        told.abort();
        tokio::select! {
            () = api.drain() => {}
            workflow_id = &mut death => return Err(dead(&workflow_id)),
        }
        tracing::info!("server.stopped");
        served.map_err(|error| {
            CliError::new(Exit::Unexpected, "the server stopped").cause(error.to_string())
        })
    }
}

/// Not drained: a thread that does not return cannot be waited for.
fn dead(workflow_id: &str) -> CliError {
    let what = format!("the body of `{workflow_id}` does not return");
    CliError::new(Exit::Unexpected, what)
        .cause("it blocks or loops, and everything else of its thread waits for it")
        .hint(
            "other workers take over, or this one when it is started again; a run that five were \
             lost in is parked as `stuck` (`poison`), and goes on with `hansom workflow retry`",
        )
}

/// What this process performs itself, but for what is left to remote workers.
fn handlers(systems: &Systems, remote: &[String]) -> Result<Handlers, CliError> {
    let all = systems.handlers();
    remote.iter().try_fold(all, |handlers, name| handlers.made_remote(name)).map_err(|unknown| {
        let near = nearest(&unknown.name, unknown.known.iter().copied());
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        let what = format!("--remote: there is no activity `{}`", unknown.name);
        CliError::new(Exit::Usage, what)
            .hint(format!("{near}it is one of {}", unknown.known.join(", ")))
    })
}

/// SIGTERM and SIGINT, heard from when this is made.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on the signals do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                CliError::new(Exit::Unexpected, "signals cannot be heard").cause(error.to_string())
            })
        };
        let terminate = listen(SignalKind::terminate())?;
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    /// Returns at the next of them.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
