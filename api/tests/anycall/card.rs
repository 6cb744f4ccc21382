//! The number of a card, which is nobody's business.

use serde_json::{Value, json};

use super::rig::{Rig, accept};

const NUMBER: &str = "4929-1357-2468-8642";
/// What nobody may be shown: any two neighbouring groups, together or beside a mask. Four digits
/// alone would be found in times and ids, which are full of digits.
const SECRET: [&str; 10] = [
    "4929-1357",
    "49291357",
    "1357-2468",
    "13572468",
    "2468-8642",
    "24688642",
    "*1357",
    "1357-*",
    "*-1357",
    "2468-*",
];

fn secret(text: &str) -> Option<&'static str> {
    SECRET.into_iter().find(|part| text.contains(part))
}

/// The end of a masked number, or of a token.
fn shows_the_end(shown: &Value) -> bool {
    let text = shown.to_string();
    text.contains("****-8642") || text.contains("_8642")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_a_card_is_in_no_table_but_the_membership_s_and_in_no_answer() {
    let rig = Rig::start().await;
    let member = rig.member(NUMBER).await;
    assert_eq!(rig.call(member).await.status, 201);
    rig.until("/taxis/1", |taxi| !taxi["memberName"].is_null()).await;
    assert_eq!(rig.patch("/taxis/1", accept("1")).await.status, 200);
    let start = json!({ "taxiStatus": "운행시작" });
    assert_eq!(rig.patch("/taxis/1", start).await.status, 200);
    // Declined, so that the card is looked up again.
    rig.fault("payment", json!({ "decline": true })).await;
    assert_eq!(rig.end(15_000).await.status, 402);
    rig.fault("payment", json!({})).await;
    assert_eq!(rig.end(15_000).await.status, 200);
    let review = json!({ "callStatus": "서비스평가", "estimateScore": "5" });
    assert_eq!(rig.patch("/calls/1", review).await.status, 200);
    assert_eq!(rig.closed(1).await, "completed");

    let digits = NUMBER.replace('-', "");
    for part in [NUMBER, &NUMBER[..14], &NUMBER[5..]] {
        assert_eq!(rig.tables_with(part).await, ["anycall.member"], "{part}");
    }
    for part in [&digits, &digits[..8], &digits[4..]] {
        assert!(rig.tables_with(part).await.is_empty(), "{part}");
    }
    // The search finds what is there: the token, in the history as well.
    let history = rig.get("/v1/workflows/anycall.call.1/history").await.body.to_string();
    let token = history.split('"').find(|text| text.starts_with("card_")).expect("a token");
    assert!(token.starts_with("card_") && token.ends_with("_8642"), "{token}");
    let held = rig.tables_with(token).await;
    assert_eq!(held, ["anycall.member", "hansom.history", "payment.entry"]);

    let paid = rig.get("/payments/1").await.body;
    assert_eq!(paid["creditCardNumber"], "****-****-****-8642");
    for path in [
        "/memberShips",
        "/memberShips/1",
        "/taxis",
        "/taxis/1",
        "/payments",
        "/taxiServiceInfos",
        "/taxiServiceInfos/1",
        "/v1/workflows/anycall.call.1/history",
        "/v1/views/taxi_service_infos",
        "/page/feed/anycall/now",
    ] {
        let shown = rig.until(path, shows_the_end).await;
        let text = shown.to_string();
        assert_eq!(secret(&text), None, "{path}: {text}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_of_a_card_is_not_taken_for_one() {
    let rig = Rig::start().await;
    let member = rig.member(NUMBER).await;
    let path = format!("/memberShips/{member}");
    let shown = rig.get(&path).await.body;
    assert_eq!(shown["creditCardNumber"], "****-****-****-8642");
    let again = rig.patch(&path, shown).await;
    assert_eq!((again.status, &again.body["field"]), (400, &json!("/creditCardNumber")));
    assert_eq!(rig.tables_with(NUMBER).await, ["anycall.member"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_refused_is_not_repeated() {
    let rig = Rig::start().await;
    let member = rig.member(NUMBER).await;
    for given in [
        json!([NUMBER]),
        json!({ "number": NUMBER }),
        json!("4929-1357-2468-864*"),
        json!(NUMBER.repeat(14)),
    ] {
        let body = json!({ "memberName": "nana", "phoneNumber": "1", "creditCardNumber": given });
        let refused = [
            rig.post("/memberShips", body.clone()).await,
            rig.patch(&format!("/memberShips/{member}"), body).await,
        ];
        for answer in refused {
            assert_eq!((answer.status, &answer.body["field"]), (400, &json!("/creditCardNumber")));
            assert_eq!(secret(&answer.body.to_string()), None);
        }
    }
    rig.stop().await;
}
