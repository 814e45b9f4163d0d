//! From the words of a scenario file to a scenario in which every value holds: all rules across fields, all defaults.

use super::balancer::balancer;
use super::bounds::{at_least_one, count, factor, positive, share_or, span_or};
use super::client::client;
use super::delays::{Sources, delay, delay_or_none};
use super::place::{Checked, Mistake, Place};
use super::strategies::strategies;
use super::traffic::traffic;
use super::units::{Count, LONGEST, Named, Number, Share, Span, Table, WordOr, nearest};
use super::words::PlainPolicy;
use super::{
    Balancer, Budget, Connect, Crash, Database, Defect, Discipline, Expectation, Faults, Hits, NamedStrategy, Outage,
    Probe, Release, Scenario, Service, Skew, Slow, Study, Traffic, Unready, WarmUp, WarmUpOver, WarmUpShape, Whom,
    manifest, raw,
};
use crate::probe::Thresholds;
use crate::rollback::{Operator, Policy, Verdict};
use crate::rollout::Restart;
use std::num::NonZeroU32;
use std::time::Duration;

const MOST_INSTANCES: u32 = 100_000;
/// Each takes about 64 bytes.
const MOST_OPEN_REQUESTS: u64 = 20_000_000;
const MOST_INTERVALS: u128 = 100_000;
/// Each keeps a histogram of up to some 15 kB.
const MOST_INTERVALS_OF_ALL_STRATEGIES: u128 = 50_000;

/// The scenario under this name that these words say.
pub(super) fn scenario(raw: raw::Scenario, name: String, sources: &mut Sources<'_>) -> Checked<Scenario> {
    let root = Place::default();
    let service = service(&root.key("service"), &raw.service.0)?;
    let strategies = strategies(&root.key("strategy"), raw.strategy, &service, &raw.release.0, sources)?;
    let study = study(&root.key("study"), &raw.study.0, &strategies)?;
    let budget = raw.budget.map_or_else(Budget::default, |Table(raw)| budget(&raw));
    let traffic = traffic(&root.key("traffic"), raw.traffic.0, study.ends_at(), budget.p99, sources)?;
    let client = client(&root.key("client"), raw.client, sources)?;
    let waiting = client.retries.longest_wait().min(study.ends_at() * 2).as_secs_f64();
    root.key("client").key("retries").key("backoff").holds(
        traffic.load.peak() * waiting <= MOST_OPEN_REQUESTS as f64,
        "must be short enough that at most 20,000,000 requests wait for a retry at once, or they could exhaust the memory",
    )?;
    let balancer = balancer(&root.key("balancer"), raw.balancer, service.instances, &strategies, sources)?;
    connecting(&root.key("balancer").key("connect"), &balancer, &traffic)?;
    let release = release(&root.key("release"), raw.release.0, &strategies, sources)?;
    let rollback = rollback(&root.key("rollback"), raw.rollback, sources)?;
    let faults = faults(&root.key("faults"), raw.faults, &service, sources)?;
    let expectations = expectations(&root.key("expect"), &raw.expect, &strategies)?;
    let remarks = manifest::remarks(&sources.manifests, &service, &release);
    Ok(Scenario {
        name,
        hash: sources.fingerprint.value(),
        service,
        traffic,
        client,
        balancer,
        release,
        faults,
        rollback,
        budget,
        study,
        strategies,
        expectations,
        remarks,
    })
}

fn service(place: &Place, raw: &raw::Service) -> Checked<Service> {
    let instances = at_least_one(&place.key("instances"), raw.instances, MOST_INSTANCES)?;
    let workers = at_least_one(&place.key("workers"), raw.workers, 100_000)?;
    let queue = count(&place.key("queue"), raw.queue, 0..=1_000_000)?;
    let open = u64::from(instances.get()) * (u64::from(workers.get()) + u64::from(queue));
    let problem = "instances × (workers + queue) must be at most 20,000,000, or open requests could exhaust the memory";
    place.key("queue").holds(open <= MOST_OPEN_REQUESTS, problem)?;
    let zones_at = place.key("zones");
    let zones = raw.zones.map_or(Ok(NonZeroU32::MIN), |zones| at_least_one(&zones_at, zones, MOST_INSTANCES))?;
    zones_at.holds(zones <= instances, "must be at most the number of instances")?;
    let discipline = raw.discipline.map_or(Discipline::Fifo, |word| word.0);
    let problem = r#"only with discipline = "fifo" does anybody wait in an instance"#;
    place.key("shed_after").holds(raw.shed_after.is_none() || discipline == Discipline::Fifo, problem)?;
    let shed_after = raw.shed_after.map(|span| span.0);
    Ok(Service { instances, workers, queue, zones, discipline, shed_after, error_rate: share_or(raw.error_rate, 0.0) })
}

