//! Another body meets the runs of the one before.

use super::*;

activity!(Bill { fare: u32 }, "bill", u32, No);
activity!(ChargeMore { fare: u32, tip: u32 }, "charge", u32, No);
activity!(ChargeNamed { fare: u32 }, "charge", String, No);
activity!(Park {}, "park", u32, No);

trip!(Same, [Arrived], u32, |ctx, fare| {
    let charge = ctx.run(Charge { fare }).undo(Refund {});
    let total = charge.await? + ctx.run(Assign {}).undo(Release {}).await?;
    match ctx.timeout(PATIENCE, ctx.signals::<Arrived>().next()).await {
        Ok(_) => Ok(total + ctx.pivot().run(Drive {}).await),
        Err(_) => Err(ActivityError::Refused(No)),
    }
});

trip!(Renamed, [Arrived], u32, |ctx, fare| {
    ctx.run(Bill { fare }).undo(Refund {}).await?;
    ctx.run(Assign {}).undo(Release {}).await
});

trip!(Swapped, [Arrived], u32, |ctx, fare| {
    ctx.run(Assign {}).undo(Release {}).await?;
    ctx.run(Charge { fare }).undo(Refund {}).await
});

trip!(Tipped, [Arrived], u32, |ctx, fare| {
    ctx.run(ChargeMore { fare, tip: 0 }).undo(Refund {}).await
});

trip!(OtherUndo, [Arrived], u32, |ctx, fare| { ctx.run(Charge { fare }).undo(Release {}).await });

trip!(Shorter, [Arrived], u32, |ctx, fare| { ctx.run(Charge { fare }).undo(Refund {}).await });

trip!(Paperless, [Arrived], u32, |ctx, fare| {
    ctx.run(ChargeNamed { fare }).undo(Refund {}).await?;
    ctx.run(Assign {}).undo(Release {}).await
});

trip!(Panics, [Arrived], u32, |ctx, fare| {
    ctx.run(Charge { fare }).undo(Refund {}).await?;
    ctx.run(Assign {}).undo(Release {}).await?;
    panic!("no driver {fare}")
});

trip!(Named, [Arrived], String, |ctx, fare| {
    let fare = fare.len().try_into().unwrap();
    ctx.run(Charge { fare }).undo(Refund {}).await
});

trip!(Parking, [Arrived], u32, |ctx, fare| {
    ctx.run(Charge { fare }).undo(Refund {}).await?;
    ctx.run(Assign {}).undo(Release {}).await?;
    let arrivals = ctx.signals::<Arrived>();
    let arrived = ctx.timeout(PATIENCE, arrivals.next());
    let (_, parked) = ctx.join(arrived, ctx.run(Park {}).undo(Refund {})).await;
    Ok(parked.unwrap())
});

trip!(Guarded, [Arrived], u32, |ctx, fare| {
    let paid = ctx.run(Charge { fare }).undo(Refund {}).await?;
    if ctx.patched("park-first") {
        ctx.run(Park {}).undo(Refund {}).await?;
    }
    let driver = ctx.run(Assign {}).undo(Release {}).await?;
    let arrivals = ctx.signals::<Arrived>();
    let waited = ctx.timeout(PATIENCE, arrivals.next()).await;
    waited.map_err(|_| ActivityError::Refused(No))?;
    Ok(paid + driver + ctx.pivot().run(Drive {}).await)
});

trip!(Unguarded, [Arrived], u32, |ctx, fare| {
    ctx.run(Charge { fare }).undo(Refund {}).await?;
    ctx.run(Park {}).undo(Refund {}).await?;
    ctx.run(Assign {}).undo(Release {}).await
});

fn against<W: Workflow>(script: &Script<Trip>) -> CheckedRun {
    judge(&version::<W>(), &stored(script))
}

#[test]
fn the_same_body_in_other_words_fits_every_run() {
    let arrived = waiting().signal(&Arrived {});
    for script in [charging(), assigning(), waiting(), arrived, compensating()] {
        assert_eq!(verdict_of::<Same>(&script), Verdict::Fits);
        assert_eq!(verdict_of::<Trip>(&script), Verdict::Fits);
    }
}

#[test]
fn a_renamed_activity_is_seen_with_both_sides() {
    let judged = against::<Renamed>(&waiting());
    let words = "history has run charge, the code asks for run bill";
    assert_eq!(found(&judged), (Verdict::Nondeterminism, Some(1), words));
    let [history, code] = [&judged.findings[0].history, &judged.findings[0].code];
    let json = r#"{"run":{"activity":"charge","request":{"fare":5},"undo":{"activity":"refund","request":{}}}}"#;
    assert_eq!(history.as_ref().unwrap().get(), json);
    assert_eq!(code.as_ref().unwrap().get(), json.replace("charge", "bill"));
}

#[test]
fn swapped_steps_are_seen_where_they_part() {
    let words = "history has run charge, the code asks for run assign";
    assert_eq!(found(&against::<Swapped>(&waiting())), (Verdict::Nondeterminism, Some(1), words));
}

#[test]
fn a_request_of_another_shape_is_seen() {
    let words = "the code asks for run charge with another request";
    assert_eq!(found(&against::<Tipped>(&charging())), (Verdict::Nondeterminism, Some(1), words));
}

