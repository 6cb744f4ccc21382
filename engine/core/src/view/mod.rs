//! Read models: one row for each workflow of one type, folded from its history.
//!
//! [`View`] is what an author writes, [`Fact`] what it is told, one event at a time, and
//! [`Fold`] keeps the rows of one run. The engine writes a row in the very commit that writes the
//! events which change it, so that it is never behind and never counts anything twice.

mod fact;
mod fold;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

pub use fact::Fact;
pub use fold::{Fold, ViewFault, ViewRow};

use crate::{Payload, Workflow};

/// A read model: one row for each workflow of one type, as JSON, fed from its history.
///
/// It is a fold: what a row says follows from the run's history alone, so that it can be made anew
/// whenever the fold is changed (`hansom views rebuild`).
///
/// ```
/// # use hansom_core::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Charge { trip: i64 }
/// # #[derive(Serialize, Deserialize)] struct Refund { trip: i64 }
/// # impl Activity for Charge { const NAME: &str = "charge"; type Output = u64; type Error = Never; }
/// # impl Activity for Refund { const NAME: &str = "refund"; type Output = (); type Error = Never; }
/// # struct Trip;
/// # impl Workflow for Trip {
/// #     const NAME: &str = "trip";
/// #     const ACTIVITIES: &[&str] = &[Charge::NAME, Refund::NAME];
/// #     type Input = i64;
/// #     type Output = ();
/// #     type Error = ActivityError<Never>;
/// #     async fn run(ctx: Ctx, trip: i64) -> Result<(), Self::Error> {
/// #         ctx.run(Charge { trip }).undo(Refund { trip }).await?;
/// #         Ok(())
/// #     }
/// # }
/// struct TripView;
/// impl View for TripView {
///     const NAME: &str = "trips";
///     type Workflow = Trip;
///
///     fn key(trip: &i64) -> i64 {
///         *trip
///     }
///
///     fn start(trip: &i64) -> Patch {
///         Patch::new().set("trip", trip).set("paid", false)
///     }
///
///     fn on(fact: &Fact<'_>) -> Option<Patch> {
///         if let Some((_, payment)) = fact.done::<Charge>() {
///             return Some(Patch::new().set("paid", true).set("payment", payment));
///         }
///         fact.undone::<Refund>().map(|_| Patch::new().set("paid", false))
///     }
/// }
///
/// let workflows = Workflows::default().with::<Trip>().view::<TripView>();
/// let script = testing::Script::<Trip>::start(&7).complete::<Charge>(&42);
/// let row = script.row::<TripView>().unwrap();
/// assert_eq!(row.to_string(), r#"{"paid":true,"payment":42,"trip":7}"#);
/// ```
///
/// # Panics
///
/// What panics in here changes nothing of the row, and the log says so (`view_failed`).
pub trait View: 'static {
    /// Stable name, as stored in the database and used in URLs.
    const NAME: &'static str;
    /// The type whose runs have a row each.
    type Workflow: Workflow;

    /// The number under which the row is asked for. Of two workflows with one number that which was
    /// started first is shown.
    fn key(input: &<Self::Workflow as Workflow>::Input) -> i64;

    /// What the row says from the start. A run that goes on from another, or is started under
    /// the id of one that has ended, begins the row anew.
    fn start(input: &<Self::Workflow as Workflow>::Input) -> Patch;

    /// What changes by this; `None`: nothing.
    fn on(fact: &Fact<'_>) -> Option<Patch>;
}

/// Fields of a row that get another value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch(Map<String, Value>);

impl Patch {
    /// One without a field.
    pub fn new() -> Self {
        Self::default()
    }

    /// The field says this from now on; `None` is null.
    ///
    /// # Panics
    ///
    /// When the value has no JSON form, or a text in it has a NUL.
    #[must_use]
    pub fn set(mut self, field: &str, value: impl Serialize) -> Self {
        let told = Payload::of(&value).and_then(|value| value.decode());
        let told = told.unwrap_or_else(|error| panic!("field {field}: {error}"));
        self.0.insert(field.to_owned(), told);
        self
    }
}

/// A view with its types erased.
#[derive(Clone, Copy)]
pub struct ViewType {
    /// [`View::NAME`].
    pub name: &'static str,
    /// [`Workflow::NAME`] of its workflow type.
    pub workflow: &'static str,
    start: fn(&Payload) -> Result<(i64, Patch), serde_json::Error>,
    on: fn(&Fact<'_>) -> Option<Patch>,
}

impl ViewType {
    /// Erases the types of `V`.
    pub fn of<V: View>() -> Self {
        Self {
            name: V::NAME,
            workflow: V::Workflow::NAME,
            start: |input| {
                let input = input.decode()?;
                Ok((V::key(&input), V::start(&input)))
            },
            on: V::on,
        }
    }
}

/// Views by the workflow type that they are of, each type's by name.
pub(crate) type ByWorkflow = BTreeMap<&'static str, std::sync::Arc<[ViewType]>>;
