//! A file that says everything of the request plane, and the mistakes that can be made in it.

use super::{Delay, Distribution, fixed, problem, read, seconds};
use crate::scenario::*;
use std::time::Duration;

const PLANE: &str = r#"[service]
instances = 12
workers = 8
queue = 64
zones = 3
discipline = "processor-sharing"
error_rate = "0.1%"
[traffic]
rate = 900
arrivals = { bursty = { peak = 4, lasts = "2s", every = "20s" } }
work = "20ms"
target = "300ms"
[traffic.class.browse]
share = "90%"
[traffic.class.buy]
share = "10%"
work = { exponential = { mean = "80ms" } }
target = "1s"
[client]
timeout = "2s"
cancels = true
patience = { exponential = { mean = "1s" } }
retries = { attempts = 3, budget = { active = { share = "20%", at_least = 4 } } }
[balancer]
count = 3
policy = { least_request = { choices = 3 } }
new_weight = 0.5
discovery = "static"
subset = 4
slow_start = { window = "60s", aggression = 2, least = "5%" }
health_check = { period = "5s", timeout = "2s", phase = "1s", success_threshold = 2, failure_threshold = 4, assume_healthy = false, work = "1ms", false_failures = "1%" }
ejection = { consecutive_errors = 2, within = "10s", lasts = "20s", whole_seconds = true, grows = true, trial = true, counts = "connect", most = "50%" }
panic_threshold = "40%"
fallback_to_terminating = true
connect = { timeout = "500ms", retries = 2, redispatch = "other" }
max_connections = 16
queue = 100
[release]
start = "8s"
grace = "20s"
drain = "30s"
drain_ends_when_idle = true
warm_up = { factor = 3, over_requests = 500 }
[strategy.one.octopus]
[faults]
crash = { mtbf = "30d", repair = "1m", crews = 2 }
outage = { at = "5m", zone = 2, repair = "3m", silent = true }
slow = [{ at = "1m", lasts = "30s", factor = 3, instances = 2 }, { at = "2m", lasts = "30s", factor = 2, zone = 1 }]
[study]
replications = 2
window = "90s"
"#;

fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("not 0")
}

#[test]
fn traffic_and_clients_are_as_written() {
    let scenario = read(PLANE);
    let service = Service {
        workers: count(8),
        queue: 64,
        zones: count(3),
        discipline: Discipline::ProcessorSharing,
        error_rate: 0.001,
        ..Service::plain(count(12))
    };
    assert_eq!(scenario.service, service);
    let arrivals = Arrivals::Bursty(Bursts { peak: 4.0, lasts: seconds(2), every: seconds(20) });
    let load = Load::Open { profile: Profile::constant(900.0).expect("a good rate"), arrivals };
    let (work, target) = (Delay::Fixed(Duration::from_millis(20)), Some(Duration::from_millis(300)));
    let browse = Class { name: "browse".to_owned(), share: 0.9, work, target };
    let work = Delay::Drawn(Distribution::Exponential { mean: 0.08 });
    let buy = Class { name: "buy".to_owned(), share: 0.1, work, target: Some(seconds(1)) };
    assert_eq!(scenario.traffic, Traffic { load, classes: vec![browse, buy] });
    let budget = Some(RetryBudget::Active { share: 0.2, at_least: 4 });
    let client = Client {
        timeout: Some(seconds(2)),
        cancels: true,
        patience: Some(Delay::Drawn(Distribution::Exponential { mean: 1.0 })),
        retries: Retries { attempts: count(3), budget, ..Retries::NONE },
    };
    assert_eq!(scenario.client, client);
    let users = PLANE.replace("rate = 900", "users = 50\nthink = \"1s\"");
    let bursty = "arrivals = { bursty = { peak = 4, lasts = \"2s\", every = \"20s\" } }\n";
    let load = Load::Closed { users: count(50), think: fixed(1) };
    assert_eq!(read(&users.replace(bursty, "")).traffic.load, load);
}

#[test]
fn balancers_are_as_written() {
    let scenario = read(PLANE);
    let balancer = Balancer {
        count: count(3),
        policy: Choice::LeastRequest(count(3)),
        new_weight: 0.5,
        discovery: Discovery::Static,
        propagation: Delay::NONE,
        draining: true,
        subset: Some(count(4)),
        slow_start: Some(SlowStart { window: seconds(60), aggression: 2.0, least: 0.05 }),
        health_check: Some(HealthCheck {
            period: seconds(5),
            timeout: seconds(2),
            first: FirstCheck::After(seconds(1)),
            success_threshold: count(2),
            failure_threshold: count(4),
            assume_healthy: false,
            work: Some(Duration::from_millis(1)),
            false_failures: 0.01,
        }),
        ejection: Some(Ejection {
            consecutive_errors: count(2),
            within: Some(seconds(10)),
            lasts: fixed(20),
            whole_seconds: true,
            grows: true,
            trial: true,
            counts: Failures::Connect,
            most: 0.5,
        }),
        panic_threshold: 0.4,
        fallback_to_terminating: true,
        connect: Connect {
            timeout: Duration::from_millis(500),
            retries: 2,
            pause: Duration::ZERO,
            redispatch: Redispatch::Other,
        },
        max_connections: Some(count(16)),
        queue: 100,
    };
    assert_eq!(scenario.balancer, balancer);
}

