use hansom_activities::anycall::member::{Changes, MemberService, Registration};
use hansom_workflows::anycall_ride::{LoadMember, MemberGone, MemberId};

use super::{ask, services};

/// As a binary registers that knows nothing of tokens.
const REGISTER: &str = "insert into anycall.member
    (member_name, phone_number, credit_card_number, friend_phone_number)
    values ('nana', '1', $1, '') returning member_id";

/// As such a one changes the number of a card.
const CHANGE: &str = "update anycall.member set credit_card_number = $2 where member_id = $1";

#[tokio::test]
async fn who_is_registered_by_the_version_before_rides_with_a_card_and_not_without() {
    let (pool, _database) = services().await;
    let members = MemberService::new(pool.clone());
    let register = async |card: &str| {
        let id = sqlx::query_scalar(REGISTER).bind(card).fetch_one(&pool).await;
        MemberId(id.expect("they are registered"))
    };
    let change = async |id: MemberId, card: &str| {
        let changed = sqlx::query(CHANGE).bind(id.0).bind(card).execute(&pool).await;
        assert_eq!(changed.expect("they are changed").rows_affected(), 1);
    };
    let load = |id| ask(&members, ("run", 1), LoadMember { member_id: id });
    let (with, without) = (register("1234-5678-9012-3456").await, register("").await);
    assert!(load(with).await.is_ok());
    assert_eq!(load(without).await, Err(MemberGone));

    let card = |card: &str| Changes { card_number: Some(card.to_owned()), ..Changes::default() };
    members.change(with, &card("")).await.expect("it answers");
    assert_eq!(load(with).await, Err(MemberGone), "the card is given back");

    // Registered by this version, and given a card by the one before.
    let registration = Registration {
        name: "nana".to_owned(),
        phone_number: "1".to_owned(),
        card_number: String::new(),
        friend_phone_number: String::new(),
    };
    let ours = members.register(&registration).await.expect("it answers");
    assert_eq!(ours.payer, None);
    for id in [ours.member_id, with, without] {
        change(id, "1234-5678-9012-3456").await;
        assert!(load(id).await.is_ok(), "{id:?}");
    }
}
