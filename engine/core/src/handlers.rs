//! Handlers by name, with their types erased, and the layers around them.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use crate::{
    Activity, ActivityContext, ActivityOptions, Answers, Attempt, Handler, Payload, UnknownActivity,
};

type BoxAttempt = Pin<Box<dyn Future<Output = Attempt> + Send>>;
type Handle = dyn Fn(&Payload, ActivityContext) -> BoxAttempt + Send + Sync;

/// One attempt on its way to its handler, as a layer sees it ([`Handlers::layered`]).
pub struct Ask {
    /// The name of the activity.
    pub activity: &'static str,
    /// What is asked.
    pub request: Payload,
    /// What its handler may know about it.
    pub cx: ActivityContext,
    inner: Arc<Handle>,
}

impl Ask {
    /// Goes on inwards: to the next layer, or to the handler.
    pub async fn perform(self) -> Attempt {
        (self.inner)(&self.request, self.cx).await
    }
}

/// A handler with its types erased, and what its activity declares.
#[derive(Clone)]
pub struct ErasedHandler {
    /// [`Activity::options`].
    pub options: ActivityOptions,
    /// [`Activity::options_as_undo`].
    pub options_as_undo: ActivityOptions,
    /// What it may answer.
    pub answers: Answers,
    place: Place,
}

/// Where an activity is performed.
#[derive(Clone)]
enum Place {
    Here(Arc<Handle>),
    /// By whoever claims it from this queue.
    Queue(Arc<str>),
}

impl ErasedHandler {
    fn of<A: Activity>(place: Place) -> Self {
        Self {
            options: A::options(),
            options_as_undo: A::options_as_undo(),
            answers: Answers::of::<A>(),
            place,
        }
    }

    fn new<A: Activity, H: Handler<A>>(handler: H) -> Self {
        let handler = Arc::new(handler);
        let handle = move |request: &Payload, cx: ActivityContext| -> BoxAttempt {
            let (handler, ask) = (Arc::clone(&handler), request.decode::<A>());
            Box::pin(async move {
                match ask {
                    Ok(ask) => Attempt::of::<A>(handler.handle(ask, cx).await),
                    Err(error) => Attempt::failed(format!("request of {}: {error}", A::NAME)),
                }
            })
        };
        Self::of::<A>(Place::Here(Arc::new(handle)))
    }

    /// Makes one attempt. Of an activity that is performed elsewhere each fails.
    pub fn handle(&self, request: &Payload, cx: ActivityContext) -> BoxAttempt {
        match &self.place {
            Place::Here(handle) => handle(request, cx),
            Place::Queue(queue) => {
                let reason = format!("it is performed by whoever claims it from `{queue}`");
                Box::pin(std::future::ready(Attempt::failed(reason)))
            }
        }
    }

    /// The queue of an activity that is performed elsewhere.
    pub fn queue(&self) -> Option<&Arc<str>> {
        match &self.place {
            Place::Here(_) => None,
            Place::Queue(queue) => Some(queue),
        }
    }
}

/// Handlers by the name of the activity they perform. Two for one activity are one too many:
/// a worker refuses to start with them, and says which.
#[derive(Clone, Default)]
pub struct Handlers {
    by_name: BTreeMap<&'static str, ErasedHandler>,
    twice: BTreeSet<&'static str>,
}

impl Handlers {
    /// Adds one.
    #[must_use]
    pub fn with<A: Activity>(mut self, handler: impl Handler<A>) -> Self {
        self.add(A::NAME, ErasedHandler::new::<A, _>(handler));
        self
    }

