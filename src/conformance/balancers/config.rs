//! What the configuration of a real load balancer says, in the words of a scenario. Lines that are not told here change
//! nothing that is simulated.
//!
//! Sources: the HAProxy 2.6 configuration manual (`balance`, `retries`, `option redispatch`, `server`, `timeout connect`)
//! and `src/backend.c`: a try that is refused waits for the shorter of one second and `timeout connect` before the same
//! server is tried again, and not at all where it goes to another one. The nginx documentation of
//! `ngx_http_upstream_module` and `ngx_http_proxy_module`, and `src/http/ngx_http_upstream_round_robin.c`: a request
//! goes on to a server that it has not tried, and a server that failed is left out for `fail_timeout`.

use crate::distribution::Delay;
use crate::scenario::{
    Balancer, Choice, Connect, Discovery, Ejection, Failures, FirstCheck, HealthCheck, Redispatch, Ties,
};
use std::num::NonZeroU32;
use std::time::Duration;

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// HAProxy.
    HaProxy,
    /// nginx.
    Nginx,
}

/// Enough that none is refused for want of room.
const QUEUE: u32 = 1_000_000;

/// The balancer that a configuration says; otherwise what must hold.
pub(super) fn balancer(product: Product, text: &str) -> Result<Balancer, String> {
    match product {
        Product::HaProxy => haproxy(text),
        Product::Nginx => nginx(text),
    }
}

fn at_places(policy: Choice) -> Balancer {
    Balancer { discovery: Discovery::Static, queue: QUEUE, ..Balancer::plain(policy) }
}

// --- HAProxy
// -----------------------------------------------------------------------------------------------------------

/// The options of a `server` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Server {
    is_checked: bool,
    inter: Duration,
    fall: NonZeroU32,
    rise: NonZeroU32,
    maxconn: Option<NonZeroU32>,
}

impl Server {
    /// HAProxy's own defaults.
    const DEFAULT: Server = Server {
        is_checked: false,
        inter: Duration::from_secs(2),
        fall: NonZeroU32::new(3).expect("not 0"),
        rise: NonZeroU32::new(2).expect("not 0"),
        maxconn: None,
    };
}

fn haproxy(text: &str) -> Result<Balancer, String> {
    let (mut policy, mut connect_timeout, mut retries) = (Choice::RoundRobin, Duration::from_secs(1), 3);
    let mut redispatch = Redispatch::Same;
    let mut server: Option<Server> = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["balance", algorithm, ..] => policy = algorithm_of(algorithm)?,
            ["timeout", "connect", span] => connect_timeout = duration(span, Duration::from_millis(1))?,
            ["retries", count] => retries = number(count, MOST_TRIES)?,
            ["option", "redispatch", "1"] => redispatch = Redispatch::Other,
            ["option", "redispatch", ..] => return Err("must say `option redispatch 1`, or nothing of it".to_owned()),
            ["server", _, _, ref options @ ..] => {
                let next = server_of(options)?;
                if server.replace(next).is_some_and(|before| before != next) {
                    return Err("must hold servers that are all alike".to_owned());
                }
            }
            _ => {}
        }
    }
    let server = server.ok_or("must hold a server")?;
    // What a check may take is bounded by the time of a connection and of the whole check.
    let check = HealthCheck {
        period: server.inter,
        timeout: connect_timeout.min(server.inter),
        first: FirstCheck::Spread,
        success_threshold: server.rise,
        failure_threshold: server.fall,
        assume_healthy: true,
        work: None,
        false_failures: 0.0,
    };
    let pause = match redispatch {
        Redispatch::Same => connect_timeout.min(Duration::from_secs(1)),
        Redispatch::Other | Redispatch::Untried => Duration::ZERO,
    };
    Ok(Balancer {
        health_check: server.is_checked.then_some(check),
        connect: Connect { timeout: connect_timeout, retries, pause, redispatch },
        max_connections: server.maxconn,
        ..at_places(policy)
    })
}

