use std::time::{Duration, Instant};

use crate::books;
use crate::load::{Load, slow_down};
use crate::process::until;
use crate::random::{Random, setting};
use crate::town::{Api, Town};

const RIDERS: u64 = 6;
const KILLS: u64 = 20;
const SEED: u64 = 20_261_121;

/// With the shortest lease, so that more kills fit into the time.
const LEASE: &str = "1s";

#[tokio::test(flavor = "multi_thread")]
async fn under_kill_9_again_and_again_every_call_comes_to_its_end_and_every_won_is_accounted_for() {
    let (seed, kills) = (setting("HANSOM_CRASH_SEED", SEED), setting("HANSOM_CRASH_KILLS", KILLS));
    println!("HANSOM_CRASH_SEED={seed} HANSOM_CRASH_KILLS={kills}");
    let town = Town::new().await;
    let mut random = Random(seed);
    let load = Load::start(RIDERS, seed);
    let mut server = town.serve(LEASE).await;
    let (mut up, mut back) = (Vec::new(), Vec::new());
    let mut began = Instant::now();
    for _ in 0..kills {
        slow_down(&Api::to(&server.url)).await;
        load.go_to(&[&server.url]);
        // Now and then while it still takes over from the one before.
        let early = random.below(4) == 0;
        if !early {
            load.until_more(1).await;
            back.push(began.elapsed());
            load.until_more(1 + usize::try_from(random.below(8)).expect("a few")).await;
        }
        // The moment itself is the seed's.
        let moment = random.below(if early { 1_500 } else { 250 });
        tokio::time::sleep(Duration::from_millis(moment)).await;
        server.kill();
        began = Instant::now();
        server = town.serve(LEASE).await;
        up.push(server.start);
    }
    slow_down(&Api::to(&server.url)).await;
    load.go_to(&[&server.url]);
    load.until_more(5).await;
    let rides = load.stop().await;
    let api = Api::to(&server.url);
    books::close_all(&town.books, &api, &rides).await;
    let tally = books::check(&town.books, &api, &rides).await;
    println!("{} calls answered under {kills} kills: {tally:?}", rides.len());
    until("all that were killed are buried", async || {
        (town.count("hansom.worker").await == 1).then_some(())
    })
    .await;
    println!("until it listens: {}; until a call is answered: {}", spread(up), spread(back));
    assert!(tally.lost_in >= usize::try_from(kills / 2).expect("a few"), "kills hit nothing");
    assert!(tally.completed > 0 && tally.cancelled > 0, "{tally:?}");
    assert!(tally.not_available > 0 && tally.declined > 0, "{tally:?}");
    server.log.assert_calm();
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let (middle, most) = (times[times.len() / 2], times[times.len() - 1]);
    format!("{} ms in the middle, {} ms at most", middle.as_millis(), most.as_millis())
}
