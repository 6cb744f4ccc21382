//! `/memberShips`: register, look, change. No saga: each is one row.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::anycall::member::{Changes, MemberService, Registered, Registration};
use hansom_workflows::anycall_ride::MemberId;
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::systems::fields::{CARD, Fields};
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};

impl Resource for Registered {
    const KIND: Kind = Kind { one: "memberShip", many: "memberShips" };

    fn id(&self) -> i64 {
        self.member_id.0
    }

    fn body(&self) -> Value {
        json!({
            "memberId": self.member_id,
            "memberName": self.member.name,
            "phoneNumber": self.member.phone_number,
            CARD: self.member.masked_card,
            "friendPhoneNumber": self.member.friend_phone_number,
        })
    }
}

pub(super) async fn list(
    State(members): State<MemberService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &members.list(page).await?))
}

pub(super) async fn show(
    State(members): State<MemberService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let member = members.get(MemberId(id)).await?;
    member.map(|member| hal::one(&base, &member)).ok_or_else(|| hal::not_found::<Registered>(id))
}

pub(super) async fn register(
    State(members): State<MemberService>,
    base: Base,
    fields: Fields,
) -> Result<Response, Problem> {
    let member = Registration {
        name: fields.needed("memberName")?,
        phone_number: fields.needed("phoneNumber")?,
        card_number: card(&fields)?,
        friend_phone_number: fields.text("friendPhoneNumber")?,
    };
    Ok(hal::created(&base, &members.register(&member).await?))
}

/// What is not given stays as it is.
pub(super) async fn change(
    State(members): State<MemberService>,
    base: Base,
    Id(id): Id,
    fields: Fields,
) -> Result<Response, Problem> {
    let given = |key| fields.has(key).then(|| fields.text(key)).transpose();
    let changes = Changes {
        name: given("memberName")?,
        phone_number: given("phoneNumber")?,
        card_number: fields.has(CARD).then(|| card(&fields)).transpose()?,
        friend_phone_number: given("friendPhoneNumber")?,
    };
    let member = members.change(MemberId(id), &changes).await?;
    member.map(|member| hal::one(&base, &member)).ok_or_else(|| hal::not_found::<Registered>(id))
}

/// The number of a card; empty when there is none. What was shown of one is no number.
fn card(fields: &Fields) -> Result<String, Problem> {
    let card = fields.text(CARD)?;
    if card.contains('*') { Err(fields.wrong(CARD, "must not be masked")) } else { Ok(card) }
}
