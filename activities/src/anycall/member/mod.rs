//! The membership service: who may call, and which card pays. Nobody else is told its number.

mod card;
mod store;

use hansom_core::{ActivityContext, Failure, Handler, Handlers};
use hansom_workflows::anycall_ride::{LoadMember, Member, MemberGone, MemberId, Rider};
use hansom_workflows::payment::Payer;
use sqlx::PgPool;

pub use self::card::masked_payer;
use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct MemberService {
    store: Store,
}

/// A member, with their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The member.
    pub member_id: MemberId,
    /// What others may know of them; without a card there is none to show.
    pub member: Member,
    /// Their card, if they have one.
    pub payer: Option<Payer>,
}

/// Who wants to be a member.
#[derive(Clone, Debug)]
pub struct Registration {
    /// What to call them.
    pub name: String,
    /// Their own number.
    pub phone_number: String,
    /// The number of the card that pays; empty when they have none.
    pub card_number: String,
    /// Who is to know where they are; empty when nobody is.
    pub friend_phone_number: String,
}

/// What is to change of a member; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What to call them.
    pub name: Option<String>,
    /// Their own number.
    pub phone_number: Option<String>,
    /// The number of the card that pays.
    pub card_number: Option<String>,
    /// Who is to know where they are.
    pub friend_phone_number: Option<String>,
}

impl MemberService {
    /// The service on a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self { store: Store(pool) }
    }

    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default().with::<LoadMember>(self.clone())
    }

    /// Registers a member.
    pub async fn register(&self, member: &Registration) -> Result<Registered, StoreError> {
        self.store.register(member).await
    }

    /// Changes a member; answers them as they are then, if they are there.
    pub async fn change(
        &self,
        id: MemberId,
        changes: &Changes,
    ) -> Result<Option<Registered>, StoreError> {
        self.store.change(id, changes).await
    }

    /// The member of that number.
    pub async fn get(&self, id: MemberId) -> Result<Option<Registered>, StoreError> {
        self.store.get(id).await
    }

    /// All members, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Registered>, StoreError> {
        self.store.list(page).await
    }
}

impl Handler<LoadMember> for MemberService {
    async fn handle(
        &self,
        ask: LoadMember,
        _: ActivityContext,
    ) -> Result<Rider, Failure<MemberGone>> {
        let found = self.store.get(ask.member_id).await?;
        let rider = found.and_then(|Registered { member, payer, .. }| {
            payer.map(|payer| Rider { member, payer })
        });
        rider.ok_or(Failure::Refused(MemberGone))
    }
}