/// Requests that wait for an instance that does not take them are kept, too.
fn connecting(place: &Place, balancer: &Balancer, traffic: &Traffic) -> Checked<()> {
    let Connect { timeout, retries, pause, .. } = balancer.connect;
    let waiting = traffic.load.peak() * ((timeout + pause) * (retries + 1)).as_secs_f64();
    let problem = "timeout and pause must be short enough that at most 20,000,000 requests wait to connect at once";
    place.holds(waiting <= MOST_OPEN_REQUESTS as f64, problem)
}

fn release(
    place: &Place,
    raw: raw::Release,
    strategies: &[NamedStrategy],
    sources: &mut Sources<'_>,
) -> Checked<Release> {
    let needs_grace = strategies.iter().any(|named| named.strategy.facts().grace().is_none());
    let has_grace = raw.grace.is_some() || !needs_grace;
    place.key("grace").holds(has_grace, "must be given, for Octopus, waves and shift have no default of their own")?;
    Ok(Release {
        pull: delay_or_none(&place.key("pull"), raw.pull, sources)?,
        start: delay(&place.key("start"), raw.start, sources)?,
        ready_probe: raw.ready_probe.map(|Table(raw)| probe(&place.key("ready_probe"), &raw)).transpose()?,
        warm_up: raw.warm_up.map(|Table(raw)| warm_up(&place.key("warm_up"), &raw)).transpose()?,
        drain: span_or(raw.drain, Duration::ZERO),
        drain_ends_when_idle: raw.drain_ends_when_idle.unwrap_or(false),
        pre_stop: span_or(raw.pre_stop, Duration::ZERO),
        grace: raw.grace.map(|span| span.0),
        stop: delay_or_none(&place.key("stop"), raw.stop, sources)?,
        restart: raw.restart.map(|Table(raw)| restart(&place.key("restart"), &raw)).transpose()?,
        slowdown: slowdown(&place.key("slowdown"), raw.slowdown)?,
        defect: raw.defect.map(|Table(raw)| defect(&place.key("defect"), raw, sources)).transpose()?,
        database: raw.database.map(|Table(raw)| database(&place.key("database"), raw, sources)).transpose()?,
        skew: raw.skew.map(|Table(raw)| skew(&place.key("skew"), &raw)).transpose()?,
        recorded: None,
    })
}

fn database(place: &Place, raw: raw::Database, sources: &mut Sources<'_>) -> Checked<Database> {
    let undo_at = place.key("undo");
    Ok(Database {
        step: raw.step.0,
        takes: delay(&place.key("takes"), raw.takes, sources)?,
        old_fails: share_or(raw.old_fails, 0.0),
        new_fails: share_or(raw.new_fails, 1.0),
        undo: raw.undo.map(|undo| delay(&undo_at, undo, sources)).transpose()?,
    })
}

fn skew(place: &Place, raw: &raw::Skew) -> Checked<Skew> {
    let is_any = raw.old_meets_new.is_some() || raw.new_meets_old.is_some();
    place.holds(is_any, "must hold at least one of old_meets_new and new_meets_old")?;
    Ok(Skew {
        old_meets_new: share_or(raw.old_meets_new, 0.0),
        new_meets_old: share_or(raw.new_meets_old, 0.0),
        memory: positive(&place.key("memory"), raw.memory)?,
    })
}

