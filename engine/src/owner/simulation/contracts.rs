//! What the saga asks for, what it may be told, and who does what it asks.

use std::time::Duration;

use hansom_core::{
    Activity, ActivityContext, ActivityOptions, Failure, Handler, Handlers, Harmless, Never, Probe,
    RetryPolicy, Signal, Update, Verdict, Workflows,
};
use serde::{Deserialize, Serialize};

use super::saga::Saga;
use super::views::{Diary, Ends};
use crate::Registry;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no")]
pub(super) struct No;

#[derive(Serialize, Deserialize)]
pub(super) struct Act(pub(super) usize);
impl Activity for Act {
    const NAME: &'static str = "act";
    type Output = ();
    type Error = No;
    fn options() -> ActivityOptions {
        // More than it takes to be poison.
        tried(8)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Unact(pub(super) usize);
impl Activity for Unact {
    const NAME: &'static str = "unact";
    type Output = ();
    type Error = Never;
    fn options_as_undo() -> ActivityOptions {
        tried(4)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Note(pub(super) usize);
impl Activity for Note {
    const NAME: &'static str = "note";
    type Output = ();
    type Error = Never;
}
impl Harmless for Note {}

/// Somebody can say whether it happened.
#[derive(Serialize, Deserialize)]
pub(super) struct Doubt(pub(super) usize);
impl Activity for Doubt {
    const NAME: &'static str = "doubt";
    type Output = ();
    type Error = No;
    fn options() -> ActivityOptions {
        tried(2)
    }
    fn probe(&self) -> Option<Probe<Self>> {
        Some(Probe::ask(&Look(self.0)))
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Look(pub(super) usize);
impl Activity for Look {
    const NAME: &'static str = "look";
    type Output = Verdict<()>;
    type Error = Never;
    fn options() -> ActivityOptions {
        tried(2)
    }
}

/// Made elsewhere, as what undoes it.
#[derive(Serialize, Deserialize)]
pub(super) struct Far(pub(super) usize);
impl Activity for Far {
    const NAME: &'static str = "far";
    type Output = ();
    type Error = No;
    fn options() -> ActivityOptions {
        tried(3)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Unfar(pub(super) usize);
impl Activity for Unfar {
    const NAME: &'static str = "unfar";
    type Output = ();
    type Error = Never;
    fn options_as_undo() -> ActivityOptions {
        tried(3)
    }
}

fn tried(attempts: u32) -> ActivityOptions {
    ActivityOptions { retry: policy(attempts), ..ActivityOptions::default() }
}

pub(super) fn policy(maximum_attempts: u32) -> RetryPolicy {
    let initial_interval = Duration::from_millis(500);
    RetryPolicy { initial_interval, maximum_attempts, ..RetryPolicy::default() }
}

/// Each has a number of its own.
#[derive(Serialize, Deserialize)]
pub(super) struct Ping(pub(super) u64);
impl Signal for Ping {
    const NAME: &'static str = "ping";
}

/// Each has a number of its own, which says how it is answered.
#[derive(Serialize, Deserialize)]
pub(super) struct Query(pub(super) u64);
impl Update for Query {
    const NAME: &'static str = "query";
    type Output = u64;
    type Error = No;
}

/// Handlers are needed for their options only: the simulation answers for them.
struct Nobody;

impl<A: Activity> Handler<A> for Nobody {
    async fn handle(&self, _: A, _: ActivityContext) -> Result<A::Output, Failure<A::Error>> {
        Err(Failure::retry("nobody"))
    }
}

pub(super) fn registry() -> Registry {
    let handlers = Handlers::default()
        .with::<Act>(Nobody)
        .with::<Unact>(Nobody)
        .with::<Note>(Nobody)
        .with::<Doubt>(Nobody)
        .with::<Look>(Nobody)
        .remote_from::<Far>("away")
        .remote_from::<Unfar>("away");
    let workflows = Workflows::default().with::<Saga>().view::<Diary>().view::<Ends>();
    Registry::new(workflows, handlers).unwrap()
}
