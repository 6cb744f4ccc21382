//! Riders who call, ride, and change their minds, whatever happens to the servers meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hansom_postgres::testing::PATIENCE;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::process::until;
use crate::random::Random;
use crate::town::{Answer, Api};

/// How long services think, so that a kill at any moment finds attempts under way.
const THINKING: [(&str, u64); 3] = [("call", 5), ("payment", 40), ("drive", 60)];

/// A rider waits so long before a server is asked again that was not there.
const AGAIN: Duration = Duration::from_millis(10);

/// What a rider means to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Ride to the end.
    End,
    /// Cancel, sooner or later.
    Cancel,
    /// Further than any driver goes.
    TooFar,
    /// With a card that is declined.
    Decline,
}

/// What a rider was told.
#[derive(Clone, Debug)]
pub(crate) struct Ride {
    pub(crate) plan: Plan,
    pub(crate) call: i64,
    /// The answer to the call: 201, or a refusal.
    pub(crate) placed: u16,
    /// The answer to the end or the cancel.
    pub(crate) finished: Option<u16>,
}

/// What all riders share.
#[derive(Default)]
struct Street {
    servers: Mutex<Vec<String>>,
    rides: Mutex<Vec<Ride>>,
    over: AtomicBool,
}

/// Riders under way.
pub(crate) struct Load {
    street: Arc<Street>,
    riders: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many riders, who begin when they are told where.
    pub(crate) fn start(riders: u64, seed: u64) -> Self {
        let street = Arc::new(Street::default());
        let rider =
            |number| tokio::spawn(rider(Arc::clone(&street), number, Random(seed + number)));
        let riders = (0..riders).map(rider).collect();
        Self { street, riders }
    }

    /// From now on riders talk to these.
    pub(crate) fn go_to(&self, servers: &[&str]) {
        let servers = servers.iter().map(|server| (*server).to_owned()).collect();
        *self.street.servers.lock().expect("nobody panics with it") = servers;
    }

    /// How many calls have been answered, one way or another.
    pub(crate) fn answered(&self) -> usize {
        self.street.rides.lock().expect("nobody panics with it").len()
    }

    /// Waits until so many more calls have been answered.
    pub(crate) async fn until_more(&self, more: usize) {
        let wanted = self.answered() + more;
        until("riders get answers", async || (self.answered() >= wanted).then_some(())).await;
    }

    /// Lets everybody finish what they are at, and says what they were told.
    pub(crate) async fn stop(self) -> Vec<Ride> {
        self.street.over.store(true, Ordering::Release);
        for rider in self.riders {
            rider.await.expect("a rider gets home");
        }
        self.street.rides.lock().expect("nobody panics with it").clone()
    }
}

/// Makes the services think.
pub(crate) async fn slow_down(api: &Api) {
    for (service, latency) in THINKING {
        api.fault(service, json!({ "latency_ms": latency })).await;
    }
}

fn payment(decline: bool) -> serde_json::Value {
    json!({ "latency_ms": THINKING[1].1, "decline": decline })
}

impl Street {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn server(&self, choice: u64) -> Option<String> {
        let servers = self.servers.lock().expect("nobody panics with it");
        let count = u64::try_from(servers.len()).expect("a few");
        let choice = usize::try_from(choice.checked_rem(count)?).expect("a few");
        servers.get(choice).cloned()
    }

    /// A place among the rides, to be filled in.
    fn note(&self, ride: Ride) -> usize {
        let mut rides = self.rides.lock().expect("nobody panics with it");
        rides.push(ride);
        rides.len() - 1
    }

    fn finished(&self, at: usize, status: u16) {
        self.rides.lock().expect("nobody panics with it")[at].finished = Some(status);
    }
}

async fn rider(street: Arc<Street>, number: u64, mut random: Random) {
    let client = Api::to("");
    while !street.is_over() {
        let Some(server) = street.server(random.next()) else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let plan = match random.below(20) {
            0..10 => Plan::End,
            10..15 => Plan::Cancel,
            15..18 => Plan::TooFar,
            _ => Plan::Decline,
        };
        let Some(ride) = place(&client.at(&server), plan, number, &mut random).await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let at = street.note(ride.clone());
        let leaves = match ride.plan {
            _ if ride.placed != 201 => None,
            Plan::End => Some(false),
            Plan::Cancel => Some(true),
            Plan::TooFar | Plan::Decline => None,
        };
        if let Some(cancels) = leaves {
            let status = finish(&street, &client, ride.call, cancels, &mut random).await;
            street.finished(at, status);
        }
    }
}

/// One call. None when nobody knows what came of it, or that it even has a number.
async fn place(api: &Api, plan: Plan, rider: u64, random: &mut Random) -> Option<Ride> {
    let distance = if plan == Plan::TooFar { 101 } else { 1 + random.below(100) };
    let ask = json!({ "userId": rider, "userName": "nana", "distance": distance });
    if plan == Plan::Decline {
        api.try_fault("payment", payment(true)).await.ok()?;
    }
    let answer = api.post("/calls", ask).await;
    if plan == Plan::Decline {
        // A server that is gone has forgotten its faults.
        let _ = api.try_fault("payment", payment(false)).await;
    }
    let Answer { status, body } = answer.ok()?;
    assert!(matches!(status, 201 | 402 | 503 | 504), "{status}: {body}");
    let call = body["callId"].as_i64()?;
    // Somebody else's card may have been good again too soon.
    let paid = plan == Plan::Decline && status == 201;
    Some(Ride { plan: if paid { Plan::End } else { plan }, call, placed: status, finished: None })
}

/// Ends the ride once the driver is there, or cancels it; as often as it takes.
async fn finish(
    street: &Street,
    client: &Api,
    call: i64,
    cancels: bool,
    random: &mut Random,
) -> u16 {
    let end = Instant::now() + PATIENCE;
    // Cancels are to come at every moment of a ride.
    let mut hurry = Duration::from_millis(random.below(150));
    loop {
        let api = street.server(random.next()).map(|server| client.at(&server));
        let answer = match api {
            Some(api) if cancels => {
                tokio::time::sleep(std::mem::take(&mut hurry)).await;
                api.post("/calls/cancel", json!({ "callId": call })).await.ok()
            }
            Some(api) => arrive(&api, call).await,
            None => None,
        };
        match answer.map(|answer| (answer.status, answer.body)) {
            Some((503, _)) | None => {}
            Some((status @ (200 | 202), _)) => return status,
            Some((status, body)) => panic!("call {call}: {status}: {body}"),
        }
        assert!(Instant::now() < end, "call {call} does not end");
        tokio::time::sleep(AGAIN).await;
    }
}

async fn arrive(api: &Api, call: i64) -> Option<Answer> {
    let view = api.get(&format!("/callViews/{call}")).await.ok()?;
    let drive = view.body["driveId"].as_i64()?;
    api.post("/drives/end", json!({ "driveId": drive })).await.ok()
}