fn probe(place: &Place, raw: &raw::Probe) -> Checked<Probe> {
    let threshold = |key: &str, written: Option<Count>, default: u32| {
        at_least_one(&place.key(key), written.unwrap_or(Count(default.into())), 1_000_000)
    };
    Ok(Probe {
        initial_delay: span_or(raw.initial_delay, Duration::ZERO),
        period: positive(&place.key("period"), raw.period)?,
        thresholds: Thresholds {
            success: threshold("success_threshold", raw.success_threshold, 1)?,
            failure: threshold("failure_threshold", raw.failure_threshold, 3)?,
        },
    })
}

fn warm_up(place: &Place, raw: &raw::WarmUp) -> Checked<WarmUp> {
    let factor_at = place.key("factor");
    factor_at.holds(raw.factor.0 >= 1.0, "must be at least 1")?;
    let over = match (raw.over, raw.over_requests) {
        (Some(span), None) => WarmUpOver::Time(positive(&place.key("over"), span)?),
        (None, Some(requests)) => {
            WarmUpOver::Requests(at_least_one(&place.key("over_requests"), requests, 1_000_000_000)?)
        }
        _ => return Err(place.breaks("must hold exactly one of over, over_requests")),
    };
    Ok(WarmUp {
        factor: factor(&factor_at, raw.factor)?,
        over,
        shape: raw.shape.map_or(WarmUpShape::Linear, |word| word.0),
    })
}

fn restart(place: &Place, raw: &raw::Restart) -> Checked<Restart> {
    place.key("longest").holds(raw.longest >= raw.initial, "must be at least the initial delay")?;
    Ok(Restart { initial: raw.initial.0, longest: raw.longest.0, reset_after: raw.reset_after.0 })
}

fn slowdown(place: &Place, raw: Option<Number>) -> Checked<f64> {
    raw.map_or(Ok(1.0), |number| factor(place, number))
}

fn lapses(place: &Place, raw: raw::Unready, sources: &mut Sources<'_>) -> Checked<Unready> {
    Ok(Unready {
        after: delay(&place.key("after"), raw.after, sources)?,
        lasts: delay(&place.key("lasts"), raw.lasts, sources)?,
    })
}

fn defect(place: &Place, raw: raw::Defect, sources: &mut Sources<'_>) -> Checked<Defect> {
    let raw::Defect {
        chance,
        appears_after,
        error_rate,
        slowdown: slower,
        failed_start,
        never_ready,
        crash_after,
        unready,
    } = raw;
    let shows = error_rate.is_some()
        || slower.is_some()
        || failed_start.is_some()
        || never_ready.is_some()
        || crash_after.is_some()
        || unready.is_some();
    place.holds(
        shows,
        "must hold at least one of error_rate, slowdown, failed_start, never_ready, crash_after, unready",
    )?;
    let crash_after_at = place.key("crash_after");
    Ok(Defect {
        chance: share_or(chance, 1.0),
        appears_after: span_or(appears_after, Duration::ZERO),
        error_rate: share_or(error_rate, 0.0),
        slowdown: slowdown(&place.key("slowdown"), slower)?,
        failed_start: share_or(failed_start, 0.0),
        never_ready: never_ready.unwrap_or(false),
        crash_after: crash_after.map(|raw| delay(&crash_after_at, raw, sources)).transpose()?,
        unready: unready.map(|Table(raw)| lapses(&place.key("unready"), raw, sources)).transpose()?,
    })
}

fn rollback(place: &Place, raw: Option<Table<raw::Rollback>>, sources: &mut Sources<'_>) -> Checked<Policy> {
    let Some(policy) = raw.and_then(|Table(raw)| raw.policy) else {
        return Ok(Policy::Orchestrator);
    };
    match policy {
        WordOr::Word(word) => Ok(match word.0 {
            PlainPolicy::Orchestrator => Policy::Orchestrator,
            PlainPolicy::None => Policy::None,
            PlainPolicy::Pause => Policy::Pause,
        }),
        WordOr::Table(Table(raw::Judge { operator: Table(raw) })) => {
            let place = place.key("policy").key("operator");
            Ok(Policy::Operator(Operator {
                notices_after: delay(&place.key("notices_after"), raw.notices_after, sources)?,
                then: raw.then.map_or(Verdict::RollBack, |word| word.0),
                alarm: raw.alarm.map(|share| share.0),
            }))
        }
    }
}

