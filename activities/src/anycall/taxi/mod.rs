//! The taxi service: which calls are offered, which taxi has them, and how far they are.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Handlers, Never};
use hansom_workflows::anycall_ride::{
    AssignTaxi, AttachMember, Call, CallId, CloseDispatch, DispatchStatus, MarkEnded, MarkStarted,
    MemberId, OpenDispatch, RecordTrip, ScoreTaxi, TripCount, UnassignTaxi,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct TaxiService {
    store: Store,
}

/// A call as the taxis see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dispatch {
    /// The call.
    pub call_id: CallId,
    /// Who called.
    pub member_id: MemberId,
    /// What to call them, once it is known; so the next three.
    pub member_name: Option<String>,
    /// Their number.
    pub phone_number: Option<String>,
    /// The card that pays, masked.
    pub credit_card_number: Option<String>,
    /// Who is to know where they are.
    pub friend_phone_number: Option<String>,
    /// From where.
    pub start_address: String,
    /// To where.
    pub end_address: String,
    /// Where the dispatch is, in the words of the documents.
    pub call_status: String,
    /// The taxi that has it.
    pub taxi_number: Option<String>,
    /// Company, driver, kind.
    pub taxi_info: Option<String>,
    /// Where the taxi is with it, in the words of the documents.
    pub taxi_status: Option<String>,
    /// What was paid, in won.
    pub pay_amt: Option<i64>,
    /// How it was found.
    pub estimate_score: Option<String>,
}

impl Dispatch {
    /// A call as it is first offered.
    pub fn opened(call: Call) -> Self {
        Self {
            call_id: call.call_id,
            member_id: call.member_id,
            member_name: None,
            phone_number: None,
            credit_card_number: None,
            friend_phone_number: None,
            start_address: call.start_address,
            end_address: call.end_address,
            call_status: DispatchStatus::Called.as_str().to_owned(),
            taxi_number: None,
            taxi_info: None,
            taxi_status: None,
            pay_amt: None,
            estimate_score: None,
        }
    }
}

impl TaxiService {
    /// The service on a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self { store: Store(pool) }
    }

    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<OpenDispatch>(self.clone())
            .with::<CloseDispatch>(self.clone())
            .with::<AttachMember>(self.clone())
            .with::<AssignTaxi>(self.clone())
            .with::<UnassignTaxi>(self.clone())
            .with::<MarkStarted>(self.clone())
            .with::<MarkEnded>(self.clone())
            .with::<ScoreTaxi>(self.clone())
            .with::<RecordTrip>(self.clone())
    }

    /// The row of that call.
    pub async fn get(&self, id: CallId) -> Result<Option<Dispatch>, StoreError> {
        self.store.get(id).await
    }

    /// All rows, by their calls.
    pub async fn list(&self, page: Page) -> Result<Paged<Dispatch>, StoreError> {
        self.store.list(page).await
    }
}

/// Handlers that are one statement each, of the run that asks.
macro_rules! handlers {
    ($($activity:ty => $does:ident -> $output:ty;)+) => {$(
        impl Handler<$activity> for TaxiService {
            async fn handle(
                &self,
                ask: $activity,
                cx: ActivityContext,
            ) -> Result<$output, Failure<Never>> {
                Ok(self.store.$does(&ask, &cx.run).await?)
            }
        }
    )+};
}

handlers! {
    OpenDispatch => open -> ();
    CloseDispatch => close -> ();
    AttachMember => attach -> ();
    AssignTaxi => assign -> ();
    UnassignTaxi => unassign -> ();
    MarkStarted => start -> ();
    MarkEnded => end -> ();
    ScoreTaxi => score -> ();
    RecordTrip => record -> TripCount;
}