#[test]
fn the_first_check_has_its_moment() {
    for (written, then) in [
        ("phase = \"1s\", ", FirstCheck::After(seconds(1))),
        ("spread = true, ", FirstCheck::Spread),
        ("spread = false, ", FirstCheck::AtRandom),
        ("", FirstCheck::AtRandom),
    ] {
        let check = read(&PLANE.replace("phase = \"1s\", ", written)).balancer.health_check;
        assert_eq!(check.map(|check| check.first), Some(then), "{written}");
    }
}

#[test]
fn every_policy_can_be_written() {
    let written = "{ least_request = { choices = 3 } }";
    for (text, then) in [
        (r#""round-robin""#, Choice::RoundRobin),
        (r#""random""#, Choice::Random),
        (r#""least-connections""#, Choice::LeastConnections(Ties::Random)),
        (r#"{ least_connections = { ties = "turns" } }"#, Choice::LeastConnections(Ties::Turns)),
        (r#""power-of-two""#, Choice::LeastRequest(count(2))),
        (r#""join-idle-queue""#, Choice::JoinIdleQueue),
        (r#""peak-ewma""#, Choice::PeakEwma { decay: seconds(10) }),
        (r#"{ peak_ewma = { decay = "5s" } }"#, Choice::PeakEwma { decay: seconds(5) }),
        ("{ consistent_hash = { keys = 99 } }", Choice::ConsistentHash { keys: count(99), bound: 1.25 }),
    ] {
        assert_eq!(read(&PLANE.replace(written, text)).balancer.policy, then, "{text}");
    }
}

#[test]
fn what_breaks_is_as_written() {
    let scenario = read(PLANE);
    let crash = Crash { mtbf: seconds(30 * 86_400), repair: fixed(60), hits: Hits::Instance, crews: Some(count(2)) };
    let outage = Outage { at: seconds(300), whom: Whom::Zone(2), repair: fixed(180), silent: true };
    let slow = vec![
        Slow { at: seconds(60), lasts: seconds(30), factor: 3.0, whom: Whom::Count(count(2)) },
        Slow { at: seconds(120), lasts: seconds(30), factor: 2.0, whom: Whom::Zone(1) },
    ];
    assert_eq!(scenario.faults, Faults { crash: Some(crash), outage: Some(outage), slow });
    assert!(scenario.release.drain_ends_when_idle);
    let warm_up = WarmUp { factor: 3.0, over: WarmUpOver::Requests(count(500)), shape: WarmUpShape::Linear };
    assert_eq!(scenario.release.warm_up, Some(warm_up));
}

/// What is said of the plane with one part of it replaced. The line that is told holds the field's own key, or that of the
/// nearest table around it.
#[track_caller]
fn rejects(from: &str, to: &str, then: &str) {
    let text = PLANE.replacen(from, to, 1);
    assert_ne!(text, PLANE, "`{from}` stands in the file");
    let told = problem(&text);
    let (place, problem) = told.strip_prefix("fleet.toml:").and_then(|told| told.split_once(": ")).expect("a place");
    assert_eq!(problem, then);
    let line = text.lines().nth(place.parse::<usize>().expect("a line") - 1).expect("a line of the file");
    let (field, _) = then.split_once(": ").expect("a field");
    let named = field.split(['.', '[']).rev().any(|key| line.contains(key.trim_matches(['"', ']'])));
    assert!(named, "`{line}` is told for {field}");
}

#[test]
fn the_service_and_its_traffic_hold_together() {
    rejects(
        "error_rate",
        "shed_after = \"1s\"\nerror_rate",
        r#"service.shed_after: only with discipline = "fifo" does anybody wait in an instance"#,
    );
    rejects("peak = 4", "peak = 1", "traffic.arrivals.bursty.peak: must be above 1 and at most 1,000,000");
    rejects(
        "peak = 4",
        "peak = 11",
        "traffic.arrivals.bursty.every: must be at least peak × lasts, or the lulls could not make up for the bursts",
    );
    rejects("{ bursty = {", "{ bursts = {", "traffic.arrivals.bursts: unknown key, did you mean `bursty`?");
    rejects("rate = 900", "users = 9", "traffic.arrivals: must be left out, for users come when they wish");
    rejects("rate = 900", "rate = 900\nthink = \"1s\"", "traffic.think: only users think");
    let bursty = "rate = 900\narrivals = { bursty = { peak = 4, lasts = \"2s\", every = \"20s\" } }\n";
    rejects(bursty, "users = 9\n", "traffic.think: must be given with users");
    rejects(
        bursty,
        "users = 9\nthink = \"0s\"\n",
        "traffic.think: must take time, or users whose requests fail at once would ask without end",
    );
    rejects("share = \"90%\"", "share = \"80%\"", "traffic.class: must have shares that come to 100%");
    rejects("share = \"90%\"", "share = \"0%\"", "traffic.class.browse.share: must exceed 0%");
    rejects("work = \"20ms\"\n", "", "traffic.class.browse.work: must be given, here or for all traffic");
    rejects("target = \"1s\"", "target = \"0s\"", "traffic.class.buy.target: must exceed 0");
    rejects(
        "class.browse]",
        "class.\"a b\"]",
        "traffic.class.\"a b\": must be named with at most 60 letters, digits, dots, dashes and underscores",
    );
}

#[test]
fn clients_hold_together() {
    rejects(
        "timeout = \"2s\"\ncancels = true\npatience = { exponential = { mean = \"1s\" } }",
        "cancels = true",
        "client.cancels: only clients with a timeout or patience give up",
    );
    let budget = "budget = { active = { share = \"20%\", at_least = 4 } }";
    rejects(budget, "budget = {}", "client.retries.budget: must hold exactly one of active, tokens, throttle");
    rejects(
        budget,
        "budget = { tokens = { size = 0.5, deposit = 0.1 } }",
        "client.retries.budget.tokens.size: must be from 1 to 1,000,000",
    );
    rejects(
        budget,
        "budget = { throttle = { size = 10, deposit = -1 } }",
        "client.retries.budget.throttle.deposit: must be from 0 to 1,000,000",
    );
}

#[test]
fn balancers_hold_together() {
    rejects("count = 3", "count = 1001", "balancer.count: must be from 1 to 1,000");
    rejects("choices = 3", "choices = 1", "balancer.policy.least_request.choices: must be from 2 to 100");
    rejects(
        "{ least_request = { choices = 3 } }",
        "{}",
        "balancer.policy: must hold exactly one of least_connections, least_request, peak_ewma, consistent_hash",
    );
    rejects(
        "{ least_request = { choices = 3 } }",
        "{ consistent_hash = { keys = 5, bound = 1 } }",
        "balancer.policy.consistent_hash.bound: must be from 1.001 to 1,000,000",
    );
    rejects(
        "{ least_request = { choices = 3 } }",
        "3",
        r#"balancer.policy: must be a word such as "round-robin", or a table such as { least_request = { choices = 3 } }"#,
    );
    rejects("new_weight = 0.5", "new_weight = 0", "balancer.new_weight: must be from 0.001 to 1,000");
    rejects(
        "[strategy.one.octopus]",
        "[strategy.one.kubernetes]",
        r#"balancer.discovery: must be "service" where a strategy's orchestrator does not start instances in the places of old ones"#,
    );
    rejects("aggression = 2", "aggression = 0", "balancer.slow_start.aggression: must be from 0.01 to 100");
    rejects("least = \"5%\"", "least = \"0%\"", "balancer.slow_start.least: must exceed 0%");
    rejects("period = \"5s\"", "period = \"0s\"", "balancer.health_check.period: must exceed 0");
    rejects(
        "phase = \"1s\"",
        "phase = \"1s\", spread = true",
        "balancer.health_check.spread: must be absent with a phase",
    );
    rejects("work = \"1ms\"", "work = \"0s\"", "balancer.health_check.work: must exceed 0");
    rejects(
        "{ least_request = { choices = 3 } }",
        "{ least_connections = { ties = \"coin\" } }",
        r#"balancer.policy.least_connections.ties: must be "random" or "turns""#,
    );
    rejects("lasts = \"20s\"", "lasts = \"0s\"", "balancer.ejection.lasts: must take time");
    rejects(
        "redispatch = \"other\"",
        "redispatch = \"other\", pause = \"1s\"",
        r#"balancer.connect.pause: only with redispatch = "same" is there a pause"#,
    );
    rejects(
        "timeout = \"500ms\"",
        "timeout = \"3h\"",
        "balancer.connect: timeout and pause must be short enough that at most 20,000,000 requests wait to connect at once",
    );
    rejects("max_connections = 16\n", "", "balancer.queue: only with max_connections do requests wait here");
}

#[test]
fn faults_hold_together() {
    rejects("factor = 3, inst", "factor = 0, inst", "faults.slow[0].factor: must be above 0 and at most 1,000,000");
    rejects(
        ", zone = 1",
        ", zone = 1, share = \"1%\"",
        "faults.slow[1]: must hold exactly one of share, instances, zone",
    );
    rejects("crews = 2", "crews = 0", "faults.crash.crews: must be from 1 to 100,000");
}