fn faults(
    place: &Place,
    raw: Option<Table<raw::Faults>>,
    service: &Service,
    sources: &mut Sources<'_>,
) -> Checked<Faults> {
    let Some(Table(raw::Faults { crash: raw_crash, outage: raw_outage, slow: raw_slow })) = raw else {
        return Ok(Faults::default());
    };
    let crash = raw_crash.map(|Table(raw)| crash(&place.key("crash"), raw, sources)).transpose()?;
    let outage = raw_outage.map(|Table(raw)| outage(&place.key("outage"), raw, service, sources)).transpose()?;
    let slow_at = place.key("slow");
    let slow = raw_slow.unwrap_or_default().into_iter().enumerate();
    let slow: Checked<Vec<Slow>> =
        slow.map(|(index, Table(raw))| slow_for_a_while(&slow_at.index(index), &raw, service)).collect();
    Ok(Faults { crash, outage, slow: slow? })
}

fn slow_for_a_while(place: &Place, raw: &raw::Slow, service: &Service) -> Checked<Slow> {
    Ok(Slow {
        at: raw.at.0,
        lasts: positive(&place.key("lasts"), raw.lasts)?,
        factor: factor(&place.key("factor"), raw.factor)?,
        whom: whom(place, (raw.share, raw.instances, raw.zone), service)?,
    })
}

fn crash(place: &Place, raw: raw::Crash, sources: &mut Sources<'_>) -> Checked<Crash> {
    Ok(Crash {
        mtbf: positive(&place.key("mtbf"), raw.mtbf)?,
        repair: delay(&place.key("repair"), raw.repair, sources)?,
        hits: raw.share.map_or(Hits::Instance, |share| Hits::Share(share.0)),
        crews: raw.crews.map(|crews| at_least_one(&place.key("crews"), crews, MOST_INSTANCES)).transpose()?,
    })
}

fn outage(place: &Place, raw: raw::Outage, service: &Service, sources: &mut Sources<'_>) -> Checked<Outage> {
    Ok(Outage {
        at: raw.at.0,
        whom: whom(place, (raw.share, raw.instances, raw.zone), service)?,
        repair: delay(&place.key("repair"), raw.repair, sources)?,
        silent: raw.silent.unwrap_or(false),
    })
}

/// Which instances something hits: exactly one of share, instances and zone is given.
fn whom(place: &Place, given: (Option<Share>, Option<Count>, Option<Count>), service: &Service) -> Checked<Whom> {
    match given {
        (Some(share), None, None) => Ok(Whom::Share(share.0)),
        (None, Some(instances), None) => {
            let instances = at_least_one(&place.key("instances"), instances, service.instances.get())?;
            Ok(Whom::Count(instances))
        }
        (None, None, Some(zone)) => Ok(Whom::Zone(count(&place.key("zone"), zone, 0..=service.zones.get() - 1)?)),
        _ => Err(place.breaks("must hold exactly one of share, instances, zone")),
    }
}

fn budget(raw: &raw::Budget) -> Budget {
    Budget {
        availability: raw.availability.map(|share| share.0),
        p99: raw.p99.map(|span| span.0),
        duration: raw.duration.map(|span| span.0),
        lost: raw.lost.map(|count| count.0),
        least_ready: raw.least_ready.map(|share| share.0),
    }
}

