//! `/kakaotalks`: what was sent to whom.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::notification::{Feed, Message, NotificationService};
use hansom_activities::page::Paged;
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::systems::hal::{self, Base, Kind, Pages, Params, Resource};

/// Ids of the workflows of this system begin with this word.
const OURS: &str = "move";

/// In the words of this system.
struct Talk(Message);

impl Resource for Talk {
    const KIND: Kind = Kind { one: "kakaotalk", many: "kakaotalks" };

    fn id(&self) -> i64 {
        self.0.message_id
    }

    fn body(&self) -> Value {
        let Message { notify, delivered_at, .. } = &self.0;
        json!({
            "about": notify.about,
            "tel": notify.to,
            "message": notify.message,
            "deliveredAt": delivered_at,
        })
    }
}

/// All of them, in the order in which they were delivered; with `tel`, those to that number.
pub(super) async fn list(
    State(messages): State<NotificationService>,
    base: Base,
    Pages(page): Pages,
    Params(query): Params,
) -> Result<Response, Problem> {
    let to = query.iter().find(|(name, _)| name == "tel").map(|(_, tel)| tel.as_str());
    let Paged { items, total } = messages.list(Feed { system: OURS, to }, page).await?;
    let items = items.into_iter().map(Talk).collect();
    Ok(hal::many(&base, page, &Paged { items, total }))
}
