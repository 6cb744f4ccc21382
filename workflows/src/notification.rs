//! What a saga needs of the notification service, which is shared by all systems.
//!
//! A message must neither hold up nor fail what it is about. So it is sent off as a saga of its
//! own, that goes on alone:
//!
//! ```
//! # use hansom_core::{Ctx, ParentClose};
//! # use hansom_workflows::notification::{Channel, Notice, Notify};
//! # fn body(ctx: &Ctx) {
//! let (from, to, message) = ("02-1234-5678".into(), "010-7202-2664".into(), "hello".into());
//! let notify = Notify { about: "ride.1".into(), channel: Channel::Sms, from, to, message };
//! let child = ctx.child::<Notice>("ride.1.notice.1", &notify);
//! drop(child.on_parent_close(ParentClose::Abandon).spawn());
//! # }
//! ```

use std::time::Duration;

use hansom_core::Workflow;
use hansom_core::{Activity, ActivityOptions, Ctx, Fingerprint, Harmless, Never};
use serde::{Deserialize, Serialize};

use crate::patience::persistent;

/// How a message reaches somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// In the app of the system it is about.
    App,
    /// A text message.
    Sms,
    /// `KakaoTalk`.
    Kakao,
}

impl Channel {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Sms => "sms",
            Self::Kakao => "kakao",
        }
    }

    /// From how it is stored and shown.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::App, Self::Sms, Self::Kakao].into_iter().find(|channel| channel.as_str() == text)
    }
}

/// Tell somebody something, once: a second request of the same step delivers nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// The workflow id of what it is about.
    pub about: String,
    /// How.
    pub channel: Channel,
    /// The number it comes from.
    pub from: String,
    /// The number it goes to.
    pub to: String,
    /// What it says.
    pub message: String,
}

impl Activity for Notify {
    const NAME: &'static str = "notify";
    type Output = ();
    type Error = Never;

    /// For a day: after that nobody wants to hear it any more.
    fn options() -> ActivityOptions {
        ActivityOptions { schedule_to_close: Some(Duration::from_hours(24)), ..persistent() }
    }
}

impl Harmless for Notify {}

/// One message on its way. Completes with whether it is known to have arrived.
pub struct Notice;

impl Workflow for Notice {
    const NAME: &'static str = "notice";
    const ACTIVITIES: &'static [&'static str] = &[Notify::NAME];
    const CODE: Option<Fingerprint> = Some(Fingerprint::of(&[include_bytes!("notification.rs")]));
    type Input = Notify;
    type Output = bool;
    type Error = Never;

    async fn run(ctx: Ctx, notify: Notify) -> Result<bool, Never> {
        Ok(ctx.run(notify).await.is_ok())
    }
}

/// Start the [`Notice`] of that id: for what is told and untold, since an undo has no children.
///
/// To be performed in the engine's own database, exactly once: so it waits for nobody, and
/// whoever was not told the one is not told the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendNotice {
    /// The workflow id of the notice.
    pub id: String,
    /// What it brings.
    pub notify: Notify,
}

impl Activity for SendNotice {
    const NAME: &'static str = "send_notice";
    type Output = ();
    type Error = Never;

    fn options() -> ActivityOptions {
        persistent()
    }
}

impl Harmless for SendNotice {}