fn study(place: &Place, raw: &raw::Study, strategies: &[NamedStrategy]) -> Checked<Study> {
    let replications_at = place.key("replications");
    let replications = count(&replications_at, raw.replications, 2..=100_000)?;
    let replications = NonZeroU32::new(replications).expect("there are at least two");
    let warm_up = span_or(raw.warm_up, Duration::from_secs(30));
    let baseline = positive(&place.key("baseline"), raw.baseline.unwrap_or(Span(Duration::from_mins(1))))?;
    let window = positive(&place.key("window"), raw.window)?;
    let run = warm_up + baseline + window;
    place.key("window").holds(run <= LONGEST, "must come to at most 366 days together with warm_up and baseline")?;
    let interval = interval(place, raw.interval, baseline, window)?;
    let intervals = (baseline + window).as_nanos().div_ceil(interval.as_nanos());
    let of_all_strategies = intervals * strategies.len() as u128;
    let of_all_runs = of_all_strategies * u128::from(replications.get());
    let problem =
        "must come to at most 50,000,000 intervals over all runs: choose a longer interval or fewer replications";
    place.key("interval").holds(of_all_runs <= Study::MOST_INTERVALS_OF_ALL_RUNS, problem)?;
    let problem = "must come to at most 50,000 intervals over all strategies: choose a longer interval";
    place.key("interval").holds(of_all_strategies <= MOST_INTERVALS_OF_ALL_STRATEGIES, problem)?;
    let confidence = share_or(raw.confidence, 0.95);
    place.key("confidence").holds((0.5..=0.9999).contains(&confidence), "must be from 50% to 99.99%")?;
    let against = raw.against.as_ref();
    let against = against.map_or(Ok(0), |name| position(&place.key("against"), name, strategies))?;
    let seed = raw.seed.map_or(1, |seed| seed.0);
    Ok(Study { replications, seed, warm_up, baseline, window, interval, confidence, against, keeps_log: false })
}

/// The length of an interval: by default a 120th of the window, rounded up to whole seconds.
fn interval(place: &Place, raw: Option<Span>, baseline: Duration, window: Duration) -> Checked<Duration> {
    let place = place.key("interval");
    let default = Duration::from_secs((window / 120).as_nanos().div_ceil(1_000_000_000) as u64).min(window);
    let interval = positive(&place, raw.unwrap_or(Span(default)))?;
    place.holds(interval <= window, "must be at most the window")?;
    let intervals = (baseline + window).as_nanos().div_ceil(interval.as_nanos());
    place.holds(intervals <= MOST_INTERVALS, "must be long enough for at most 100,000 in baseline and window")?;
    Ok(interval)
}

/// The place in the list of the strategy that a value or key names.
fn position(place: &Place, name: &str, strategies: &[NamedStrategy]) -> Checked<usize> {
    let unknown = || -> Mistake {
        match nearest(name, strategies.iter().map(|named| named.name.as_str())) {
            Some(name) => place.breaks(format!("must name a strategy, did you mean `{name}`?")),
            None => place.breaks("must name a strategy"),
        }
    };
    strategies.iter().position(|named| named.name == name).ok_or_else(unknown)
}

fn expectations(place: &Place, raw: &Named<raw::Expect>, strategies: &[NamedStrategy]) -> Checked<Vec<Expectation>> {
    raw.0.iter().map(|(name, raw)| expectation(&place.key(name), name, raw, strategies)).collect()
}

fn expectation(place: &Place, name: &str, raw: &raw::Expect, strategies: &[NamedStrategy]) -> Checked<Expectation> {
    let seconds = |spans: &Vec<Span>| spans.iter().map(|span| span.0.as_secs_f64()).collect();
    let numbers = |numbers: &Vec<Number>| numbers.iter().map(|number| number.0).collect();
    let whole = |key: &str, written: Option<Count>| {
        written.map(|written| count(&place.key(key), written, 0..=u32::MAX)).transpose()
    };
    Ok(Expectation {
        strategy: position(place, name, strategies)?,
        outcome: raw.outcome.map(|word| word.0.to_owned()),
        duration_s: from_to(&place.key("duration"), raw.duration.as_ref().map(seconds))?,
        lost: from_to(&place.key("lost"), raw.lost.as_ref().map(numbers))?,
        least_ready: whole("least_ready", raw.least_ready)?,
        most_instances: whole("most_instances", raw.most_instances)?,
        main_cause: raw.main_cause.map(|word| word.0.to_owned()),
    })
}

fn from_to(place: &Place, bounds: Option<Vec<f64>>) -> Checked<Option<[f64; 2]>> {
    let Some(bounds) = bounds else { return Ok(None) };
    let bounds = <[f64; 2]>::try_from(bounds).map_err(|_| place.breaks("must be two values, from and to"))?;
    place.holds(
        bounds[0] >= 0.0 && bounds[0] <= bounds[1],
        "must be [from, to] with from at most to, and not negative",
    )?;
    Ok(Some(bounds))
}
