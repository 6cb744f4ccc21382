//! `/notifies`: who was told what.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::notification::{Feed, Message, NotificationService};
use hansom_activities::page::Paged;
use serde_json::{Value, json};

use super::{OURS, is_ours};
use crate::http::problem::Problem;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};

/// In the words of this system.
struct Told(Message);

impl Resource for Told {
    const KIND: Kind = Kind { one: "notify", many: "notifies" };

    fn id(&self) -> i64 {
        self.0.message_id
    }

    fn body(&self) -> Value {
        let Message { message_id, notify, delivered_at } = &self.0;
        json!({
            "notifyId": message_id,
            "fromPhoneNumber": notify.from,
            "toPhoneNumber": notify.to,
            "message": notify.message,
            "channel": notify.channel,
            "deliveredAt": delivered_at,
        })
    }
}

pub(super) async fn list(
    State(messages): State<NotificationService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    let Paged { items, total } = messages.list(Feed { system: OURS, to: None }, page).await?;
    let items = items.into_iter().map(Told).collect();
    Ok(hal::many(&base, page, &Paged { items, total }))
}

pub(super) async fn show(
    State(messages): State<NotificationService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let message = messages.get(id).await?;
    let message = message.filter(|message| is_ours(&message.notify.about));
    let told = message.map(|message| hal::one(&base, &Told(message)));
    told.ok_or_else(|| hal::not_found::<Told>(id))
}
