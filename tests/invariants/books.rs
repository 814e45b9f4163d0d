//! The books: every request has one fate, and no more is done than there are workers for.

use super::check::{Checked, Checker};
use rollsim::fleet::Version;
use rollsim::history::{Cause, End, Harm, History, Ledger, Window};
use rollsim::metrics::{FleetPoint, fleet_points};
use rollsim::time::{SimTime, nanos};
use std::time::Duration;

impl Checker<'_> {
    pub(super) fn the_books_balance(&self) -> Checked {
        let History { ledger, attempts, baseline, window, .. } = self.history;
        one_fate_each("the run", ledger)?;
        let ends: u64 = attempts.succeeded + attempts.failed.iter().sum::<u64>() + attempts.open;
        demand!(attempts.sent == ends, "{} attempts were sent and {ends} ended", attempts.sent);
        demand!(attempts.succeeded == ledger.served, "a request is served by one attempt");
        demand!(attempts.sent >= ledger.arrivals, "every request is tried at least once");
        let most = ledger.arrivals * u64::from(self.case.attempts);
        demand!(attempts.sent <= most, "{} attempts for at most {most}", attempts.sent);
        for cause in Cause::ALL {
            let (failed, lost) = (attempts.failed[cause.index()], ledger.lost[cause.index()]);
            demand!(failed >= lost, "{lost} requests lost and {failed} attempts failed by {cause:?}");
            let is_final = self.case.attempts > 1 || failed == lost;
            demand!(
                is_final,
                "without retries, {failed} failed attempts by {cause:?} lose as many requests, not {lost}"
            );
        }
        for (name, part) in [("the baseline", baseline), ("the window", window)] {
            one_fate_each(name, &part.all.ledger)?;
            window_adds_up(name, part)?;
        }
        let mut both = baseline.all.ledger;
        both.add(&window.all.ledger);
        within("baseline and window", &both, ledger)?;
        let covers_all = !self.scenario.study.warm_up.is_zero() || both == *ledger;
        demand!(covers_all, "without a warm-up, the two windows are the run");
        Ok(())
    }

    /// The log has every end once, in the order of time, and comes to the same.
    pub(super) fn the_log_agrees(&self) -> Checked {
        let History { log, ledger, window, .. } = self.history;
        let mut found = Ledger::default();
        let (mut now, mut latencies) = (SimTime::START, 0);
        for ended in log {
            demand!(ended.arrived <= ended.at && now <= ended.at, "{ended:?} comes out of order");
            now = ended.at;
            match ended.how {
                End::Served(slot) => {
                    found.served += 1;
                    let most = self.scenario.strategies[0].strategy.most_desired(self.case.desired);
                    let is_place = slot.0 < most || !self.scenario.strategies[0].strategy.facts().keeps_places();
                    demand!(is_place, "{ended:?}: there is no such place");
                    let is_in_window = ended.arrived >= self.rollout_at();
                    latencies += if is_in_window { ended.at.since(ended.arrived).as_nanos() } else { 0 };
                }
                End::Lost(cause) => found.lost[cause.index()] += 1,
            }
        }
        demand!((found.served, found.lost) == (ledger.served, ledger.lost), "the log holds {found:?}, not {ledger:?}");
        demand!(latencies == window.all.latency_sum, "latencies come to {latencies}, not {}", window.all.latency_sum);
        Ok(())
    }

    pub(super) fn intervals_add_up(&self) -> Checked {
        let History { intervals, baseline, window, .. } = self.history;
        let study = &self.scenario.study;
        let before = (study.baseline.as_nanos() / study.interval.as_nanos()) as usize;
        let after = study.window.as_nanos().div_ceil(study.interval.as_nanos()) as usize;
        demand!(intervals.len() == before + after, "{} intervals, not {before} + {after}", intervals.len());
        for (place, interval) in intervals.iter().enumerate() {
            one_fate_each(&format!("interval {place}"), &interval.ledger)?;
            demand!(
                interval.latency.len() == interval.ledger.served,
                "interval {place}: a latency for each served request"
            );
        }
        let sum = |intervals: &[rollsim::history::Interval]| {
            let mut sum = Ledger::default();
            for interval in intervals {
                sum.add(&interval.ledger);
            }
            sum
        };
        within("the intervals before the rollout", &sum(&intervals[..before]), &baseline.all.ledger)?;
        let found = sum(&intervals[before..]);
        demand!(found == window.all.ledger, "the intervals hold {found:?}, the window {:?}", window.all.ledger);
        Ok(())
    }

    pub(super) fn losses_have_a_place(&self) -> Checked {
        let (mut lost, mut late) = ([0; Cause::COUNT], 0);
        for (key, requests) in &self.history.harm {
            demand!(*requests > 0, "{key:?} harmed nothing");
            demand!(key.zone.is_some() == key.version.is_some(), "{key:?}: an instance has a version and a zone");
            match key.harm {
                Harm::Late(_) => {
                    demand!(key.version.is_some(), "{key:?}: whatever is served is served by an instance");
                    late += requests;
                }
                Harm::Lost(cause) => {
                    let concerns_nobody = matches!(cause, Cause::NoEndpoint);
                    let may_concern_nobody = matches!(
                        cause,
                        Cause::StaleEndpoint
                            | Cause::QueueFull
                            | Cause::TimedOutWaiting
                            | Cause::Abandoned
                            | Cause::CutOff
                    );
                    let has_place =
                        if key.version.is_some() { !concerns_nobody } else { concerns_nobody || may_concern_nobody };
                    demand!(has_place, "{key:?}: an instance is concerned, or is not");
                    let by_defect = cause != Cause::Defect || key.version == Some(Version::NEW);
                    demand!(by_defect, "{key:?}: the old version is sound");
                    lost[cause.index()] += requests;
                }
            }
        }
        let window = &self.history.window.all;
        demand!(lost == window.ledger.lost, "losses {lost:?}, not {:?}", window.ledger.lost);
        demand!(late == window.late, "{late} are late, not {}", window.late);
        Ok(())
    }

    pub(super) fn causes_have_a_reason(&self) -> Checked {
        let failed = |cause: Cause| self.history.attempts.failed[cause.index()];
        let late = failed(Cause::TimedOutWaiting) + failed(Cause::TimedOutInService);
        demand!(self.case.has_timeout || late == 0, "{late} attempts timed out without a time-out");
        demand!(self.case.has_defect || failed(Cause::Defect) == 0, "errors without a defect");
        let facts = &self.case.facts;
        for (cause, has_reason) in
            [(Cause::Abandoned, facts.has_patience), (Cause::Shed, facts.sheds), (Cause::Error, facts.has_errors)]
        {
            demand!(
                has_reason || failed(cause) == 0,
                "{} attempts failed by {cause:?} without a reason",
                failed(cause)
            );
        }
        self.versions_meet_what_they_cannot_read()?;
        demand!(facts.has_target || self.history.window.all.late == 0, "late requests without a target");
        demand!(!self.case.is_sound || failed(Cause::Crash) == 0, "crashes where nothing breaks");
        let stale = failed(Cause::StaleEndpoint);
        demand!(!self.case.never_stale || stale == 0, "{stale} attempts met nobody, but the news were in time");
        Ok(())
    }

    /// The schema changes when it is time for that, and only those fail by it, or by each other, who can.
    fn versions_meet_what_they_cannot_read(&self) -> Checked {
        let History { schema_changed, asked, .. } = self.history;
        let failed = |cause: Cause| self.history.attempts.failed[cause.index()];
        let Some((step, takes, [old_fails, new_fails], undo)) = self.case.together.database else {
            demand!(failed(Cause::WrongSchema) == 0 && schema_changed.is_empty(), "a schema that nobody changes");
            return self.clients_meet_their_version();
        };
        let first = schema_changed.first().copied();
        let earliest = self.rollout_at() + Duration::from_millis(takes);
        demand!(first.is_none_or(|at| at >= earliest), "the schema is changed at {first:?}, before {earliest:?}");
        let begins = asked.first().map(|asked| asked.at);
        demand!(step != "before" || begins.is_none() || begins == first, "{begins:?}: the rollout waits for {first:?}");
        demand!(step == "before" || begins.is_none_or(|at| at == self.rollout_at()), "the rollout waits for nothing");
        let most = if undo.is_some() { 2 * asked.len() } else { 1 };
        demand!(schema_changed.len() <= most, "{schema_changed:?}, and {} versions were asked for", asked.len());
        // A change after the window is not written down, but meets requests that arrived in time.
        let may_change = first.is_some() || earliest >= self.ends_at() || step == "after";
        let can_fail = new_fails > 0 && step != "before" || may_change && (old_fails > 0 || new_fails > 0);
        demand!(can_fail || failed(Cause::WrongSchema) == 0, "the schema fails those who can read it");
        self.clients_meet_their_version()
    }

    fn clients_meet_their_version(&self) -> Checked {
        let failed = self.history.attempts.failed[Cause::WrongVersion.index()];
        let can_fail = self.case.together.skew.is_some_and(|(shares, _)| shares != [0, 0]);
        demand!(can_fail || failed == 0, "{failed} attempts met a version that they can live with");
        Ok(())
    }

    /// At the beginning of each interval nobody serves more than the workers of those that exist can, nobody waits where there
    /// is no place, and no user asks twice at once.
    pub(super) fn loads_fit(&self) -> Checked {
        let service = &self.scenario.service;
        let (workers, queue) = (u64::from(service.workers.get()), u64::from(service.queue));
        let points = fleet_points(self.history, &self.scenario.strategies[0].strategy);
        let study = &self.scenario.study;
        for (interval, place) in self.history.intervals.iter().zip(0..) {
            let at = SimTime::START + study.series_from() + Duration::from_nanos(nanos(study.interval) * place);
            let load = interval.load;
            // Whoever comes or goes at this very moment may be counted or not.
            let before = points.partition_point(|point| point.at < at).saturating_sub(1);
            let after = points.partition_point(|point| point.at <= at);
            let existing = points[before..after].iter().map(FleetPoint::existing).max().unwrap_or(0);
            let most = u64::from(existing) * workers;
            demand!(load.busy <= most, "at {at:?} {} workers serve, and there are {most}", load.busy);
            let places = u64::from(existing) * queue + self.case.facts.balancers_hold;
            demand!(load.waiting <= places, "at {at:?} {} wait in {places} places", load.waiting);
            let users = self.case.facts.users;
            demand!(users.is_none_or(|users| load.open <= users), "at {at:?} {users:?} users have {} open", load.open);
        }
        Ok(())
    }

    pub(super) fn waits_and_retries_have_bounds(&self) -> Checked {
        let History { attempts, ledger, window, most_waiting, .. } = self.history;
        let waits = &window.waits;
        demand!(waits.waited <= waits.begun, "{} of {} services waited", waits.waited, waits.begun);
        demand!(waits.begun >= window.all.ledger.served, "whatever is served has begun");
        demand!(waits.waits.len() == waits.waited, "each wait is written down once");
        let shares = self.case.facts.shares_workers && self.case.facts.balancers_hold == 0;
        let waits_for_connections = self.case.text.contains("connect =");
        demand!(!shares || waits_for_connections || waits.waited == 0, "nobody waits where workers are shared");
        let first_lost = self.history.first_lost_at;
        let lost = window.all.ledger.lost.iter().sum::<u64>();
        demand!(first_lost.is_some() == (lost > 0), "{lost} were lost, the first at {first_lost:?}");
        demand!(first_lost.is_none_or(|at| at >= self.rollout_at()), "the window begins with the rollout");
        if let Some((size, deposit)) = self.case.facts.tokens {
            let retries = (attempts.sent - ledger.arrivals) as f64;
            let most = size + deposit * attempts.succeeded as f64;
            demand!(retries <= most + 1e-6, "{retries} retries for {most} tokens");
        }
        if let Some(users) = self.case.facts.users {
            demand!(attempts.open <= users, "{users} users have {} attempts open", attempts.open);
        }
        let no_queue = self.scenario.service.queue == 0 && self.case.facts.balancers_hold == 0;
        demand!(!no_queue || *most_waiting == 0, "{most_waiting} waited where there is no queue");
        Ok(())
    }
}