fn algorithm_of(word: &str) -> Result<Choice, String> {
    match word {
        "roundrobin" | "static-rr" => Ok(Choice::RoundRobin),
        "leastconn" => Ok(Choice::LeastConnections(Ties::Turns)),
        "random" => Ok(Choice::POWER_OF_TWO), // Two draws, and the less loaded one, unless it says otherwise.
        _ => Err(format!("must balance by roundrobin, static-rr, leastconn or random, not `{}`", word.escape_debug())),
    }
}

fn server_of(options: &[&str]) -> Result<Server, String> {
    let mut server = Server::DEFAULT;
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().copied().ok_or(format!("must give `{option}` a value"));
        match *option {
            "check" => server.is_checked = true,
            "inter" => server.inter = duration(value()?, Duration::from_millis(1))?,
            "fall" => server.fall = count(value()?)?,
            "rise" => server.rise = count(value()?)?,
            "maxconn" => server.maxconn = NonZeroU32::new(number(value()?, MOST)?),
            other => {
                let known = "check, inter, fall, rise and maxconn";
                return Err(format!("must hold servers with {known} only, not `{}`", other.escape_debug()));
            }
        }
    }
    if server.inter.is_zero() { Err("must check at intervals above 0".to_owned()) } else { Ok(server) }
}

// --- nginx
// -------------------------------------------------------------------------------------------------------------

/// The parameters of a `server` in an `upstream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peer {
    max_fails: u32,
    fail_timeout: Duration,
}

fn nginx(text: &str) -> Result<Balancer, String> {
    let mut policy = Choice::RoundRobin;
    let (mut connect_timeout, mut tries, mut goes_on) = (Duration::from_mins(1), 0, true);
    let mut peer: Option<Peer> = None;
    for directive in text.split([';', '{', '}']) {
        let words: Vec<&str> = directive.split_whitespace().collect();
        match words[..] {
            ["least_conn"] => policy = Choice::LeastConnections(Ties::Turns),
            [word @ ("hash" | "ip_hash" | "least_time" | "random"), ..] => {
                return Err(format!("must balance by turns or least_conn, not by {word}"));
            }
            ["server", _, ref parameters @ ..] => {
                let next = peer_of(parameters)?;
                if peer.replace(next).is_some_and(|before| before != next) {
                    return Err("must hold servers that are all alike".to_owned());
                }
            }
            ["proxy_connect_timeout", span] => connect_timeout = duration(span, Duration::from_secs(1))?,
            ["proxy_next_upstream", ref causes @ ..] => goes_on = causes.contains(&"error"),
            ["proxy_next_upstream_tries", count] => tries = number(count, MOST_TRIES)?,
            _ => {}
        }
    }
    let peer = peer.ok_or("must hold a server")?;
    let ejection = Ejection {
        consecutive_errors: NonZeroU32::new(peer.max_fails).unwrap_or(NonZeroU32::MIN),
        within: Some(peer.fail_timeout),
        lasts: Delay::Fixed(peer.fail_timeout),
        whole_seconds: true,
        grows: false,
        trial: true,
        counts: Failures::Connect,
        most: 1.0,
    };
    let retries = match (goes_on, tries) {
        (false, _) => 0,
        (true, 0) => MOST_TRIES, // Each server once.
        (true, tries) => tries - 1,
    };
    Ok(Balancer {
        ejection: (peer.max_fails > 0).then_some(ejection),
        connect: Connect { timeout: connect_timeout, retries, pause: Duration::ZERO, redispatch: Redispatch::Untried },
        ..at_places(policy)
    })
}

fn peer_of(parameters: &[&str]) -> Result<Peer, String> {
    let mut peer = Peer { max_fails: 1, fail_timeout: Duration::from_secs(10) };
    for parameter in parameters {
        match parameter.split_once('=') {
            Some(("max_fails", count)) => peer.max_fails = number(count, MOST)?,
            Some(("fail_timeout", span)) => peer.fail_timeout = duration(span, Duration::from_secs(1))?,
            _ => {
                let known = "max_fails and fail_timeout";
                return Err(format!("must hold servers with {known} only, not `{}`", parameter.escape_debug()));
            }
        }
    }
    if peer.fail_timeout.is_zero() { Err("must have a fail_timeout above 0".to_owned()) } else { Ok(peer) }
}

