//! The reservation service: who reserved which bike, and what became of it.

mod store;

use chrono::{DateTime, Utc};
use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::bike::{
    BikeId, CancelReservation, CreateReservation, MarkReservation, ReserveNo, ReserveStatus, Taken,
    UserId,
};
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct ReservationService(Store);

/// A reservation as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The reservation.
    pub reserve_no: ReserveNo,
    /// For whom.
    pub user_id: UserId,
    /// Which bike.
    pub bike_id: BikeId,
    /// Where it is; none until that is decided.
    pub status: Option<ReserveStatus>,
    /// Since when the bike is theirs, if it ever was.
    pub reserved_at: Option<DateTime<Utc>>,
    /// Since when it is back.
    pub returned_at: Option<DateTime<Utc>>,
}

/// A status of before it is decided, as the guards write it.
const CREATED: &str = "created";
const STARTED: &str = ReserveStatus::Started.as_str();

/// The statuses from which a reservation may be marked with this one. Never from one that is
/// final, so a mark that comes late, or twice, changes nothing.
fn guard(status: ReserveStatus) -> &'static [&'static str] {
    match status {
        ReserveStatus::Started | ReserveStatus::Rejected => &[CREATED],
        ReserveStatus::Returned => &[STARTED],
        ReserveStatus::Cancelled => &[CREATED, STARTED],
    }
}

impl ReservationService {
    /// On a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// The reservation of that number.
    pub async fn get(&self, id: ReserveNo) -> Result<Option<Reservation>, StoreError> {
        self.0.get(id).await
    }

    /// All reservations, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Reservation>, StoreError> {
        self.0.list(page).await
    }
}

impl Handler<CreateReservation> for ReservationService {
    async fn handle(
        &self,
        ask: CreateReservation,
        cx: ActivityContext,
    ) -> Result<(), Failure<Taken>> {
        let ours = self.0.create(&ask.reservation, &cx.run).await?;
        if ours { Ok(()) } else { Err(Failure::Refused(Taken)) }
    }
}

impl Handler<MarkReservation> for ReservationService {
    async fn handle(
        &self,
        ask: MarkReservation,
        cx: ActivityContext,
    ) -> Result<(), Failure<Never>> {
        Ok(self.0.mark(ask.reserve_no, &cx.run, ask.status, guard(ask.status)).await?)
    }
}

impl Handler<CancelReservation> for ReservationService {
    async fn handle(
        &self,
        ask: CancelReservation,
        cx: ActivityContext,
    ) -> Result<(), Failure<Never>> {
        let status = ReserveStatus::Cancelled;
        self.0.cancel_uncreated(ask.reserve_no, &cx.run).await?;
        Ok(self.0.mark(ask.reserve_no, &cx.run, status, guard(status)).await?)
    }
}
