//! A queueing station: servers with one queue for all of them, or each with its own behind a balancer.

use super::draft::{Times, share, span};
use super::work::Work;
use super::{Effort, Reader};
use crate::scenario::InputError;

/// Requests that one run measures at least.
const REQUESTS_A_RUN: f64 = 20_000.0;
/// Runs at the least: the standard error of fewer is a matter of luck itself.
const RUNS: u32 = 16;
/// The most that may be in an instance's queue, and in those of all instances.
const MOST_PLACES: u32 = 1_000_000;
const MOST_PLACES_OF_ALL: u32 = 19_000_000;
/// The part of the requests that is of a size that is looked at.
const TAGGED_PART: f64 = 0.1;
/// The unit of time where none is named: 1 is a second.
const UNIT_S: f64 = 1.0;

/// How requests find a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One queue for all servers.
    Central,
    /// Each server has a queue of its own.
    Separate(Policy),
}

/// Who chooses the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    RoundRobin,
    Random,
    /// The shortest of all.
    Shortest,
    /// The shortest of so many distinct ones.
    ShortestOf(u32),
    /// One that is idle, else any.
    Idle,
}

impl Policy {
    /// What a text says: "rr", "round robin", "random", "JSQ, random tie", "jsq2", "jiq (random idle else random)".
    fn read(text: &str) -> Option<Self> {
        let name = text.split(|c: char| c.is_whitespace() || c == ',' || c == '(').next()?;
        match name {
            "rr" | "round" | "round-robin" => Some(Policy::RoundRobin),
            "random" => Some(Policy::Random),
            "jsq" | "least" | "least-connections" => Some(Policy::Shortest),
            "jiq" => Some(Policy::Idle),
            "po2" | "power-of-two" => Some(Policy::ShortestOf(2)),
            _ => Policy::shortest_of(name.strip_prefix("jsq")?.parse().ok()?),
        }
    }

    /// The shortest of so many.
    fn shortest_of(choices: u32) -> Option<Self> {
        match choices {
            0 => None,
            1 => Some(Policy::Random),
            _ => Some(Policy::ShortestOf(choices)),
        }
    }

    /// The line of `[balancer]`.
    pub(super) fn written(self) -> String {
        match self {
            Policy::RoundRobin => "policy = \"round-robin\"".to_owned(),
            Policy::Random => "policy = \"random\"".to_owned(),
            Policy::Shortest => "policy = \"least-connections\"".to_owned(),
            Policy::Idle => "policy = \"join-idle-queue\"".to_owned(),
            Policy::ShortestOf(choices) => format!("policy = {{ least_request = {{ choices = {choices} }} }}"),
        }
    }
}

/// Takes out how requests find a server: by one queue where nothing else is said. `None` where it is not known.
fn layout(reader: &mut Reader<'_>) -> Result<Option<Layout>, InputError> {
    reader.params.pass_over(&["choices"]); // Distinct ones, and ties at random, are the only kind there is.
    if let Some(choices) = reader.params.at_least_one("d")? {
        return Ok(Policy::shortest_of(choices).map(Layout::Separate));
    }
    if !reader.params.has("policy") {
        return Ok(Some(Layout::Central));
    }
    let text = reader.params.text("policy").unwrap_or_default();
    let is_central = text.starts_with("central");
    Ok(if is_central { Some(Layout::Central) } else { Policy::read(&text).map(Layout::Separate) })
}

/// Takes out whether servers share what is there. `None` where it is not known.
fn sharing(reader: &mut Reader<'_>) -> Option<bool> {
    match reader.params.text("discipline").as_deref() {
        None | Some("fifo") => Some(false),
        Some("ps" | "processor sharing") => Some(true),
        Some(_) => None,
    }
}

/// Servers, and what comes to them. Times are seconds.
#[derive(Clone, Debug)]
pub(super) struct Station {
    pub(super) servers: u32,
    pub(super) layout: Layout,
    /// Requests a second.
    pub(super) rate: f64,
    /// They are evenly spaced.
    pub(super) even: bool,
    pub(super) work: Work,
    /// How many may wait in each queue; `None`: any number.
    pub(super) places: Option<u32>,
    /// Servers share what is there.
    pub(super) sharing: bool,
    /// Mean patience of those who wait (exponential); whoever gives up is not served.
    pub(super) patience: Option<f64>,
    /// Some requests take just this long, and their mean keeps that of all.
    pub(super) tagged: Option<f64>,
    /// The unit of the parameters.
    pub(super) unit_s: f64,
}

