//! What a binary may not be put together from.

use hansom_core::{Handlers, Workflows};
use hansom_engine::{EngineError, Registry, TransactionHandlers};

use crate::bank::{Bank, Book, Credit, Debit, Transfer};
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

#[test]
fn a_second_view_of_one_name_is_refused_by_name() {
    let twice = workflows().view::<crate::views::Rolls>().view::<crate::views::Rolls>();
    assert_eq!(refusal(twice, handlers()).to_string(), "more than one: view rolls");
}

#[test]
fn handlers_that_take_the_transaction_count_as_handlers() {
    let bank = |transactions| {
        let workflows = Workflows::default().with::<Transfer>();
        Registry::with_transactions(workflows, handlers(), transactions)
    };
    let some = TransactionHandlers::default()
        .with::<Debit>(Bank::default())
        .with::<Credit>(Bank::default());
    let missing = bank(some.clone()).err().expect("one is missing");
    assert_eq!(missing.to_string(), "no handler for: book (transfer)");
    let all = some.and(TransactionHandlers::default().with::<Book>(Bank::default()));
    assert!(bank(all.clone()).is_ok());
    let twice = bank(all.clone().with::<Debit>(Bank::default())).err().expect("one is there twice");
    assert_eq!(twice.to_string(), "more than one: handler of debit");
    let hidden = TransactionHandlers::default().and(all.clone().and(all));
    let names = "handler of book, handler of credit, handler of debit";
    let twice = bank(hidden).err().expect("all are there twice");
    assert_eq!(twice.to_string(), format!("more than one: {names}"));
}

#[test]
fn one_activity_has_one_handler_of_either_kind() {
    let bank = Bank::default();
    let plain =
        Handlers::default().with::<Charge>(World::default()).with::<Refund>(World::default());
    let transactions = TransactionHandlers::default().with::<Debit>(bank.clone());
    let both = transactions.with::<Charge>(bank);
    let both = Registry::with_transactions(workflows(), plain, both).err().expect("it is refused");
    assert_eq!(both.to_string(), "more than one: handler of charge");
}
