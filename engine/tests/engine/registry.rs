//! What a binary may not be put together from.

use hansom_core::{Handlers, Workflows};
use hansom_engine::{EngineError, Registry};

use crate::kit::{Charge, Late, Notify, Refund, Trip, World};

fn handlers() -> Handlers {
    Handlers::default().with::<Charge>(World::default()).with::<Refund>(World::default())
}

fn workflows() -> Workflows {
    Workflows::default().with::<Late>()
}

fn refusal(workflows: Workflows, handlers: Handlers) -> EngineError {
    Registry::new(workflows, handlers).err().expect("it is refused")
}

#[test]
fn an_activity_that_nobody_performs_is_named_with_the_workflow_that_needs_it() {
    assert!(Registry::new(workflows(), handlers()).is_ok());
    let missing = refusal(workflows().with::<Trip>(), handlers());
    assert_eq!(missing.to_string(), "no handler for: notify (trip)");
}

#[test]
fn a_second_handler_of_one_activity_is_refused_by_name() {
    let twice = refusal(workflows(), handlers().with::<Charge>(World::default()));
    assert_eq!(twice.to_string(), "more than one: handler of charge");
    let others = Handlers::default().with::<Refund>(World::default());
    let merged = handlers().and(others.clone()).and(others.with::<Notify>(World::default()));
    assert_eq!(refusal(workflows(), merged).to_string(), "more than one: handler of refund");
    let hidden = Handlers::default().and(handlers().with::<Charge>(World::default()));
    assert_eq!(refusal(workflows(), hidden).to_string(), "more than one: handler of charge");
}

#[test]
fn a_second_workflow_of_one_name_is_refused_by_name() {
    let twice = refusal(workflows().and(workflows()), handlers());
    assert_eq!(twice.to_string(), "more than one: workflow late");
}