impl Station {
    /// Reads the parameters of a queueing system; `None` where they are not enough.
    ///
    /// # Errors
    /// When one of them is not what it must be.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, InputError> {
        let Some(layout) = layout(reader)? else { return Ok(None) };
        let Some(sharing) = sharing(reader) else { return Ok(None) };
        let params = &mut *reader.params;
        params.pass_over(&["model"]);
        let servers = match params.at_least_one("servers")? {
            Some(servers) => servers,
            None => params.at_least_one("agents")?.unwrap_or(1),
        };
        let Some((work, unit_s)) = work(reader)? else { return Ok(None) };
        let Some((rate, even)) = rate(reader, servers, work.mean)? else { return Ok(None) };
        let params = &mut *reader.params;
        let places = match params.text("queue") {
            Some(text) if text.starts_with("central") => None,
            Some(_) => return Ok(None),
            None => params.count("queue")?,
        };
        let room = params.at_least_one("K_total")?;
        if let Some(room) = room.filter(|room| *room < servers) {
            return Err(params.mistake("K_total", &format!("must be at least the number of servers, not {room}")));
        }
        let mut patience = None;
        for (key, seconds) in [("mean_patience_s", 1.0), ("mean_patience_min", 60.0), ("mean_patience", unit_s)] {
            patience = params.positive(key)?.map(|mean| mean * seconds).or(patience);
        }
        let tagged = params.positive("size")?.map(|size| size * unit_s);
        let places = places.or(room.map(|room| room - servers));
        Ok(Some(Station { servers, layout, rate, even, work, places, sharing, patience, tagged, unit_s }))
    }

    /// Whether it comes to a steady state: not where more comes than can be served and nothing bounds the queue.
    pub(super) fn is_stable(&self) -> bool {
        self.load() < 1.0 || self.places.is_some() || self.patience.is_some()
    }

    /// Busy servers ÷ servers, if nobody were turned away.
    fn load(&self) -> f64 {
        self.rate * self.work.mean / f64::from(self.servers)
    }

    /// About how long it takes until the past is forgotten, seconds: the relaxation time of M/M/c, 1 / (√(cμ) − √λ)² (Cohen,
    /// The Single Server Queue, 1982, for c = 1), as many times as arrivals and work vary more than there; never longer than
    /// what bounds the queue allows.
    fn relaxation(&self) -> f64 {
        let mean = self.work.mean;
        let arrivals = if self.even { 0.0 } else { 1.0 };
        let servers = f64::from(self.servers);
        let (pool, arrivals) = match self.layout {
            Layout::Separate(Policy::RoundRobin) => (1.0, arrivals / servers),
            Layout::Separate(Policy::Random) => (1.0, arrivals),
            Layout::Central | Layout::Separate(_) => (servers, arrivals),
        };
        let variability = f64::midpoint(arrivals, self.work.scv()).max(0.25);
        let gap = 1.0 - libm::sqrt(self.load());
        let endless = if gap > 0.0 { mean * variability / (pool * gap * gap) } else { f64::INFINITY };
        let bounded = match (self.patience, self.places) {
            (Some(patience), _) => patience + mean,
            (None, Some(places)) => mean * (1.0 + f64::from(places + 1) * f64::from(places + 1) / pool),
            (None, None) => f64::INFINITY,
        };
        // Each server's own queue takes its time, too, however well the pool is used.
        let own = 2.0 * mean / (1.0 - self.load()).max(0.1);
        endless.min(bounded) + own
    }

    /// How long to run it so that each run measures at least so many requests, or a part of them in a quick look.
    pub(super) fn times(&self, requests: f64, effort: Effort) -> Times {
        let relaxation = self.relaxation();
        let relaxations = match effort {
            Effort::Full => 16.0,
            Effort::Quick => 8.0,
        };
        let measured = requests.max(REQUESTS_A_RUN) / effort.shortening();
        Times::tenths(6.0 * relaxation, (relaxations * relaxation).max(measured / self.rate), RUNS)
    }

    /// The scenario file, with what is rolled out and how, and when it is measured.
    pub(super) fn scenario(&self, rollout: &str, times: &Times) -> String {
        let (instances, workers, policy) = match self.layout {
            Layout::Central => (1, self.servers, String::new()),
            Layout::Separate(policy) => (self.servers, 1, format!("[balancer]\n{}\n", policy.written())),
        };
        let places = self.places.unwrap_or(MOST_PLACES.min(MOST_PLACES_OF_ALL / instances));
        let discipline = if self.sharing { "discipline = \"processor-sharing\"\n" } else { "" };
        let arrivals = if self.even { "deterministic" } else { "poisson" };
        let client = self.patience.map_or_else(String::new, |mean| {
            format!("[client]\ncancels = true\npatience = {}\n", Work::exponential(mean).written())
        });
        format!(
            "[service]\ninstances = {instances}\nworkers = {workers}\nqueue = {places}\n{discipline}\
             [traffic]\nrate = {:?}\narrivals = \"{arrivals}\"\n{}{client}{policy}\
             {rollout}{}",
            self.rate,
            self.traffic(),
            times.study(),
        )
    }

    fn traffic(&self) -> String {
        let Some(size) = self.tagged else { return format!("work = {}\n", self.work.written()) };
        let part = self.tagged_part(size);
        // Both kinds together have the mean of all.
        let mean = (self.work.mean - part * size) / (1.0 - part);
        format!(
            "[traffic.class.tagged]\nshare = {}\nwork = {}\n[traffic.class.other]\nshare = {}\nwork = {}\n",
            share(part),
            span(size),
            share(1.0 - part),
            self.work.with_mean(mean).written(),
        )
    }

    /// Which part of the requests is of that size: a large size may be but a small one.
    fn tagged_part(&self, size: f64) -> f64 {
        TAGGED_PART.min(self.work.mean / size / 2.0)
    }
}

