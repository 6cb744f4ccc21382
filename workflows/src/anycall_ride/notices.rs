//! What a ride tells whom. Each message is a saga of its own: none holds up the ride.

use hansom_core::{ChildWorkflow, Committed, Ctx, ParentClose};

use super::{Call, CallId};
use crate::notification::{Channel, Notice, Notify};

/// Where all of it comes from.
const FROM: &str = "02-1234-5678";

/// Still no taxi.
pub(super) const SEARCHING: &str = "배차 중입니다";
/// None came.
pub(super) const NO_TAXI: &str = "배차되지 않아 호출이 취소되었습니다";
/// One was assigned, and did not come.
pub(super) const NO_SHOW: &str = "배정된 택시가 오지 않아 호출이 취소되었습니다";
/// Nobody would pay.
pub(super) const NO_MEMBER: &str = "회원정보 또는 결제카드가 없어 호출이 취소되었습니다";
/// Paid.
pub(super) const PAID: &str = "택시비용 결제요청 되었습니다";
/// For those who ride often.
pub(super) const PROMOTION: &str =
    "이용해 주셔서 감사합니다 : 다음 이용 할인 쿠폰이 발급되었습니다";

pub(super) fn assigned(taxi_info: &str) -> String {
    format!("택시가 배정되었습니다 : {taxi_info}")
}

pub(super) fn started(taxi_info: &str) -> String {
    format!("택시운행이 시작되었습니다 : {taxi_info}")
}

pub(super) fn ended(taxi_info: &str) -> String {
    format!("택시운행이 종료되었습니다 : {taxi_info}")
}

/// Somebody who is told.
pub(super) struct Person {
    call_id: CallId,
    channel: Channel,
    number: String,
}

/// Where a message may be sent off from.
pub(super) trait Sends {
    fn child(&self, id: &str, notify: &Notify) -> ChildWorkflow<Notice>;
}

impl Sends for Ctx {
    fn child(&self, id: &str, notify: &Notify) -> ChildWorkflow<Notice> {
        Self::child(self, id, notify)
    }
}

impl Sends for Committed {
    fn child(&self, id: &str, notify: &Notify) -> ChildWorkflow<Notice> {
        Self::child(self, id, notify)
    }
}

impl Person {
    /// Who called, in the app.
    pub(super) fn customer(call: &Call) -> Self {
        let number = call.phone_number.clone();
        Self { call_id: call.call_id, channel: Channel::App, number }
    }

    /// Who is to know where they are, by text message; nobody when the number is empty.
    pub(super) fn friend(call: &Call, number: &str) -> Option<Self> {
        let friend =
            Self { call_id: call.call_id, channel: Channel::Sms, number: number.to_owned() };
        (!number.is_empty()).then_some(friend)
    }

    /// Sends a message off, which goes on alone; `what` tells it from the others of this ride.
    pub(super) fn tell(&self, ctx: &impl Sends, what: &str, message: &str) -> Message {
        let notify = Notify {
            about: self.call_id.workflow_id(),
            channel: self.channel,
            from: FROM.to_owned(),
            to: self.number.clone(),
            message: message.to_owned(),
        };
        let id = format!("{}.{what}", notify.about);
        Message(ctx.child(&id, &notify).on_parent_close(ParentClose::Abandon).spawn())
    }
}

/// A message on its way.
pub(super) struct Message(ChildWorkflow<Notice>);

impl Message {
    /// Waits until it has arrived, or never will; dropped before, it is called back.
    pub(super) async fn arrival(self) {
        let mut passing = Passing(Some(self));
        if let Some(Self(notice)) = &mut passing.0 {
            // However it ended: there is nothing to be done about it.
            drop(notice.await);
        }
        passing.0 = None;
    }
}

/// A message that nobody wants to hear any more when it is dropped.
struct Passing(Option<Message>);

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(Message(notice)) = &self.0 {
            notice.cancel();
        }
    }
}
