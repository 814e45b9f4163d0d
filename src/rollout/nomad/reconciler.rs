//! The scheduler's reconciler: one pass over the allocations of one task group (`computeGroup`). It knows neither fleets
//! nor time.

use super::deployment::{Deployment, GroupState, Standing};
use super::names::NameIndex;
use std::collections::BTreeSet;
use std::time::Duration;

/// A failed allocation is replaced this much before its time (`rescheduleWindowSize`).
const RESCHEDULE_WINDOW: Duration = Duration::from_secs(1);

/// What the group asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// `count`; 0: the group is gone.
    pub count: u32,
    /// `max_parallel`; 0: there is no update block in force.
    pub max_parallel: u32,
    /// `canary`.
    pub canary: u32,
    /// `auto_promote`, `auto_revert` and the deadline of a deployment that this pass creates.
    pub state: GroupState,
}

/// What the job's specification means for an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is of this very specification.
    None,
    /// It can stay, and be told.
    InPlace,
    /// Another one must be placed instead.
    Destructive,
}

/// The node that an allocation is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// It is up.
    Up,
    /// Its allocations are to be moved elsewhere.
    Draining,
    /// It missed its heartbeats.
    Down,
}

/// What the client says of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Its tasks run, or will.
    Running,
    /// A task failed for good.
    Failed,
    /// Its tasks are done.
    Complete,
}

/// Which deployment an allocation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// None that is of interest.
    None,
    /// The one that is handed in.
    OfDeployment,
}

/// An allocation that is wanted so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alloc {
    /// The index in its name.
    pub index: u32,
    /// What the specification means for it.
    pub change: Change,
    /// Where it is.
    pub node: Node,
    /// What its client says.
    pub client: Client,
    /// What deployment it belongs to.
    pub part: Part,
    /// It was placed as a canary of that deployment.
    pub canary: bool,
    /// Whether it is healthy; `None`: unknown yet.
    pub healthy: Option<bool>,
    /// The deployment watcher allows it to be rescheduled.
    pub may_reschedule: bool,
    /// A failed one: how long until it may be replaced; `None`: never.
    pub reschedule_in: Option<Duration>,
    /// It is of the same version of the same job, whether or not that differs in what it runs.
    pub is_of_job: bool,
}

/// An allocation to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The index in its name.
    pub index: u32,
    /// It is a canary.
    pub canary: bool,
    /// It runs the version before, because the canaries of this one are not promoted.
    pub downgrade: bool,
    /// The failed one that it replaces.
    pub reschedules: Option<usize>,
}

/// How many allocations have which fate, as `nomad plan` annotates it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Nothing happens to them.
    pub ignore: usize,
    /// They are placed.
    pub place: usize,
    /// They are stopped, and not replaced in the same breath.
    pub stop: usize,
    /// They are moved from their node.
    pub migrate: usize,
    /// They are updated where they are.
    pub in_place: usize,
    /// They are replaced.
    pub destructive: usize,
    /// They are placed as canaries.
    pub canary: usize,
    /// They are replaced later, if nothing else happens to them.
    pub reschedule_later: usize,
}

/// What a pass decides. Positions are those of the allocations that were handed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be placed.
    pub place: Vec<Place>,
    /// To be stopped and placed anew in one plan.
    pub destructive: Vec<usize>,
    /// To be updated where they are.
    pub in_place: Vec<usize>,
    /// To be stopped.
    pub stop: Vec<usize>,
    /// How many have which fate.
    pub annotations: Annotations,
    /// The deployment's state of the group where this pass creates it.
    pub creates: Option<GroupState>,
    /// The deployment is done.
    pub is_complete: bool,
}

