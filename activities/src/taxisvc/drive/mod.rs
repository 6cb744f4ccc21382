//! The drive service: finds a driver, who is made up, and keeps the drives.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::taxi_call::{
    self, CallId, CompleteDrive, DriveId, DriveNotAvailable, Fare, ReleaseDrive, RequestDrive,
};
use sqlx::PgPool;

use self::store::{Request, Store};
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct DriveService {
    store: Store,
}

/// A drive as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// The drive.
    pub drive_id: DriveId,
    /// What it is for.
    pub call_id: CallId,
    /// The driver.
    pub driver_name: String,
    /// The number plate.
    pub taxi_num: String,
    /// What it is worth.
    pub fare: Fare,
    /// Where it is.
    pub status: DriveStatus,
}

/// Where a drive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveStatus {
    /// Under way.
    Start,
    /// Arrived.
    End,
    /// Not available, or let go.
    RequestCancel,
}

impl DriveStatus {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::RequestCancel => "requestCancel",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Start, Self::End, Self::RequestCancel].into_iter().find(|s| s.as_str() == text)
    }
}

/// No driver goes further than this is worth.
const MOST: Fare = Fare(1_000_000);

/// The plate of the driver who takes this call: the first four digits of its number times 1111.
fn taxi_num(call: CallId) -> String {
    (i128::from(call.0) * 1111).to_string().chars().take(4).collect()
}

impl DriveService {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { store: Store(pool) }
    }

    /// The drive of that id.
    pub async fn get(&self, id: DriveId) -> Result<Option<Drive>, StoreError> {
        self.store.get(id).await
    }

    /// All drives, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Drive>, StoreError> {
        self.store.list(page).await
    }
}

async fn request(
    store: &Store,
    ask: RequestDrive,
    run: &str,
) -> Result<taxi_call::Drive, Failure<DriveNotAvailable>> {
    let taxi_num = taxi_num(ask.call_id);
    let (status, event) = if ask.fare > MOST {
        (DriveStatus::RequestCancel, "DriveNotAvailavled")
    } else {
        (DriveStatus::Start, "DriveStarted")
    };
    let driver_name = format!("driver{taxi_num}");
    let asked = Request { run, driver_name: &driver_name, taxi_num: &taxi_num, fare: ask.fare };
    let drive_id = store.request(ask.call_id, asked, status.as_str(), event).await?;
    if let (Some(drive_id), DriveStatus::Start) = (drive_id, status) {
        return Ok(taxi_call::Drive { drive_id, driver_name, taxi_num });
    }
    match store.of_call(ask.call_id, run).await? {
        Some(Drive { status: DriveStatus::RequestCancel, .. }) | None => {
            Err(Failure::Refused(DriveNotAvailable))
        }
        Some(Drive { drive_id, driver_name, taxi_num, .. }) => {
            Ok(taxi_call::Drive { drive_id, driver_name, taxi_num })
        }
    }
}

impl Handler<RequestDrive> for DriveService {
    async fn handle(
        &self,
        ask: RequestDrive,
        cx: ActivityContext,
    ) -> Result<taxi_call::Drive, Failure<DriveNotAvailable>> {
        request(&self.store, ask, &cx.run).await
    }
}

impl Handler<ReleaseDrive> for DriveService {
    async fn handle(&self, ask: ReleaseDrive, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.store.release(ask.call_id, &cx.run).await?)
    }
}

impl Handler<CompleteDrive> for DriveService {
    async fn handle(&self, ask: CompleteDrive, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.store.complete(ask.call_id, &cx.run).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plate_is_the_first_four_digits_and_not_unique() {
        let plates = [1, 2, 3, 10, i64::MAX].map(|id| taxi_num(CallId(id)));
        assert_eq!(plates, ["1111", "2222", "3333", "1111", "1024"]);
    }
}