    /// Adds all of `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        others.by_name.into_iter().for_each(|(name, handler)| self.add(name, handler));
        self.twice.extend(others.twice);
        self
    }

    fn add(&mut self, name: &'static str, handler: ErasedHandler) {
        if self.by_name.insert(name, handler).is_some() {
            self.twice.insert(name);
        }
    }

    /// Adds an activity that is performed elsewhere: by workers in any language that claim its
    /// attempts from the queue of its name. Retries and time limits hold as for any other, and
    /// [`ActivityOptions::start_to_close`] counts from the claim.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct TellRider { trip: u64 }
    /// # impl Activity for TellRider { const NAME: &'static str = "tell_rider"; type Output = (); type Error = Never; }
    /// let handlers = Handlers::default().remote::<TellRider>();
    /// assert_eq!(handlers.get("tell_rider").unwrap().queue().unwrap().as_ref(), "tell_rider");
    /// ```
    #[must_use]
    pub fn remote<A: Activity>(self) -> Self {
        self.remote_from::<A>(A::NAME)
    }

    /// As [`Handlers::remote`], from another queue: one queue may serve many activities.
    #[must_use]
    pub fn remote_from<A: Activity>(mut self, queue: &str) -> Self {
        self.add(A::NAME, ErasedHandler::of::<A>(Place::Queue(queue.into())));
        self
    }

    /// The same, but the activity called `name` is performed elsewhere, as if it had been added
    /// with [`Handlers::remote`].
    ///
    /// # Errors
    ///
    /// [`UnknownActivity`], when there is none of that name.
    pub fn made_remote(mut self, name: &str) -> Result<Self, UnknownActivity> {
        let Some(handler) = self.by_name.get_mut(name) else {
            let known = self.names().collect();
            return Err(UnknownActivity { name: name.to_owned(), known });
        };
        handler.place = Place::Queue(name.into());
        Ok(self)
    }

    /// The same, with `layer` around every handler that is performed here and was added before:
    /// each attempt goes through it, and on inwards with [`Ask::perform`] if it says so. The
    /// layer added last is the outermost one. Those that are performed elsewhere are left alone.
    ///
    /// What goes on inwards is told as it is; an answer of the layer's own has to be one that
    /// the activity can give. When the time limit of an attempt is over, the layer's future is
    /// dropped where it waits, as a handler's is.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # use futures_util::future::FutureExt;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge { fare: u64 }
    /// # impl Activity for Charge { const NAME: &'static str = "charge"; type Output = u64; type Error = Never; }
    /// # struct Payments;
    /// # impl Handler<Charge> for Payments {
    /// #     async fn handle(&self, ask: Charge, _: ActivityContext) -> Result<u64, Failure<Never>> { Ok(ask.fare) }
    /// # }
    /// # let cx = |attempt| ActivityContext::new("call-1", "run", Seq(0), Direction::Do, attempt);
    /// let handlers = Handlers::default().with::<Charge>(Payments).layered(|ask: Ask| async move {
    ///     match ask.cx.attempt {
    ///         1 => Attempt::failed(format!("{} is down", ask.activity)),
    ///         _ => ask.perform().await,
    ///     }
    /// });
    ///
    /// let (charge, fare) = (handlers.get("charge").unwrap(), Payload::of(&Charge { fare: 9 }).unwrap());
    /// let first = charge.handle(&fare, cx(1)).now_or_never().unwrap();
    /// let second = charge.handle(&fare, cx(2)).now_or_never().unwrap();
    /// assert_eq!(first, Attempt::failed("charge is down"));
    /// assert_eq!(second, Attempt::Done(Payload::of(&9).unwrap()));
    /// ```
    #[must_use]
    pub fn layered<F, Fut>(mut self, layer: F) -> Self
    where
        F: Fn(Ask) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Attempt> + Send + 'static,
    {
        let layer = Arc::new(layer);
        for (activity, handler) in &mut self.by_name {
            if let Place::Here(inner) = &handler.place {
                let (layer, activity, inner) = (Arc::clone(&layer), *activity, Arc::clone(inner));
                let handle = move |request: &Payload, cx: ActivityContext| -> BoxAttempt {
                    let (request, inner) = (request.clone(), Arc::clone(&inner));
                    Box::pin(layer(Ask { activity, request, cx, inner }))
                };
                handler.place = Place::Here(Arc::new(handle));
            }
        }
        self
    }

    /// The handler of the activity called `name`.
    pub fn get(&self, name: &str) -> Option<&ErasedHandler> {
        self.by_name.get(name)
    }

    /// The names of all activities that have a handler.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// The names of the activities that were given more than one.
    pub fn twice(&self) -> impl Iterator<Item = &'static str> {
        self.twice.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use serde::Deserialize;

    use super::*;
    use crate::{Direction, Failure, Never, Seq};

    #[derive(serde::Serialize, Deserialize)]
    struct Add(u32);
    impl Activity for Add {
        const NAME: &'static str = "add";
        type Output = u32;
        type Error = Never;
    }

    struct Sum;
    impl Handler<Add> for Sum {
        async fn handle(&self, ask: Add, cx: ActivityContext) -> Result<u32, Failure<Never>> {
            Ok(ask.0 + cx.attempt)
        }
    }

    fn told(handlers: &Handlers) -> Attempt {
        let cx = ActivityContext::new("w", "run", Seq(0), Direction::Do, 1);
        let request = Payload::of(&Add(1)).unwrap();
        handlers.get("add").unwrap().handle(&request, cx).now_or_never().unwrap()
    }

    /// Writes its digit behind what comes from further in.
    fn digit(digit: u32) -> impl Fn(Ask) -> Pin<Box<dyn Future<Output = Attempt> + Send>> {
        move |ask| {
            Box::pin(async move {
                match ask.perform().await {
                    Attempt::Done(inner) => {
                        let inner: u32 = inner.decode().unwrap();
                        Attempt::Done(Payload::of(&(inner * 10 + digit)).unwrap())
                    }
                    other => other,
                }
            })
        }
    }

    #[test]
    fn the_layer_added_last_is_the_outermost_and_hears_what_came_from_further_in() {
        let handlers = Handlers::default().with::<Add>(Sum).layered(digit(3)).layered(digit(4));
        assert_eq!(told(&handlers), Attempt::Done(Payload::of(&234).unwrap()));
    }

    #[test]
    fn what_is_performed_elsewhere_has_no_layer_and_what_is_added_later_neither() {
        let never = |_: Ask| -> std::future::Ready<Attempt> { panic!("nobody asked for it") };
        let remote = Handlers::default().remote::<Add>().layered(never);
        assert!(
            matches!(told(&remote), Attempt::Failed { reason, .. } if reason.contains("claims"))
        );
        let later = Handlers::default().layered(never).with::<Add>(Sum);
        assert_eq!(told(&later), Attempt::Done(Payload::of(&2).unwrap()));
    }
}