/// So many servers that nobody ever waits: ten standard deviations of a Poisson number above its mean.
pub(super) fn room_for(mean: f64) -> u32 {
    (mean + 10.0 * libm::sqrt(mean) + 100.0) as u32
}

/// Takes out what a request costs, and the unit of time.
fn work(reader: &mut Reader<'_>) -> Result<Option<(Work, f64)>, InputError> {
    let params = &mut *reader.params;
    for (key, seconds) in [("mean_service_s", 1.0), ("mean_service_min", 60.0), ("mean_service_h", 3600.0)] {
        if let Some(mean) = params.positive(key)? {
            return Ok(Some((Work::exponential(mean * seconds), seconds)));
        }
    }
    let mu = params.positive("mu")?;
    if let Some(text) = params.text("service") {
        return Ok(Work::read(&text, UNIT_S).map(|work| (work, UNIT_S)));
    }
    Ok(Some((Work::exponential(UNIT_S / mu.unwrap_or(1.0)), UNIT_S)))
}

/// Takes out how many requests come in a second, and whether they are evenly spaced.
fn rate(reader: &mut Reader<'_>, servers: u32, mean: f64) -> Result<Option<(f64, bool)>, InputError> {
    let servers = f64::from(servers);
    let params = &mut *reader.params;
    if let Some(text) = params.text("interarrival") {
        let gap = Work::read(&text, UNIT_S);
        return Ok(gap.filter(|gap| gap.scv() == 0.0).map(|gap| (1.0 / gap.mean, true)));
    }
    for (key, factor) in [
        ("rho", servers / mean),
        ("offered_erlangs", 1.0 / mean),
        ("lambda_per_server", servers / UNIT_S),
        ("lambda_", 1.0 / UNIT_S),
        ("lambda_total", 1.0 / UNIT_S),
        ("lambda_per_s", 1.0),
        ("lambda_per_min", 1.0 / 60.0),
        ("lambda_per_h", 1.0 / 3600.0),
        ("arrivals_per_s", 1.0),
        ("arrivals_per_min", 1.0 / 60.0),
        ("arrivals_per_h", 1.0 / 3600.0),
    ] {
        if let Some(number) = params.positive(key)? {
            return Ok(Some((number * factor, false)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_points_write_them() {
        for (text, policy) in [
            ("round robin", Some(Policy::RoundRobin)),
            ("rr", Some(Policy::RoundRobin)),
            ("random", Some(Policy::Random)),
            ("jsq, random tie", Some(Policy::Shortest)),
            ("jsq random tie", Some(Policy::Shortest)),
            ("jsq full", Some(Policy::Shortest)),
            ("jsq2", Some(Policy::ShortestOf(2))),
            ("jsq1", Some(Policy::Random)),
            ("jsq0", None),
            ("jiq (random idle else random)", Some(Policy::Idle)),
            ("lottery", None),
        ] {
            assert_eq!(Policy::read(text), policy, "{text}");
        }
    }
}