/// One pass.
pub fn reconcile(group: &Group, deployment: Option<&Deployment>, allocs: &[Alloc]) -> Plan {
    let mut pass = Pass::new(group, deployment, allocs);
    let mut all: Vec<usize> = (0..allocs.len()).collect();
    all.sort_by_key(|alloc| allocs[*alloc].index);
    if group.count == 0 {
        pass.plan.annotations.stop = all.len();
        pass.plan.stop = all;
        return pass.plan;
    }
    pass.cancel_unneeded_canaries(&mut all);
    let runs_already = all.iter().any(|alloc| allocs[*alloc].is_of_job);
    let mut sets = pass.sets(all);
    let used = sets.untainted.iter().chain(&sets.migrate).chain(&sets.reschedule_now).chain(&sets.lost);
    let mut names = NameIndex::new(group.count, used.map(|alloc| allocs[*alloc].index));
    pass.compute_stop(&mut sets, &mut names);
    let destructive = sets.by_change(Change::Destructive, allocs).count();
    pass.plan.in_place = sets.by_change(Change::InPlace, allocs).collect();
    pass.plan.annotations.in_place = pass.plan.in_place.len();
    pass.plan.annotations.ignore += sets.by_change(Change::None, allocs).count();
    let requires_canaries =
        group.canary > 0 && destructive > 0 && pass.canaries.len() < group.canary as usize && !pass.state.promoted;
    if requires_canaries {
        pass.place_canaries(sets.by_change(Change::Destructive, allocs), &mut names);
    }
    if pass.is_canarying() {
        sets.untainted.retain(|alloc| !pass.canaries.contains(alloc));
    }
    let budget = pass.budget(&sets, destructive);
    let place = pass.placements(&sets, &mut names);
    if !pass.exists {
        pass.state.desired_total = (destructive + pass.plan.in_place.len() + place.len()) as u32;
    }
    let is_ready = !pass.is_paused && !pass.is_failed && !pass.is_canarying();
    let left = pass.place(&place, &sets, is_ready, budget);
    let replaced = if is_ready { left.min(destructive) } else { 0 };
    pass.plan.annotations.destructive = replaced;
    pass.plan.annotations.ignore += destructive - replaced;
    pass.plan.destructive = sets.by_change(Change::Destructive, allocs).take(replaced).collect();
    pass.migrate(&sets.migrate);
    pass.create_deployment(runs_already, destructive);
    if pass.plan.place.len() > group.count as usize {
        pass.plan.place.truncate(group.count as usize);
        pass.plan.annotations.place = group.count as usize;
    }
    let nothing_to_do = destructive == 0
        && pass.plan.in_place.is_empty()
        && pass.plan.place.is_empty()
        && sets.migrate.is_empty()
        && sets.reschedule_now.is_empty()
        && pass.plan.annotations.reschedule_later == 0
        && !requires_canaries;
    pass.plan.is_complete = nothing_to_do && pass.current.is_some() && (!pass.exists || pass.state.is_complete());
    pass.plan
}

/// Allocations by what befell them, each in the order of names.
struct Sets {
    untainted: Vec<usize>,
    migrate: Vec<usize>,
    lost: Vec<usize>,
    reschedule_now: Vec<usize>,
}

impl Sets {
    /// Those of the untainted for which the specification means this.
    fn by_change(&self, change: Change, allocs: &[Alloc]) -> impl Iterator<Item = usize> {
        self.untainted.iter().copied().filter(move |alloc| allocs[*alloc].change == change)
    }
}

/// A pass under way.
struct Pass<'a> {
    group: &'a Group,
    allocs: &'a [Alloc],
    /// The deployment, where it is of this version and not done.
    current: Option<&'a Deployment>,
    /// The deployment, where it is over or of another version.
    old: Option<&'a Deployment>,
    is_paused: bool,
    is_failed: bool,
    /// The group is a part of the deployment.
    exists: bool,
    state: GroupState,
    canaries: BTreeSet<usize>,
    plan: Plan,
}

impl<'a> Pass<'a> {
    fn new(group: &'a Group, deployment: Option<&'a Deployment>, allocs: &'a [Alloc]) -> Self {
        let is_current = |deployment: &&Deployment| deployment.is_of_job && deployment.standing != Standing::Successful;
        let current = deployment.filter(is_current);
        let stands = |standing| current.is_some_and(|current| current.standing == standing);
        let state = current.and_then(|current| current.state);
        Pass {
            group,
            allocs,
            current,
            old: deployment.filter(|deployment| !is_current(deployment)),
            is_paused: stands(Standing::Paused),
            is_failed: stands(Standing::Failed),
            exists: state.is_some(),
            state: state.unwrap_or(group.state),
            canaries: BTreeSet::new(),
            plan: Plan::default(),
        }
    }

    fn is_canarying(&self) -> bool {
        self.state.awaits_promotion()
    }

    /// Canaries of a deployment that is over are stopped, unless they were promoted; and those that must leave their node
    /// are, for others are placed instead.
    fn cancel_unneeded_canaries(&mut self, all: &mut Vec<usize>) {
        let allocs = self.allocs;
        let is_canary = |alloc: usize| allocs[alloc].canary && allocs[alloc].part == Part::OfDeployment;
        let promoted = |deployment: &Deployment| deployment.state.is_some_and(|state| state.promoted);
        let is_given_up = self.old.is_some_and(|old| !promoted(old))
            || self.is_failed && self.current.is_some_and(|current| !promoted(current));
        if is_given_up {
            self.plan.stop.extend(all.extract_if(.., |alloc| is_canary(*alloc)));
            self.plan.annotations.stop += self.plan.stop.len();
        }
        if self.current.is_some() {
            let leaves = |alloc: usize| is_canary(alloc) && self.set_of(alloc) != Set::Untainted;
            let leaving: Vec<usize> = all.extract_if(.., |alloc| leaves(*alloc)).collect();
            self.plan.stop.extend(leaving);
            self.canaries = all.iter().copied().filter(|alloc| is_canary(*alloc)).collect();
        }
    }

