//! What the customer hears of an order by `KakaoTalk`.

use super::contract::{Mover, Order};
use super::status::{AssignmentStatus, OrderStatus, RequestStatus};
use crate::notification::{Channel, Notify, SendNotice};

const FROM: &str = "move24mall";

/// One message of the feed of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News<'a> {
    /// The manager has it, 호출중.
    Requested,
    /// Movers come, 호출확정.
    Confirmed,
    /// Who comes, 할당확정.
    Assigned(&'a Mover),
    /// It is cancelled, and whoever was to come does not.
    Cancelled,
}

impl News<'_> {
    /// The message, and the workflow that brings it: one of each for every order.
    pub(super) fn of(self, order: &Order) -> SendNotice {
        let about = order.order_id.workflow_id();
        let (name, message) = match self {
            Self::Requested => ("requested", summary(RequestStatus::Calling.as_str(), order)),
            Self::Confirmed => ("confirmed", summary(OrderStatus::Confirmed.as_str(), order)),
            Self::Assigned(mover) => ("assigned", assigned(mover)),
            Self::Cancelled => ("cancelled", summary(OrderStatus::Cancelled.as_str(), order)),
        };
        let id = format!("{about}.{name}");
        let (from, to) = (FROM.to_owned(), order.tel.clone());
        SendNotice { id, notify: Notify { about, channel: Channel::Kakao, from, to, message } }
    }
}

fn summary(status: &str, order: &Order) -> String {
    format!("{status} : {} {}원", order.location, order.cost.0)
}

pub(super) fn assigned(mover: &Mover) -> String {
    let status = AssignmentStatus::Assigned.as_str();
    format!("{status} : {} {} {}", mover.name, mover.tel, mover.plate)
}
