//! What ought to be thought over before a rollout: each warning with the figures that it follows from.

use super::{Case, Run, at_quantile, staying};
use crate::fleet::{Phase, Version};
use crate::history::Outcome;
use crate::metrics::FleetPoint;
use crate::report::table::{percent, seconds};
use crate::scenario::{Discovery, Faults};
use crate::time::SimTime;
use serde::Serialize;
use std::time::Duration;

/// What a warning is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// From some moment on the rollout does nothing more, and is not done.
    CannotMove,
    /// It is not done when the observation window ends.
    WindowTooShort,
    /// More instances than desired exist at once.
    NeedsRoom,
    /// At some moment nobody is ready.
    NobodyReady,
    /// Instances on their way out take room that the quota does not have.
    QuotaExceeded,
    /// The progress deadline passes before one instance can be ready.
    DeadlineTooShort,
    /// Taking it back is no faster.
    SlowRollback,
    /// Instances stop before balancers have heard of it.
    StaleEndpoints,
    /// Processes are killed before they are done.
    GraceTooShort,
    /// Nobody looks whether an instance works.
    NoHealthCheck,
    /// The old version cannot read the new schema.
    WrongSchema,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What it is of.
    pub kind: Kind,
    /// In words, with figures.
    pub text: String,
}

/// A rollback that takes less than this share of the rollout is a fast one.
const AS_LONG: f64 = 0.9;

