use hansom_workflows::anycall_ride::{Member, MemberId};
use sqlx::PgPool;

use super::{Changes, Registered};
use crate::StoreError;
use crate::page::{Page, Paged};

/// `anycall.member`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct Row {
    member_id: i64,
    member_name: String,
    phone_number: String,
    credit_card_number: String,
    friend_phone_number: String,
}

impl From<Row> for Registered {
    fn from(row: Row) -> Self {
        let member = Member {
            name: row.member_name,
            phone_number: row.phone_number,
            card_number: row.credit_card_number,
            friend_phone_number: row.friend_phone_number,
        };
        Self { member_id: MemberId(row.member_id), member }
    }
}

impl Store {
    pub(super) async fn register(&self, member: &Member) -> Result<MemberId, StoreError> {
        let id = sqlx::query_scalar!(
            "insert into anycall.member
                 (member_name, phone_number, credit_card_number, friend_phone_number)
             values ($1, $2, $3, $4) returning member_id",
            member.name,
            member.phone_number,
            member.card_number,
            member.friend_phone_number,
        );
        Ok(MemberId(id.fetch_one(&self.0).await?))
    }

    pub(super) async fn change(
        &self,
        id: MemberId,
        changes: &Changes,
    ) -> Result<Option<Registered>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "update anycall.member set
                 member_name = coalesce($2, member_name),
                 phone_number = coalesce($3, phone_number),
                 credit_card_number = coalesce($4, credit_card_number),
                 friend_phone_number = coalesce($5, friend_phone_number)
             where member_id = $1
             returning *",
            id.0,
            changes.name.as_deref(),
            changes.phone_number.as_deref(),
            changes.card_number.as_deref(),
            changes.friend_phone_number.as_deref(),
        );
        Ok(row.fetch_optional(&self.0).await?.map(Registered::from))
    }

    pub(super) async fn get(&self, id: MemberId) -> Result<Option<Registered>, StoreError> {
        let row = sqlx::query_as!(Row, "select * from anycall.member where member_id = $1", id.0);
        Ok(row.fetch_optional(&self.0).await?.map(Registered::from))
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Registered>, StoreError> {
        let total = sqlx::query_scalar!(r#"select count(*) as "count!" from anycall.member"#);
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            "select * from anycall.member order by member_id limit $1 offset $2",
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        Ok(Paged { items: rows.into_iter().map(Registered::from).collect(), total })
    }
}
