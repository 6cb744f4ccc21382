//! A small city: a card that is charged, a cab that is booked, and services
//! that keep their word. The mistakes are made elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use hansom_core::testing::Exhaust;
use hansom_core::testing::exhaust::{Broken, Visit};
use hansom_core::{
    Activity, ActivityError, Failure, Harmless, Never, Outcome, Seq, Signal, Status, Workflow,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("declined")]
pub(crate) struct Declined;

macro_rules! activity {
    ($name:ident, $wire:literal, $output:ty, $error:ty) => {
        #[derive(Serialize, Deserialize)]
        pub(crate) struct $name(pub(crate) u32);
        impl Activity for $name {
            const NAME: &'static str = $wire;
            type Output = $output;
            type Error = $error;
        }
    };
}

activity!(Pay, "pay", u32, Declined);
activity!(Repay, "repay", (), Never);
activity!(Book, "book", (), Declined);
activity!(Unbook, "unbook", (), Never);
activity!(Ride, "ride", (), Never);
// What a careless author declares.
activity!(PayAtOnce, "pay_at_once", u32, Declined);
activity!(RepayById, "repay_by_id", (), Never);
impl Harmless for PayAtOnce {}
impl Harmless for Repay {}
impl Harmless for Ride {}

pub(crate) const ALL: &[&str] = &[
    Pay::NAME,
    Repay::NAME,
    Book::NAME,
    Unbook::NAME,
    Ride::NAME,
    PayAtOnce::NAME,
    RepayById::NAME,
];

/// The driver has come.
#[derive(Serialize, Deserialize)]
pub(crate) struct Came;
impl Signal for Came {
    const NAME: &'static str = "came";
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum NoTrip {
    #[error("{0}")]
    Step(#[from] ActivityError<Declined>),
    #[error("{0}")]
    Other(#[from] ActivityError<Never>),
    #[error("nobody came")]
    NobodyCame,
}

/// What the services remember: everything by the step it was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct City {
    pub(crate) paid: BTreeMap<String, u32>,
    pub(crate) repaid: BTreeMap<String, u32>,
    pub(crate) void: BTreeSet<String>,
    pub(crate) booked: bool,
    pub(crate) unbooked: bool,
    pub(crate) rode: bool,
    pub(crate) points: BTreeSet<String>,
}

impl City {
    pub(crate) fn kept(&self) -> u32 {
        self.paid.values().sum::<u32>() - self.repaid.values().sum::<u32>()
    }
}

/// The step that a visit is for, whether it is done or undone.
pub(crate) fn step(visit: &Visit<'_>) -> String {
    let Seq(seq) = visit.seq;
    format!("{}/{seq}", visit.run)
}

pub(crate) fn pay(
    city: &mut City,
    amount: u32,
    visit: &Visit<'_>,
) -> Result<u32, Failure<Declined>> {
    let step = step(visit);
    if city.void.contains(&step) || (visit.happens("declined") && !city.paid.contains_key(&step)) {
        city.void.insert(step);
        return Err(Failure::Refused(Declined));
    }
    city.paid.entry(step).or_insert(amount);
    Ok(7)
}

pub(crate) fn repay(city: &mut City, visit: &Visit<'_>) {
    let step = step(visit);
    if let Some(amount) = city.paid.get(&step) {
        city.repaid.insert(step.clone(), *amount);
    }
    city.void.insert(step);
}

/// A walk in which every service keeps its word; `W` is what may be wrong.
pub(crate) fn city<W: Workflow<Input = ()>>() -> Exhaust<W, City> {
    city_from(&())
}

/// The same, from another input.
pub(crate) fn city_from<W: Workflow>(input: &W::Input) -> Exhaust<W, City> {
    Exhaust::start(input, City::default())
        .perform::<Pay>(|city, ask, visit| pay(city, ask.0, visit))
        .perform::<PayAtOnce>(|city, ask, visit| pay(city, ask.0, visit))
        .does::<Repay>(|city, _, visit| repay(city, visit))
        .does::<RepayById>(|city, _, _| city.repaid = city.paid.clone())
        .does::<Book>(|city, _, _| city.booked = !city.unbooked)
        .may_refuse::<Book>(Declined)
        .does::<Unbook>(|city, _, _| (city.booked, city.unbooked) = (false, true))
        .does::<Ride>(|city, _, _| city.rode = true)
        .signal_when(|city: &City| city.booked.then_some(Came))
        .invariant("who pays rides, and who rides pays", pays_and_rides)
        .stories_max(1_500)
}

pub(crate) fn pays_and_rides(city: &City, end: &Outcome) -> bool {
    let done = end.status == Status::Completed;
    (city.kept() > 0) == done && city.rode == done && city.booked == done
}

/// What the walk says of it.
pub(crate) fn broken<W: Workflow, World>(walk: Exhaust<W, World>) -> Broken
where
    World: Clone + PartialEq + std::fmt::Debug + 'static,
{
    walk.try_walk().expect_err("the mistake is noticed")
}

/// The report says all of this.
pub(crate) fn says(broken: &Broken, words: &[&str]) {
    let report = broken.to_string();
    for word in words {
        assert!(report.contains(word), "it does not say «{word}»:\n{report}");
    }
}