    /// What befell an allocation's node; whoever has ended is past caring.
    fn set_of(&self, alloc: usize) -> Set {
        let alloc = &self.allocs[alloc];
        match (alloc.client, alloc.node) {
            (Client::Failed | Client::Complete, _) | (_, Node::Up) => Set::Untainted,
            (_, Node::Draining) => Set::Migrate,
            (_, Node::Down) => Set::Lost,
        }
    }

    /// Sorts allocations by what befell them (`filterByTainted`, `filterByRescheduleable`). Those that are complete drop
    /// out, and are missing.
    fn sets(&mut self, mut all: Vec<usize>) -> Sets {
        let (mut migrate, mut lost, mut reschedule_now) = (Vec::new(), Vec::new(), Vec::new());
        let is_active = self.current.is_some_and(|current| current.standing.is_active());
        all.retain(|place| {
            let alloc = &self.allocs[*place];
            match (self.set_of(*place), alloc.client) {
                (Set::Migrate, _) => migrate.push(*place),
                (Set::Lost, _) => lost.push(*place),
                (Set::Untainted, Client::Complete) => {}
                (Set::Untainted, Client::Running) => return true,
                (Set::Untainted, Client::Failed) => {
                    let is_held = is_active && alloc.part == Part::OfDeployment && !alloc.may_reschedule;
                    match alloc.reschedule_in.filter(|_| !is_held) {
                        Some(wait) if wait <= RESCHEDULE_WINDOW => reschedule_now.push(*place),
                        later => {
                            self.plan.annotations.reschedule_later += usize::from(later.is_some());
                            return true;
                        }
                    }
                }
            }
            false
        });
        Sets { untainted: all, migrate, lost, reschedule_now }
    }

    /// Stops who is lost, and who is too many: whoever has the name of a promoted canary first, then whoever must move,
    /// then the highest names.
    fn compute_stop(&mut self, sets: &mut Sets, names: &mut NameIndex) {
        let allocs = self.allocs;
        self.plan.annotations.stop += sets.lost.len();
        self.plan.stop.extend(&sets.lost);
        let is_canarying = self.is_canarying();
        let is_spared = |alloc: &usize| is_canarying && self.canaries.contains(alloc);
        let working = sets.untainted.iter().copied().filter(|alloc| !is_spared(alloc));
        let kept = working.clone().count() + sets.migrate.len();
        let mut surplus = Surplus { count: kept.saturating_sub(self.group.count as usize), stop: Vec::new() };
        if surplus.count == 0 {
            return;
        }
        let mut working: Vec<usize> = working.filter(|alloc| allocs[*alloc].client == Client::Running).collect();
        if !is_canarying {
            let of_canaries: BTreeSet<u32> = self.canaries.iter().map(|alloc| allocs[*alloc].index).collect();
            let canaries = &self.canaries;
            surplus.take(&mut working, |a| !canaries.contains(&a) && of_canaries.contains(&allocs[a].index));
        }
        let mut migrating = NameIndex::new(self.group.count, sets.migrate.iter().map(|alloc| allocs[*alloc].index));
        let highest = migrating.highest(surplus.count);
        for alloc in surplus.take(&mut sets.migrate, |alloc| highest.contains(&allocs[alloc].index)) {
            names.free(allocs[alloc].index);
        }
        let highest = names.highest(surplus.count);
        surplus.take(&mut working, |alloc| highest.contains(&allocs[alloc].index));
        // Of several with one name more may have to go.
        surplus.take(&mut working, |_| true);
        let stopped: BTreeSet<usize> = surplus.stop.iter().copied().collect();
        sets.untainted.retain(|alloc| !stopped.contains(alloc));
        self.plan.annotations.stop += surplus.stop.len();
        self.plan.stop.extend(surplus.stop);
    }

    fn place_canaries(&mut self, destructive: impl Iterator<Item = usize>, names: &mut NameIndex) {
        self.state.desired_canaries = self.group.canary;
        if self.is_paused || self.is_failed {
            return;
        }
        let missing = self.group.canary as usize - self.canaries.len();
        self.plan.annotations.canary = missing;
        let index = |alloc: usize| self.allocs[alloc].index;
        let existing: BTreeSet<u32> = self.canaries.iter().copied().map(index).collect();
        let replaced: BTreeSet<u32> = destructive.map(index).collect();
        let canary = |index| Place { index, canary: true, downgrade: false, reschedules: None };
        self.plan.place.extend(names.next_canaries(missing, &existing, &replaced).into_iter().map(canary));
    }

