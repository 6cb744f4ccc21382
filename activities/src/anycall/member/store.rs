use hansom_workflows::anycall_ride::{Member, MemberId};
use hansom_workflows::payment::Payer;
use sqlx::PgPool;

use super::{Changes, Registered, Registration, card};
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
    card_token: Option<String>,
}

impl From<Row> for Registered {
    fn from(row: Row) -> Self {
        let has_card = !row.credit_card_number.is_empty();
        let member = Member {
            name: row.member_name,
            phone_number: row.phone_number,
            masked_card: card::masked(&row.credit_card_number),
            friend_phone_number: row.friend_phone_number,
        };
        let payer = row.card_token.filter(|_| has_card).map(Payer);
        Self { member_id: MemberId(row.member_id), member, payer }
    }
}

impl Store {
    pub(super) async fn register(&self, member: &Registration) -> Result<Registered, StoreError> {
        let token = card::token(&member.card_number);
        let row = sqlx::query_as!(
            Row,
            "insert into anycall.member
                 (member_name, phone_number, credit_card_number, friend_phone_number, card_token)
             values ($1, $2, $3, $4, $5)
             returning *",
            member.name,
            member.phone_number,
            member.card_number,
            member.friend_phone_number,
            token.0,
        );
        Ok(row.fetch_one(&self.0).await?.into())
    }

    pub(super) async fn change(
        &self,
        id: MemberId,
        changes: &Changes,
    ) -> Result<Option<Registered>, StoreError> {
        let token = changes.card_number.as_deref().map(card::token);
        let row = sqlx::query_as!(
            Row,
            "update anycall.member set
                 member_name = coalesce($2, member_name),
                 phone_number = coalesce($3, phone_number),
                 credit_card_number = coalesce($4, credit_card_number),
                 card_token = case when coalesce($4, credit_card_number) = credit_card_number
                     then card_token else $6 end,
                 friend_phone_number = coalesce($5, friend_phone_number)
             where member_id = $1
             returning *",
            id.0,
            changes.name.as_deref(),
            changes.phone_number.as_deref(),
            changes.card_number.as_deref(),
            changes.friend_phone_number.as_deref(),
            token.map(|token| token.0),
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