impl Case<'_> {
    pub(super) fn warnings(&self, rollback: Option<Duration>) -> Vec<Warning> {
        let told = [
            self.cannot_move(),
            self.needs_room(),
            self.nobody_ready(),
            self.quota_exceeded(),
            self.deadline_too_short(),
            self.slow_rollback(rollback),
            self.stale_endpoints(),
            self.grace_too_short(),
            self.no_health_check(),
            self.wrong_schema(),
        ];
        told.into_iter().flatten().map(|(kind, text)| Warning { kind, text }).collect()
    }

    fn instances(&self) -> u32 {
        self.quiet.service.instances.get()
    }

    fn cannot_move(&self) -> Option<(Kind, String)> {
        let run = &self.typical;
        if run.ended_well() || run.history.outcome == Outcome::CutShort {
            return None;
        }
        let new_ready = |point: &FleetPoint| point.all_ready() - point.ready[Version::OLD.index()];
        let most = run.most(new_ready);
        let reached = run.watched().iter().find(|point| new_ready(point) == most).map_or(run.begins, |point| point.at);
        let reached = reached.max(run.begins);
        let (window, idle) = (run.ends.since(run.begins), run.ends.since(reached));
        let of_all = format!("{most} of {} instances run the new version", self.instances());
        if run.history.outcome == Outcome::Unfinished && idle < window / 2 {
            let text = format!("it is not done within the window of {}: {of_all} then", span(window));
            return Some((Kind::WindowTooShort, text));
        }
        let word = run.history.reported.last().map_or("nothing", |report| report.word);
        let quota = self.strategy.strategy.facts().quota();
        let quota = quota.map_or_else(String::new, |quota| format!("; the quota has room for {quota}"));
        let after = span(reached.since(run.begins));
        Some((
            Kind::CannotMove,
            format!("it cannot move: {of_all} after {after}, and no more follow; reported is \"{word}\"{quota}"),
        ))
    }

    fn needs_room(&self) -> Option<(Kind, String)> {
        let desired = self.instances();
        let most = self.all_runs().map(|run| run.most(staying)).max()?;
        let all = self.all_runs().map(|run| run.most(FleetPoint::existing)).max()?;
        let leaving = if all > most { format!(", and for {all} with those on their way out") } else { String::new() };
        let text = || format!("it needs room for {} more: {most} instances at once{leaving}", most - desired);
        (most > desired && self.strategy.strategy.most_desired(desired) == desired).then(|| (Kind::NeedsRoom, text()))
    }

    fn nobody_ready(&self) -> Option<(Kind, String)> {
        let down = downtime(&self.typical)?;
        let who = if self.instances() == 1 {
            "the only instance is".to_owned()
        } else {
            format!("all {} instances are", self.instances())
        };
        Some((Kind::NobodyReady, format!("{who} down at once, for {}", span(down))))
    }

    /// What would be asked for if there were room.
    fn quota_exceeded(&self) -> Option<(Kind, String)> {
        let quota = self.strategy.strategy.facts().quota()?;
        let mut median = self.quiet.clone();
        at_quantile(&mut median, 0.5);
        median.faults = Faults::default();
        let run = Run::of(&median, &self.strategy.strategy.clone().without_quota(), 0);
        let (staying, all) = (run.most(staying), run.most(FleetPoint::existing));
        let text = || {
            format!(
                "instances on their way out will exceed the quota of {quota}: {staying} at once fit, {all} with those that terminate do not"
            )
        };
        (staying <= quota && all > quota).then(|| (Kind::QuotaExceeded, text()))
    }

    fn deadline_too_short(&self) -> Option<(Kind, String)> {
        let deadline = self.strategy.strategy.facts().deadline()?;
        let start = self.one_start();
        let text =
            || format!("the deadline of {} is shorter than one start, which takes {}", span(deadline), span(start));
        (start > deadline).then(|| (Kind::DeadlineTooShort, text()))
    }

    /// From the creation of an instance until it is available, each delay at its median.
    fn one_start(&self) -> Duration {
        let release = &self.quiet.release;
        let up = release.pull.quantile(0.5) + release.start.quantile(0.5);
        let (min_ready, _) = self.strategy.strategy.facts().min_ready();
        let passed = release.ready_probe.map_or(release.start.quantile(0.5), |probe| {
            // The first probe that could pass, and as many more as must.
            let could = release.start.quantile(0.5).saturating_sub(probe.initial_delay);
            let failed = could.as_nanos().div_ceil(probe.period.as_nanos().max(1));
            let more = failed + u128::from(probe.thresholds.success.get()) - 1;
            probe.initial_delay + probe.period * u32::try_from(more).unwrap_or(u32::MAX)
        });
        up.max(release.pull.quantile(0.5) + passed) + min_ready
    }

    fn slow_rollback(&self, rollback: Option<Duration>) -> Option<(Kind, String)> {
        let forward = self.typical.duration().filter(|_| self.typical.history.outcome == Outcome::Completed)?;
        let back = rollback?;
        let text = || format!("rolling back takes {}, and rolling forward {}", span(back), span(forward));
        let is_slow = back.as_secs_f64() >= AS_LONG * forward.as_secs_f64();
        is_slow.then(|| (Kind::SlowRollback, text()))
    }

    fn stale_endpoints(&self) -> Option<(Kind, String)> {
        let (release, balancer, facts) = (&self.quiet.release, &self.quiet.balancer, self.strategy.strategy.facts());
        let serves_on = release.drain + release.pre_stop + facts.out_before_stop() + facts.stop_latency(Phase::Ready);
        let propagation = balancer.propagation.quantile(0.99);
        let text = || {
            let own =
                if facts.stop_latency(Phase::Ready).is_zero() { "" } else { " and the orchestrator's own latency" };
            format!(
                "an instance serves on for {} (drain, preStop{own}), which is shorter than the propagation p99 of {}",
                span(serves_on),
                span(propagation)
            )
        };
        (balancer.discovery == Discovery::Service && serves_on < propagation).then(|| (Kind::StaleEndpoints, text()))
    }

    fn grace_too_short(&self) -> Option<(Kind, String)> {
        let (release, facts) = (&self.quiet.release, self.strategy.strategy.facts());
        let grace = release.grace.or(facts.grace())?;
        let work = self.scenario.traffic.classes.iter().map(|class| class.work.quantile(0.99)).max()?;
        let stop = release.stop.quantile(0.99);
        let needs = release.pre_stop + work + stop;
        let has = grace.max(release.pre_stop.min(grace) + facts.least_time_to_stop());
        let text = || {
            format!(
                "a grace of {} is shorter than what is to end in it: preStop {}, requests {} (p99), stop {} (p99)",
                span(grace),
                span(release.pre_stop),
                span(work),
                span(stop)
            )
        };
        (needs > has).then(|| (Kind::GraceTooShort, text()))
    }

    fn no_health_check(&self) -> Option<(Kind, String)> {
        let relies = self.strategy.strategy.facts().relies_on_a_health_check()?;
        let text =
            || format!("{relies} protects nothing without a health check: a task counts as soon as its process runs");
        self.quiet.release.ready_probe.is_none().then(|| (Kind::NoHealthCheck, text()))
    }

    fn wrong_schema(&self) -> Option<(Kind, String)> {
        let database = self.quiet.release.database.as_ref().filter(|database| database.old_fails > 0.0)?;
        let changed = *self.typical.history.schema_changed.first()?;
        let has_old = |point: &&FleetPoint| point.all_ready() > 0 && point.ready[Version::OLD.index()] > 0;
        let last_old = self.typical.watched().iter().rfind(has_old).map_or(changed, |point| point.at);
        let back = if database.undo.is_none() { "; a rollback does not bring the old schema back" } else { "" };
        let fails = percent(database.old_fails, 0);
        let text = || {
            format!("{fails} of the old version's requests fail with the new schema, while old instances serve{back}")
        };
        (last_old >= changed || database.undo.is_none()).then(|| (Kind::WrongSchema, text()))
    }
}

/// How long nobody is ready, from the beginning of the rollout on.
fn downtime(run: &Run) -> Option<Duration> {
    let points = run.watched();
    let ends = points.iter().skip(1).map(|point| point.at).chain([run.ends]);
    let stretches = points.iter().zip(ends).filter(|(point, _)| point.all_ready() == 0);
    let lasts = |(point, ends): (&FleetPoint, SimTime)| ends.since(point.at.max(run.begins));
    let down: Duration = stretches.map(lasts).sum();
    (!down.is_zero()).then_some(down)
}

fn span(span: Duration) -> String {
    let span_s = span.as_secs_f64();
    if span_s > 0.0 && span_s < 1.0 { format!("{:.0} ms", span_s * 1e3) } else { seconds(span_s) }
}
