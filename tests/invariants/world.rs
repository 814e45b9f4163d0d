//! What a case's rollout meets: faults, judges, traffic and its clients.

use super::Draft;

impl Draft {
    pub(super) fn faults(&mut self, lasts: u64) {
        let mtbf = (lasts / self.luck.within(1, 20)).max(5_000);
        if self.luck.percent(60) {
            let (repair, share) = (self.luck.delay(20_000).text, self.luck.within(1, 100));
            self.line(format!("[faults.crash]\nmtbf = \"{mtbf}ms\"\nrepair = {repair}"));
            self.text.push_str(&self.plane.crash);
            self.maybe(50, format!(r#"share = "{share}%""#));
        }
        if self.luck.percent(60) {
            let (at, repair) = (self.luck.within(0, lasts / 2), self.luck.delay(20_000).text);
            let whom = match self.luck.within(0, 2) {
                0 => format!(r#"share = "{}%""#, self.luck.within(0, 100)),
                1 => format!("instances = {}", self.luck.count(1, self.desired)),
                _ => "zone = 0".to_owned(),
            };
            self.line(format!("[faults.outage]\nat = \"{at}ms\"\nrepair = {repair}\n{whom}"));
            self.text.push_str(&self.plane.outage);
        }
        self.text.push_str(&self.plane.slow);
    }

    /// Whether somebody has a say besides the orchestrator and its user, seen from a sound release.
    pub(super) fn judge(&mut self, can_be_stuck: bool) -> bool {
        self.line("[rollback]");
        match self.luck.within(0, 5) {
            0 => {
                self.line(r#"policy = "none""#);
                false
            }
            1 => {
                self.line(r#"policy = "pause""#);
                can_be_stuck
            }
            2 | 3 => {
                let (notices, then) = (self.luck.delay(30_000).text, self.luck.pick(&["roll-back", "pause"]));
                let watches_requests = self.luck.percent(50);
                let alarm = if watches_requests { r#", alarm = "5%""# } else { "" };
                self.line(format!(
                    r#"policy = {{ operator = {{ notices_after = {notices}, then = "{then}"{alarm} }} }}"#
                ));
                can_be_stuck || watches_requests
            }
            _ => {
                self.line(r#"policy = "orchestrator""#);
                false
            }
        }
    }

    /// Most of some hundred requests come around the beginning of the rollout. Returns the seconds from one to the
    /// next.
    pub(super) fn traffic(&mut self, rollout_at: u64, run: u64) -> f64 {
        self.line("[traffic]");
        let most = if self.luck.percent(5) { 3_000 } else { 600 };
        let requests = self.luck.within(10, most) as f64;
        let seconds = |millis: u64| millis as f64 / 1000.0;
        let busy = self.luck.within(1, (run - rollout_at) / 4 + 1);
        let gap = match self.luck.within(0, 3) {
            0 => {
                let rate = requests / seconds(run);
                self.line(format!("rate = {rate}"));
                1.0 / rate
            }
            1 => {
                let (rate, amplitude) = (requests / seconds(run), self.luck.within(0, 100));
                let period = self.luck.within(60_000, 600_000);
                let (peak, from) = (self.luck.within(0, period - 1), self.luck.within(0, period - 1));
                self.line(format!(
                    r#"diurnal = {{ mean = {rate}, amplitude = "{amplitude}%", period = "{period}ms", peak_at = "{peak}ms", starts_at = "{from}ms" }}"#
                ));
                1.0 / rate
            }
            _ => {
                let rate = requests / seconds(busy + rollout_at);
                let quiet = (rollout_at + busy, rollout_at + busy + 1 + run / 8);
                self.line(format!(
                    r#"steps = [{{ from = "0s", rate = {rate} }}, {{ from = "{}ms", rate = 0 }}, {{ from = "{}ms", rate = {} }}]"#,
                    quiet.0,
                    quiet.1,
                    rate.min(50.0 / seconds(run)),
                ));
                1.0 / rate
            }
        };
        let is_even = self.luck.percent(20);
        let users = self.plane.users(requests, seconds(run));
        if let Some((users, gap)) = users {
            // They come in place of what was written last.
            let end = self.text.trim_end().rfind('\n').expect("a table was begun") + 1;
            self.text.truncate(end);
            self.line(users);
            self.text.push_str(&self.plane.traffic);
            return gap;
        }
        if let Some(arrivals) = self.plane.arrivals() {
            self.line(arrivals);
        } else if is_even {
            self.line(r#"arrivals = "deterministic""#);
        }
        self.text.push_str(&self.plane.traffic);
        gap
    }

    pub(super) fn client(&mut self, work_millis: u64) -> (bool, u32) {
        self.line("[client]");
        let has_timeout = self.luck.percent(60);
        if has_timeout {
            let timeout = self.luck.within(1, 4 * work_millis + 1);
            self.line(format!(r#"timeout = "{timeout}ms""#));
        }
        let budget = self.plane.client(work_millis, has_timeout);
        self.text.push_str(&self.plane.client);
        let mut attempts = 1;
        if self.luck.percent(50) {
            attempts = self.luck.count(1, 4);
            let (backoff, more) = (self.luck.millis(work_millis + 1000), self.luck.millis(5_000));
            let (limit, jitter) = (backoff + more, self.luck.within(0, 100));
            self.line(format!(
                r#"retries = {{ attempts = {attempts}, backoff = "{backoff}ms", backoff_limit = "{limit}ms", jitter = "{jitter}%"{budget} }}"#
            ));
        }
        (has_timeout, attempts)
    }
}