#[test]
fn another_undo_is_seen() {
    let words = "the code asks for run charge with another undo";
    assert_eq!(
        found(&against::<OtherUndo>(&assigning())),
        (Verdict::Nondeterminism, Some(1), words)
    );
}

#[test]
fn a_step_that_is_gone_is_seen_by_the_runs_that_made_it() {
    let words = "history has run assign, the code asks for complete";
    assert_eq!(found(&against::<Shorter>(&waiting())), (Verdict::Nondeterminism, Some(3), words));
    assert_eq!(verdict_of::<Shorter>(&charging()), Verdict::Fits);
}

#[test]
fn a_new_step_where_runs_wait_fits_and_is_said() {
    let judged = against::<Parking>(&waiting());
    assert_eq!(found(&judged), (Verdict::GoesOn, None, "asks for run park"));
    assert_eq!(verdict_of::<Parking>(&charging()), Verdict::Fits);
}

#[test]
fn a_new_step_fits_behind_its_patch_and_who_has_it_is_counted() {
    let words = "history has run assign, the code asks for run park";
    assert_eq!(found(&against::<Unguarded>(&waiting())), (Verdict::Nondeterminism, Some(3), words));
    let mut report = CheckReport::default();
    for script in [charging(), assigning(), waiting(), compensating()] {
        report.add(against::<Guarded>(&script), 10);
    }
    assert_eq!((report.runs, report.would_break, report.examples.len()), (4, 0, 0));
    assert_eq!(report.patches["trip"]["park-first"], Patched { with: 0, without: 2 });
}

#[test]
fn a_run_that_was_only_started_waits_for_its_owner_and_for_no_deploy() {
    let mut run = stored(&charging());
    run.history[0].events = r#"[{"started":{"input":5}}]"#.to_owned();
    assert_eq!(judge(&version::<Trip>(), &run).verdict, Verdict::Fits);
    let heard =
        r#"[{"started":{"input":5}},{"signalled":{"name":"arrived","id":"s","payload":{}}}]"#;
    run.history[0].events = heard.to_owned();
    assert_eq!(judge(&version::<Trip>(), &run).verdict, Verdict::Fits);
}

#[test]
fn an_input_of_another_shape_is_seen() {
    let judged = against::<Named>(&charging());
    let (verdict, event, words) = found(&judged);
    assert_eq!((verdict, event), (Verdict::Payload, Some(0)));
    assert!(words.starts_with("input: invalid type: integer `5`, expected a string"), "{words}");
}

#[test]
fn an_output_of_another_shape_is_seen() {
    let judged = against::<Paperless>(&waiting());
    assert_eq!((judged.verdict, judged.findings[0].event), (Verdict::Payload, Some(2)));
    let history = judged.findings[0].history.as_ref().unwrap().get();
    assert_eq!(history, r#"{"done":{"seq":0,"output":5}}"#);
}

#[test]
fn a_body_that_panics_is_seen() {
    assert_eq!(found(&against::<Panics>(&waiting())), (Verdict::Panic, Some(4), "no driver 5"));
    assert_eq!(verdict_of::<Panics>(&assigning()), Verdict::Fits);
}

#[test]
fn a_type_that_is_gone_is_missed_by_its_runs_but_not_by_those_that_unwind() {
    let none = Registry::new(Workflows::default(), handlers()).unwrap();
    let words = "this binary has no workflow of that type";
    let judged = judge(&none, &stored(&waiting()));
    assert_eq!(found(&judged), (Verdict::UnknownType, Some(0), words));
    assert_eq!(judge(&none, &stored(&compensating())).verdict, Verdict::Fits);
}

#[test]
fn a_run_that_unwinds_does_not_ask_its_body() {
    assert_eq!(verdict_of::<Renamed>(&compensating()), Verdict::Fits);
    assert_eq!(verdict_of::<Panics>(&compensating()), Verdict::Fits);
}

fn stuck(reason: StuckReason) -> OpenRun {
    stored_with(&waiting(), &[Event::Stuck { reason, detail: "as it was".to_owned(), seq: None }])
}

#[test]
fn what_is_stuck_over_its_code_is_freed_by_code_that_fits() {
    let judged = judge(&version::<Same>(), &stuck(StuckReason::Nondeterminism));
    assert_eq!(found(&judged), (Verdict::Freed, None, "nondeterminism: as it was"));
    let judged = judge(&version::<Panics>(), &stuck(StuckReason::Panic));
    assert_eq!(found(&judged), (Verdict::Stuck, Some(4), "no driver 5"));
}

#[test]
fn what_is_stuck_for_another_reason_stays_so_or_breaks() {
    let judged = judge(&version::<Same>(), &stuck(StuckReason::Poison));
    assert_eq!(found(&judged), (Verdict::Stuck, None, "poison: as it was"));
    let judged = judge(&version::<Renamed>(), &stuck(StuckReason::Poison));
    assert_eq!(judged.verdict, Verdict::Nondeterminism);
    let judged = judge(&version::<Renamed>(), &stored(&exhausted()));
    assert_eq!(judged.verdict, Verdict::Stuck);
}
