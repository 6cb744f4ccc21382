//! The membership service: who may call, and which card pays.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Handlers};
use hansom_workflows::anycall_ride::{LoadMember, Member, MemberGone, MemberId};
use sqlx::PgPool;

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
    /// What is known of them; without a card the number of it is empty.
    pub member: Member,
}

/// What is to change of a member; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What to call them.
    pub name: Option<String>,
    /// Their own number.
    pub phone_number: Option<String>,
    /// The card that pays.
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
    pub async fn register(&self, member: &Member) -> Result<MemberId, StoreError> {
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
    ) -> Result<Member, Failure<MemberGone>> {
        let member = self.store.get(ask.member_id).await?.map(|row| row.member);
        let can_pay = |member: &Member| !member.card_number.is_empty();
        member.filter(can_pay).ok_or(Failure::Refused(MemberGone))
    }
}