fn one_fate_each(what: &str, ledger: &Ledger) -> Checked {
    let fates = ledger.served + ledger.lost.iter().sum::<u64>() + ledger.open;
    demand!(ledger.arrivals == fates, "{what}: {} arrived and {fates} have a fate", ledger.arrivals);
    Ok(())
}

fn window_adds_up(name: &str, window: &Window) -> Checked {
    let served = window.all.ledger.served;
    demand!(window.all.latency.len() == served, "{name}: a latency for each served request");
    demand!(window.served_by.iter().sum::<u64>() == served, "{name}: every request is served by one version");
    let longest = u128::from(window.all.latency.max()) * 1000;
    for class in &window.classes {
        one_fate_each(name, &class.ledger)?;
        demand!(class.latency.len() == class.ledger.served, "{name}: a latency for each served request of a class");
    }
    if !window.classes.is_empty() {
        let mut all = Ledger::default();
        window.classes.iter().for_each(|class| all.add(&class.ledger));
        demand!(all == window.all.ledger, "{name}: the classes hold {all:?}, all hold {:?}", window.all.ledger);
        let late: u64 = window.classes.iter().map(|class| class.late).sum();
        demand!(late == window.all.late, "{name}: {late} of the classes are late, {} of all", window.all.late);
    }
    demand!(window.all.latency_sum <= (longest + 1000) * u128::from(served), "{name}: the mean exceeds the maximum");
    Ok(())
}

fn within(what: &str, part: &Ledger, whole: &Ledger) -> Checked {
    let fewer = part.arrivals <= whole.arrivals && part.served <= whole.served && part.open <= whole.open;
    let lost_fewer = part.lost.iter().zip(whole.lost).all(|(part, whole)| *part <= whole);
    demand!(fewer && lost_fewer, "{what}: {part:?} of {whole:?}");
    Ok(())
}