// --- values
// ------------------------------------------------------------------------------------------------------------

/// The most of anything that is counted.
const MOST: u32 = 10_000;
/// The most further tries of a request.
const MOST_TRIES: u32 = 100;
/// The longest time that either product may be told.
const LONGEST: Duration = Duration::from_hours(1);

/// A time such as `500ms`, `1s` or `2m`; without a unit it counts in `bare`.
fn duration(text: &str, bare: Duration) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit = match &text[digits..] {
        "" => Some(bare),
        "ms" => Some(Duration::from_millis(1)),
        "s" => Some(Duration::from_secs(1)),
        "m" => Some(Duration::from_mins(1)),
        _ => None,
    };
    let span = text[..digits].parse().ok().zip(unit).and_then(|(count, unit)| unit.checked_mul(count));
    let problem = || format!("must tell times such as 500ms up to an hour, not `{}`", text.escape_debug());
    span.filter(|span| *span <= LONGEST).ok_or_else(problem)
}

fn number(text: &str, most: u32) -> Result<u32, String> {
    let problem = || format!("must tell a count from 0 to {most} here, not `{}`", text.escape_debug());
    text.parse().ok().filter(|number| *number <= most).ok_or_else(problem)
}

fn count(text: &str) -> Result<NonZeroU32, String> {
    let problem = || format!("must tell a count from 1 to {MOST} here, not `{}`", text.escape_debug());
    text.parse().ok().filter(|count: &NonZeroU32| count.get() <= MOST).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAPROXY: &str = "global\n  maxconn 4000\ndefaults\n  timeout connect 500ms\n  timeout client 30s\n  retries 2\n\
        frontend f\n  bind 127.0.0.1:30000\nbackend b\n  balance leastconn\n  option httpchk GET /health\n  \
        server s0 127.0.0.1:1 check inter 400 fall 4 rise 5 maxconn 6\n  \
        server s1 127.0.0.1:2 check inter 400ms fall 4 rise 5 maxconn 6\n";

    const NGINX: &str = "http { upstream b { least_conn; server 127.0.0.1:1 max_fails=3 fail_timeout=20s; \
        server 127.0.0.1:2 fail_timeout=20 max_fails=3; }\n server { listen 127.0.0.1:30000 backlog=1024; \
        location / { proxy_pass http://b; proxy_connect_timeout 2; proxy_next_upstream_tries 4; } } }";

    fn times(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).expect("not 0")
    }

    #[test]
    fn haproxy_is_as_written() {
        let balancer = haproxy(HAPROXY).expect("a good configuration");
        let check = HealthCheck {
            period: Duration::from_millis(400),
            timeout: Duration::from_millis(400),
            first: FirstCheck::Spread,
            success_threshold: times(5),
            failure_threshold: times(4),
            assume_healthy: true,
            work: None,
            false_failures: 0.0,
        };
        let half = Duration::from_millis(500);
        let expected = Balancer {
            health_check: Some(check),
            connect: Connect { timeout: half, retries: 2, pause: half, redispatch: Redispatch::Same },
            max_connections: Some(times(6)),
            ..at_places(Choice::LeastConnections(Ties::Turns))
        };
        assert_eq!(balancer, expected);
        let redispatched = haproxy(&HAPROXY.replace("  retries 2\n", "  retries 2\n  option redispatch 1\n"));
        let connect = Connect { pause: Duration::ZERO, redispatch: Redispatch::Other, ..expected.connect };
        assert_eq!(redispatched, Ok(Balancer { connect, ..expected }));
        // What is left out has HAProxy's defaults.
        let bare = haproxy("backend b\n  server s0 127.0.0.1:1 check\n").expect("a good configuration");
        let check = bare.health_check.expect("it is checked");
        assert_eq!(
            (check.period, check.failure_threshold, check.success_threshold),
            (Duration::from_secs(2), times(3), times(2))
        );
        assert_eq!((bare.policy, bare.connect.retries, bare.max_connections), (Choice::RoundRobin, 3, None));
    }

    #[test]
    fn nginx_is_as_written() {
        let balancer = nginx(NGINX).expect("a good configuration");
        let twenty = Duration::from_secs(20);
        let ejection = Ejection {
            consecutive_errors: times(3),
            within: Some(twenty),
            lasts: Delay::Fixed(twenty),
            whole_seconds: true,
            grows: false,
            trial: true,
            counts: Failures::Connect,
            most: 1.0,
        };
        let (timeout, redispatch) = (Duration::from_secs(2), Redispatch::Untried);
        let expected = Balancer {
            ejection: Some(ejection),
            connect: Connect { timeout, retries: 3, pause: Duration::ZERO, redispatch },
            ..at_places(Choice::LeastConnections(Ties::Turns))
        };
        assert_eq!(balancer, expected);
        let bare = nginx("upstream b { server 127.0.0.1:1; }").expect("a good configuration");
        let ejection = bare.ejection.expect("a failed server is left out");
        assert_eq!((ejection.consecutive_errors, ejection.lasts), (times(1), Delay::Fixed(Duration::from_secs(10))));
        assert_eq!((bare.policy, bare.connect.retries), (Choice::RoundRobin, MOST_TRIES));
        let patient = nginx("upstream b { server 127.0.0.1:1 max_fails=0; } proxy_next_upstream off;");
        let patient = patient.expect("a good configuration");
        assert_eq!((patient.ejection, patient.connect.retries), (None, 0));
    }

    /// A configuration with one edit is refused with this.
    #[track_caller]
    fn refuses(product: Product, from: &str, to: &str, then: &str) {
        let text = if product == Product::HaProxy { HAPROXY } else { NGINX };
        assert!(text.contains(from), "{from} is written");
        assert_eq!(balancer(product, &text.replace(from, to)), Err(then.to_owned()));
    }

    #[test]
    fn what_cannot_be_simulated_is_refused() {
        let haproxy = |from, to, then: &str| refuses(Product::HaProxy, from, to, then);
        haproxy("leastconn", "uri", "must balance by roundrobin, static-rr, leastconn or random, not `uri`");
        haproxy("retries 2", "option redispatch", "must say `option redispatch 1`, or nothing of it");
        haproxy("retries 2", "retries 101", "must tell a count from 0 to 100 here, not `101`");
        haproxy("inter 400ms", "inter 500ms", "must hold servers that are all alike");
        haproxy("inter 400 ", "inter 0 ", "must check at intervals above 0");
        haproxy("inter 400 ", "inter 4x ", "must tell times such as 500ms up to an hour, not `4x`");
        haproxy("fall 4", "fall 0", "must tell a count from 1 to 10000 here, not `0`");
        haproxy("maxconn 6", "maxconn", "must give `maxconn` a value");
        let known = "must hold servers with check, inter, fall, rise and maxconn only, not";
        haproxy("maxconn 6", "backup", &format!("{known} `backup`"));
        haproxy("server ", "servers ", "must hold a server");
        let nginx = |from, to, then: &str| refuses(Product::Nginx, from, to, then);
        nginx("least_conn", "ip_hash", "must balance by turns or least_conn, not by ip_hash");
        nginx("fail_timeout=20s", "fail_timeout=0", "must have a fail_timeout above 0");
        nginx("fail_timeout=20s", "fail_timeout=2h", "must tell times such as 500ms up to an hour, not `2h`");
        nginx("fail_timeout=20s", "weight=2", "must hold servers with max_fails and fail_timeout only, not `weight=2`");
        nginx("max_fails=3;", "max_fails=4;", "must hold servers that are all alike");
    }
}
