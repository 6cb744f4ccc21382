//! The bike service: which bikes there are, and who holds which.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::bike::{BikeId, FreeBike, HoldBike, NoBike};
use sqlx::PgPool;

use self::store::{Standing, Store};
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct BikeService(Store);

/// A bike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bike {
    /// The bike.
    pub bike_id: BikeId,
    /// Its colour, as the administrator wrote it.
    pub color: String,
    /// Since when, as the administrator wrote it.
    pub registered_date: String,
    /// Whether somebody has it.
    pub is_reserved: bool,
}

/// What the administrator says of a new bike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// See [`Bike::color`].
    pub color: String,
    /// See [`Bike::registered_date`].
    pub registered_date: String,
    /// A second registration of the same key is the first.
    pub key: Option<String>,
}

impl BikeService {
    /// On a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// Registers a bike, and says which; none when the key was used for another one.
    pub async fn register(&self, new: &Registration) -> Result<Option<BikeId>, StoreError> {
        if let Some(id) = self.0.register(new).await? {
            return Ok(Some(id));
        }
        self.0.registered(new).await
    }

    /// Changes what is said of a bike; answers it as it is then, if it is there.
    pub async fn change(
        &self,
        id: BikeId,
        color: Option<&str>,
        registered_date: Option<&str>,
    ) -> Result<Option<Bike>, StoreError> {
        self.0.change(id, color, registered_date).await?;
        self.0.get(id).await
    }

    /// The bike of that id.
    pub async fn get(&self, id: BikeId) -> Result<Option<Bike>, StoreError> {
        self.0.get(id).await
    }

    /// All bikes, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Bike>, StoreError> {
        self.0.list(page).await
    }
}

impl Handler<HoldBike> for BikeService {
    async fn handle(&self, ask: HoldBike, cx: ActivityContext) -> Result<(), Failure<NoBike>> {
        if !self.0.hold(ask, &cx.run).await? {
            // Written down: a request that is still on its way must not get the bike after all.
            self.0.refuse(ask, &cx.run).await?;
        }
        match self.0.standing(ask.reserve_no, &cx.run).await? {
            Standing::Held => Ok(()),
            Standing::Refused(error) => Err(Failure::Refused(error)),
        }
    }
}

impl Handler<FreeBike> for BikeService {
    async fn handle(&self, ask: FreeBike, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.0.free(ask.reserve_no, &cx.run).await?)
    }
}