    /// How many allocations may be replaced (`computeUnderProvisionedBy`).
    fn budget(&self, sets: &Sets, destructive: usize) -> usize {
        if self.group.max_parallel == 0 || destructive + sets.migrate.len() == 0 {
            return self.group.count as usize;
        }
        let most = self.group.max_parallel as usize;
        if self.current.is_none() {
            return most;
        }
        if self.is_paused || self.is_failed || self.is_canarying() {
            return 0;
        }
        let own = || sets.untainted.iter().map(|a| &self.allocs[*a]).filter(|alloc| alloc.part == Part::OfDeployment);
        if own().any(|alloc| alloc.healthy == Some(false)) {
            return 0;
        }
        most.saturating_sub(own().filter(|alloc| alloc.healthy.is_none()).count())
    }

    /// What is missing: who failed and may be replaced, who is lost, and whoever else lacks to the count.
    fn placements(&self, sets: &Sets, names: &mut NameIndex) -> Vec<Place> {
        let downgrade = |canary: bool| self.is_canarying() && !canary;
        let instead_of = |alloc: usize, reschedules| {
            let Alloc { index, canary, .. } = self.allocs[alloc];
            let canary = canary && !self.state.promoted;
            Place { index, canary, downgrade: downgrade(canary), reschedules }
        };
        let mut place: Vec<Place> = sets.reschedule_now.iter().map(|alloc| instead_of(*alloc, Some(*alloc))).collect();
        let existing = sets.untainted.len() + sets.migrate.len() + sets.reschedule_now.len();
        let missing = (self.group.count as usize).saturating_sub(existing);
        place.extend(sets.lost.iter().take(missing).map(|alloc| instead_of(*alloc, None)));
        let missing = missing.saturating_sub(sets.lost.len());
        let fresh = |index| Place { index, canary: false, downgrade: downgrade(false), reschedules: None };
        place.extend(names.next(missing).into_iter().map(fresh));
        place
    }

    /// Places what may be placed; returns what is left of the budget. Where nothing else moves, who is lost is replaced all
    /// the same, and so is who failed, unless as a part of the failed deployment itself.
    fn place(&mut self, place: &[Place], sets: &Sets, is_ready: bool, budget: usize) -> usize {
        let is_of_failed = |alloc: usize| self.is_failed && self.allocs[alloc].part == Part::OfDeployment;
        let rescheduled = sets.reschedule_now.len();
        let lost = rescheduled..place.len().min(rescheduled + sets.lost.len());
        let placed: Vec<Place> = if is_ready {
            place.to_vec()
        } else {
            let may = place[..rescheduled].iter().filter(|p| p.reschedules.is_some_and(|failed| !is_of_failed(failed)));
            may.chain(&place[lost]).copied().collect()
        };
        let stopped: Vec<usize> = placed.iter().filter_map(|place| place.reschedules).collect();
        self.plan.annotations.place += placed.len();
        self.plan.annotations.stop += stopped.len();
        self.plan.stop.extend(stopped);
        self.plan.place.extend(placed);
        budget.saturating_sub(if is_ready { place.len() } else { 0 })
    }

    fn migrate(&mut self, migrate: &[usize]) {
        self.plan.annotations.migrate = migrate.len();
        for alloc in migrate {
            let Alloc { index, canary, .. } = self.allocs[*alloc];
            let canary = canary && !self.state.promoted;
            let downgrade = self.is_canarying() && !canary;
            self.plan.stop.push(*alloc);
            self.plan.place.push(Place { index, canary, downgrade, reschedules: None });
        }
    }

    /// A deployment begins where there is something to deploy: another specification, or the first allocations of it.
    fn create_deployment(&mut self, runs_already: bool, destructive: usize) {
        let updates = destructive > 0 || !self.plan.in_place.is_empty();
        let is_new = !self.exists && self.group.max_parallel > 0 && self.state.desired_total > 0;
        if is_new && (updates || !runs_already) {
            self.plan.creates = Some(self.state);
        }
    }
}

/// How many are too many, and who of them is to stop.
struct Surplus {
    count: usize,
    stop: Vec<usize>,
}

impl Surplus {
    /// Takes from a set as many as are still too many of those that are meant; returns them.
    fn take(&mut self, from: &mut Vec<usize>, is_meant: impl Fn(usize) -> bool) -> Vec<usize> {
        let (mut left, mut taken) = (self.count, Vec::new());
        from.retain(|alloc| {
            let goes = left > 0 && is_meant(*alloc);
            if goes {
                left -= 1;
                taken.push(*alloc);
            }
            !goes
        });
        self.count = left;
        self.stop.extend(&taken);
        taken
    }
}

/// What befell an allocation by way of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Untainted,
    Migrate,
    Lost,
}
