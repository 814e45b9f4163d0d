//! Which instance gets a request, out of those that the balancer believes in. What it believes lags behind the fleet
//! by the propagation delay; the engine brings the news.

mod least;

use crate::fleet::InstanceId;
use crate::random::below;
use crate::scenario::Choice;
use least::LeastOpen;

/// A balancer with its own view of the fleet.
#[derive(Clone, Debug)]
pub struct Balancer {
    choice: Choice,
    /// Believed in, in the order of listing.
    members: Vec<InstanceId>,
    /// Who is among the members, by instance.
    listed: Vec<bool>,
    /// Open requests by instance, those of instances that left included.
    open: Vec<u32>,
    /// The round-robin's next turn.
    turn: usize,
    least: LeastOpen,
}

impl Balancer {
    /// A balancer that believes in nobody.
    pub fn new(choice: Choice) -> Self {
        Balancer {
            choice,
            members: Vec::new(),
            listed: Vec::new(),
            open: Vec::new(),
            turn: 0,
            least: LeastOpen::default(),
        }
    }

    /// Whether requests may be sent to an instance.
    pub fn believes_in(&self, instance: InstanceId) -> bool {
        self.listed.get(instance.index()).copied().unwrap_or(false)
    }

    /// How many instances requests may be sent to.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// From now on an instance gets requests.
    pub fn list(&mut self, instance: InstanceId) {
        debug_assert!(!self.believes_in(instance), "{instance:?} is listed already");
        self.members.push(instance);
        self.make_room(instance);
        self.listed[instance.index()] = true;
        if self.choice == Choice::LeastConnections {
            self.least.insert(instance, self.open[instance.index()]);
        }
    }

    /// From now on an instance gets no request.
    pub fn unlist(&mut self, instance: InstanceId) {
        let place = self.members.iter().position(|member| *member == instance);
        let place = place.expect("only a listed instance is unlisted");
        self.members.remove(place);
        self.listed[instance.index()] = false;
        if place < self.turn {
            self.turn -= 1;
        }
        if self.choice == Choice::LeastConnections {
            self.least.remove(instance);
        }
    }

    /// The instance for a request with this luck; `None` when the balancer believes in nobody.
    pub fn choose(&mut self, luck: u64) -> Option<InstanceId> {
        let count = self.members.len() as u32;
        if count == 0 {
            return None;
        }
        let (low, high) = (luck as u32, (luck >> 32) as u32);
        let place = match self.choice {
            Choice::RoundRobin => {
                if self.turn >= self.members.len() {
                    self.turn = 0;
                }
                self.turn += 1;
                self.turn - 1
            }
            Choice::Random => below(high, count) as usize,
            Choice::LeastConnections => return Some(self.least.choose(high)),
            Choice::PowerOfTwo if count == 1 => 0,
            Choice::PowerOfTwo => {
                let first = below(high, count);
                let other = below(low, count - 1);
                let second = other + u32::from(other >= first);
                let open = |place: u32| self.open[self.members[place as usize].index()];
                // The pair is drawn in random order, so the first of a tie is a random one.
                let pick = if open(second) < open(first) { second } else { first };
                pick as usize
            }
        };
        Some(self.members[place])
    }

    /// An attempt was sent to an instance.
    pub fn opened(&mut self, instance: InstanceId) {
        self.make_room(instance);
        let open = &mut self.open[instance.index()];
        *open += 1;
        if self.choice == Choice::LeastConnections {
            self.least.update(instance, *open);
        }
    }

    /// An attempt at an instance ended, well or badly.
    pub fn closed(&mut self, instance: InstanceId) {
        let open = &mut self.open[instance.index()];
        debug_assert!(*open > 0, "an attempt at {instance:?} ended twice");
        *open -= 1;
        if self.choice == Choice::LeastConnections {
            self.least.update(instance, *open);
        }
    }

    /// Open attempts at an instance.
    pub fn open(&self, instance: InstanceId) -> u32 {
        self.open.get(instance.index()).copied().unwrap_or(0)
    }

    fn make_room(&mut self, instance: InstanceId) {
        if instance.index() >= self.open.len() {
            self.open.resize(instance.index() + 1, 0);
            self.listed.resize(instance.index() + 1, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::mix;

    fn balancer(choice: Choice, members: u32) -> Balancer {
        let mut balancer = Balancer::new(choice);
        for member in 0..members {
            balancer.list(InstanceId(member));
        }
        balancer
    }

    fn picks(balancer: &mut Balancer, count: u64) -> Vec<u32> {
        (0..count).map(|n| balancer.choose(mix(n)).expect("there are members").0).collect()
    }

    #[test]
    fn nobody_to_choose_is_no_choice() {
        for choice in [Choice::RoundRobin, Choice::Random, Choice::LeastConnections, Choice::PowerOfTwo] {
            assert_eq!(Balancer::new(choice).choose(5), None);
        }
    }

    #[test]
    fn round_robin_takes_turns_when_members_come_and_go() {
        let mut balancer = balancer(Choice::RoundRobin, 3);
        assert_eq!(picks(&mut balancer, 4), [0, 1, 2, 0]);
        balancer.unlist(InstanceId(0));
        assert_eq!(picks(&mut balancer, 3), [1, 2, 1]);
        balancer.list(InstanceId(9));
        assert_eq!(picks(&mut balancer, 3), [2, 9, 1]);
    }

    #[test]
    fn random_choices_are_even() {
        let mut balancer = balancer(Choice::Random, 10);
        let mut counts = [0; 10];
        for pick in picks(&mut balancer, 100_000) {
            counts[pick as usize] += 1;
        }
        // Binomial(100,000; 1/10): standard deviation about 95.
        assert!(counts.iter().all(|count: &i32| (count - 10_000).abs() < 400), "{counts:?}");
    }

    #[test]
    fn of_two_the_one_with_fewer_open_requests_is_chosen() {
        let mut balancer = balancer(Choice::PowerOfTwo, 2);
        balancer.opened(InstanceId(0));
        assert!(picks(&mut balancer, 100).iter().all(|pick| *pick == 1));
        balancer.opened(InstanceId(1));
        let ones = picks(&mut balancer, 10_000).iter().filter(|pick| **pick == 1).count();
        assert!(ones.abs_diff(5_000) < 200, "ties fall to chance: {ones}");
    }

    #[test]
    fn least_connections_agrees_with_a_plain_search() {
        let mut balancer = balancer(Choice::LeastConnections, 20);
        let mut sent: Vec<InstanceId> = Vec::new();
        for n in 0..20_000u64 {
            let luck = mix(n);
            match luck % 7 {
                0 if balancer.size() > 3 => {
                    let leaving = balancer.members[luck as usize % balancer.size()];
                    balancer.unlist(leaving);
                }
                1 => {
                    let coming = InstanceId(luck as u32 % 20);
                    if !balancer.believes_in(coming) {
                        balancer.list(coming);
                    }
                }
                2..=4 => {
                    let pick = balancer.choose(luck).expect("there are members");
                    let fewest = balancer.members.iter().map(|member| balancer.open(*member)).min();
                    assert_eq!(Some(balancer.open(pick)), fewest);
                    assert!(balancer.believes_in(pick));
                    balancer.opened(pick);
                    sent.push(pick);
                }
                _ if !sent.is_empty() => {
                    let ended = sent.swap_remove(luck as usize % sent.len());
                    balancer.closed(ended);
                }
                _ => {}
            }
        }
    }
}
