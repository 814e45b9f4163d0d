//! What real orchestrators' files say: Kubernetes objects, Argo Rollouts and Flagger Canaries among them, Docker stack
//! files, Nomad job files, ECS services as JSON and in CloudFormation templates.
//!
//! A text becomes a tree of values with lines (`yaml`, `hcl`), and the tree becomes [`Workload`]s, one file a format. A
//! workload keeps each setting as it is written, as it is in effect after the orchestrator's defaults, and what shares
//! come to as counts; and it says what was taken, assumed and ignored. Reading is total: a workload that its orchestrator
//! would refuse is read as well and carries its [`Problem`], so only a text that is no tree at all is an error. Nothing
//! here renders templates, asks an environment or a cloud, or follows a path.
//!
//! To let rollsim use the workloads of a further orchestrator, give [`Workload::supported`] an arm, and what it returns
//! one in `strategy` and one in `import`.

mod analysis;
mod argo;
mod cloudformation;
mod ecs;
mod export;
mod export_argo;
mod export_ecs;
mod export_nomad;
mod flagger;
mod hcl;
mod import;
mod kubernetes;
mod nomad;
mod pods;
mod release;
mod rollout_words;
mod section;
mod sets;
mod strategy;
mod swarm;
mod template;
mod tree;
mod values;
mod yaml;

pub use super::words::DeploymentType;
pub use analysis::AnalysisReference;
pub use argo::{BlueGreen, Canary, Rollout, RolloutStrategy, SetCanaryScale, Step};
pub use ecs::{EcsCircuitBreaker, EcsService, TargetGroup, TaskContainer, TaskDefinition, TaskHealthCheck};
pub use export::{Format, export};
pub use flagger::{FlaggerCanary, FlaggerMetric};
pub use import::{Import, import};
pub use kubernetes::Deployment;
pub use nomad::{NomadCheck, NomadGroup, NomadReschedule, NomadRestart, NomadUpdate};
pub use pods::{Container, PodTemplate, PreStop, Probe};
pub use section::{Note, Notes, Setting};
pub use sets::{Autoscaler, DaemonSet, DisruptionBudget, Metric, StatefulSet};
pub(super) use strategy::{
    Used, at_its_own_place, fill_argo, fill_ecs, fill_kubernetes, fill_nomad, fill_swarm, remarks,
};
pub use swarm::{ConditionWord, FailureWord, HealthCheck, OrderWord, RestartSettings, SwarmService, UpdateSettings};
pub use tree::Scalar;
pub use values::{CountOrPercent, Seconds};

use super::place::line_at;
use super::units::nearest;
use super::{InputError, LoadError};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use tree::Node;
use yaml::{SyntaxError, Twice};

/// The largest manifest, 4 MiB.
const MOST_BYTES: usize = 4 << 20;

/// How many workloads a file may hold.
const MOST_WORKLOADS: usize = 1_000;

/// What a file says.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The file.
    pub file: PathBuf,
    /// How many documents it holds that say anything.
    pub documents: usize,
    /// What it deploys, in the order of the file.
    pub workloads: Vec<Workload>,
    /// The other objects or resources by kind.
    pub others: BTreeMap<String, Others>,
    /// What beside its workloads nobody looks at.
    pub ignored: Vec<Note>,
    /// Why nothing of the file can be used.
    pub problem: Option<Problem>,
}

/// Objects of one kind that are no workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Others {
    /// How many there are.
    pub count: usize,
    /// The line of the first one, counted from 1.
    pub line: usize,
}

impl Others {
    fn count(others: &mut BTreeMap<String, Others>, kind: &str, line: usize) {
        others.entry(kind.to_owned()).or_insert(Others { count: 0, line }).count += 1;
    }
}

/// One thing that an orchestrator deploys, or that steers such a thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its name; in a Nomad file `job/group`.
    pub name: Option<String>,
    /// Its namespace, where it is written.
    pub namespace: Option<String>,
    /// What it is, in the orchestrator's words.
    pub kind: String,
    /// `apiVersion`, where there is one.
    pub api_version: Option<String>,
    /// Where it stands, counted from 1.
    pub line: usize,
    /// Its settings.
    pub spec: Spec,
    /// What was taken, assumed and ignored.
    pub notes: Notes,
}

/// The settings of a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// A Kubernetes Deployment.
    Deployment(Deployment),
    /// A Kubernetes StatefulSet, or one of its form.
    StatefulSet(StatefulSet),
    /// A Kubernetes DaemonSet.
    DaemonSet(DaemonSet),
    /// A HorizontalPodAutoscaler.
    Autoscaler(Autoscaler),
    /// A PodDisruptionBudget.
    DisruptionBudget(DisruptionBudget),
    /// An Argo Rollout.
    Rollout(Rollout),
    /// A Flagger Canary.
    Canary(FlaggerCanary),
    /// A service of a Docker stack.
    SwarmService(SwarmService),
    /// A group of a Nomad job.
    NomadGroup(NomadGroup),
    /// An ECS service.
    EcsService(EcsService),
    /// An ECS task definition.
    TaskDefinition(TaskDefinition),
}

/// A workload of an orchestrator that is simulated.
#[derive(Clone, Copy, Debug)]
pub enum Supported<'a> {
    /// For `[strategy.NAME.kubernetes]`.
    Kubernetes(&'a Deployment),
    /// For `[strategy.NAME.swarm]`.
    Swarm(&'a SwarmService),
    /// For `[strategy.NAME.nomad]`.
    Nomad(&'a NomadGroup),
    /// For `[strategy.NAME.argo]`.
    Argo(&'a Rollout),
    /// For `[strategy.NAME.ecs]`.
    Ecs(&'a EcsService),
}

/// Why a manifest or a workload cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In what way.
    pub why: Obstacle,
    /// The line of the manifest, counted from 1.
    pub line: usize,
    /// The path of keys; empty where no field is concerned.
    pub field: String,
    /// What must hold.
    pub problem: String,
}

/// In what way a manifest or a workload is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It must be rendered first.
    Template,
    /// It is part of an object.
    Patch,
    /// It says what runs, but not how it is deployed.
    NoService,
    /// The orchestrator would refuse it.
    Refused,
}

impl Problem {
    fn in_file(&self, file: &Path) -> InputError {
        InputError { file: file.to_owned(), line: self.line, field: self.field.clone(), problem: self.problem.clone() }
    }
}

/// Reads the manifest in a file.
///
/// # Errors
/// When the file cannot be read, or when it is no manifest of a known form.
pub fn load(path: &Path) -> Result<Manifest, LoadError> {
    let bytes = bytes(path)?;
    Ok(read_bytes(&bytes, path)?)
}

/// The first bytes of a file, one more than a manifest may have.
fn bytes(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |error| LoadError::Io(path.to_owned(), error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn read_bytes(bytes: &[u8], file: &Path) -> Result<Manifest, InputError> {
    if bytes.len() > MOST_BYTES {
        return Err(at(file, 1, "must be a file of at most 4 MiB"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| at(file, line_at(bytes, error.valid_up_to()), "must be text in UTF-8"))?;
    read(text, file)
}

fn at(file: &Path, line: usize, problem: impl Into<String>) -> InputError {
    InputError { file: file.to_owned(), line, field: String::new(), problem: problem.into() }
}

/// Reads the manifest in a text that stands in `file`, whose name may tell the language.
///
/// # Errors
/// When the text is no manifest of a known form.
pub fn read(text: &str, file: &Path) -> Result<Manifest, InputError> {
    if text.len() > MOST_BYTES {
        return Err(at(file, 1, "must be a file of at most 4 MiB"));
    }
    let manifest = match Language::of(text, file) {
        Language::Hcl => read_hcl(text, file),
        Language::Json => read_tree(yaml::parse_json(text), file, text),
        Language::Yaml => read_tree(yaml::parse_yaml(text, Twice::Error), file, text),
    }?;
    if manifest.workloads.len() > MOST_WORKLOADS {
        return Err(at(file, 1, "must hold at most 1,000 workloads"));
    }
    Ok(manifest)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Yaml,
    Json,
    Hcl,
}

impl Language {
    /// By the ending of the file's name, or else by how the text looks.
    fn of(text: &str, file: &Path) -> Self {
        let ending = file.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("nomad" | "hcl" | "tf") => Language::Hcl,
            Some("yaml" | "yml") => Language::Yaml,
            Some("json") => Language::Json,
            _ => {
                let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', '/']));
                let is_block = first.is_some_and(|line| line.starts_with("job \"") || line.starts_with("variable \""));
                if is_block { Language::Hcl } else { Language::Yaml }
            }
        }
    }
}

fn read_hcl(text: &str, file: &Path) -> Result<Manifest, InputError> {
    let body = match hcl::parse_hcl(text) {
        Ok(body) => body,
        // Levant and nomad-pack have `[[ … ]]`, Terraform's templates bare `${…}`.
        Err(error) if !error.is_excess && has_action(text, error.line, &["[[ ", "[[.", "[[-", "{{", "= ${"]) => {
            return Ok(Manifest { problem: Some(must_be_rendered(error.line)), ..Manifest::empty(file) });
        }
        Err(error) => return Err(at(file, error.line, error.problem)),
    };
    if !nomad::is_job_file(&body) {
        return Err(at(file, 1, "must be a Nomad job file: there is no job block"));
    }
    let (workloads, ignored) = (nomad::read(&body), nomad::ignored(&body));
    Ok(Manifest { file: file.to_owned(), documents: 1, workloads, others: BTreeMap::new(), ignored, problem: None })
}

/// Whether a line, counted from 1, holds what begins an action of a template.
fn has_action(text: &str, line: usize, actions: &[&str]) -> bool {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    actions.iter().any(|action| line.contains(action))
}

fn must_be_rendered(line: usize) -> Problem {
    let problem = "must be rendered first: this is a template".to_owned();
    Problem { why: Obstacle::Template, line, field: String::new(), problem }
}

fn read_tree(parsed: Result<Vec<Node>, SyntaxError>, file: &Path, text: &str) -> Result<Manifest, InputError> {
    let (documents, template) = match parsed {
        Ok(documents) => (documents, None),
        Err(error) if error.is_excess => return Err(at(file, error.line, error.problem)),
        Err(error) => match template::template(text, error.line) {
            Some(template) => (template.literal, Some(template.line)),
            None => return Err(at(file, error.line, error.problem)),
        },
    };
    let problem = template.map(must_be_rendered);
    let known = of_documents(&documents, file);
    let manifest = known.or_else(|| problem.is_some().then(|| Manifest::empty(file)));
    let unknown = || {
        let line = documents.first().map_or(1, |document| document.line);
        let forms =
            "Kubernetes objects, a Docker stack file, a Nomad job file, an ECS service or a CloudFormation template";
        at(file, line, format!("must be a manifest of a known form: {forms}"))
    };
    Ok(Manifest { problem, ..manifest.ok_or_else(unknown)? })
}

/// What documents say whose form is known.
fn of_documents(documents: &[Node], file: &Path) -> Option<Manifest> {
    let mut manifest = Manifest { documents: documents.len(), ..Manifest::empty(file) };
    if documents.iter().any(kubernetes::is_object) {
        (manifest.workloads, manifest.others) = kubernetes::read(documents);
        return Some(manifest);
    }
    let [document] = documents else { return None };
    if cloudformation::is_template(document) {
        (manifest.workloads, manifest.others) = ecs::read_template(document);
    } else if ecs::is_plain(document) {
        manifest.workloads = ecs::read_plain(document);
    } else if swarm::is_stack(document) {
        manifest.workloads = swarm::read(document);
        manifest.ignored = swarm::ignored(document);
    } else {
        return None;
    }
    Some(manifest)
}

impl Manifest {
    fn empty(file: &Path) -> Self {
        let (workloads, others, ignored) = (Vec::new(), BTreeMap::new(), Vec::new());
        Manifest { file: file.to_owned(), documents: 0, workloads, others, ignored, problem: None }
    }

    /// In one word: "ok", "template", "patch", "no_service" or "refused".
    pub fn status(&self) -> &'static str {
        let of_workloads = self.workloads.iter().find_map(|workload| workload.notes.problem.as_ref());
        match self.problem.as_ref().or(of_workloads).map(|problem| problem.why) {
            None => "ok",
            Some(Obstacle::Template) => "template",
            Some(Obstacle::Patch) => "patch",
            Some(Obstacle::NoService) => "no_service",
            Some(Obstacle::Refused) => "refused",
        }
    }

    /// Nothing, where the file as a whole can be used.
    ///
    /// # Errors
    /// When it is a template.
    pub fn whole(&self) -> Result<(), InputError> {
        self.problem.as_ref().map_or(Ok(()), |problem| Err(problem.in_file(&self.file)))
    }

    /// The workload that is meant by a name, or by a kind and a name (`Deployment/web`), or the only one that is rolled
    /// out. Where several are meant, those of the preferred kind are.
    ///
    /// # Errors
    /// When none is meant or several are, or when the one that is cannot be used.
    pub fn workload(&self, name: Option<&str>, preferred: &str) -> Result<&Workload, InputError> {
        self.whole()?;
        let rolled_out: Vec<&Workload> =
            self.workloads.iter().filter(|workload| workload.is_rolled_out() && !self.is_steered(workload)).collect();
        let meant: Vec<&Workload> =
            rolled_out.iter().filter(|workload| name.is_none_or(|name| workload.is_named(name))).copied().collect();
        let of_kind: Vec<&Workload> = meant.iter().filter(|workload| workload.kind == preferred).copied().collect();
        match (if of_kind.is_empty() { &meant } else { &of_kind }).as_slice() {
            [only] => match &only.notes.problem {
                Some(problem) => Err(problem.in_file(&self.file)),
                None => Ok(only),
            },
            [] => Err(self.no_workload(name, &rolled_out)),
            several => {
                let problem = format!("must hold one workload, or one must be named: {}", listed(several));
                Err(at(&self.file, several[1].line, problem))
            }
        }
    }

    /// Whether something else of the file rolls it out instead.
    fn is_steered(&self, workload: &Workload) -> bool {
        let Some(name) = &workload.name else { return false };
        let reference = format!("{}/{name}", workload.kind);
        self.workloads.iter().any(|other| match &other.spec {
            Spec::Rollout(rollout) => rollout.workload_ref.as_ref() == Some(&reference),
            _ => false,
        })
    }

    fn no_workload(&self, name: Option<&str>, rolled_out: &[&Workload]) -> InputError {
        let problem = match (name, rolled_out) {
            (_, []) => {
                let others = self.others.iter().map(|(kind, others)| format!("{kind} (line {})", others.line));
                let steering =
                    self.workloads.iter().map(|workload| format!("{} (line {})", workload.kind, workload.line));
                let found: Vec<String> = steering.chain(others).take(MOST_LISTED).collect();
                let found = if found.is_empty() { "nothing at all".to_owned() } else { found.join(", ") };
                format!("must hold a workload that can be rolled out, but holds {found}")
            }
            (Some(name), _) => {
                let names = rolled_out.iter().filter_map(|workload| workload.name.as_deref());
                match nearest(name, names) {
                    Some(near) => format!("must hold a workload `{name}`, did you mean `{near}`?"),
                    None => format!("must hold a workload `{name}`, but holds {}", listed(rolled_out)),
                }
            }
            (None, _) => "must hold a workload that can be rolled out".to_owned(),
        };
        at(&self.file, 1, problem)
    }

    /// The autoscaler that decides how many replicas a workload has.
    fn autoscaler(&self, workload: &Workload) -> Option<(&Workload, &Autoscaler)> {
        let reference = format!("{}/{}", workload.kind, workload.name.as_ref()?);
        self.workloads.iter().find_map(|other| match &other.spec {
            Spec::Autoscaler(autoscaler) if autoscaler.target.as_ref() == Some(&reference) => Some((other, autoscaler)),
            _ => None,
        })
    }

    /// All that was read, for other programs: `status`, `documents`, `other_kinds` with how many there are, and of each
    /// workload its facts with what was taken, assumed and ignored.
    pub fn to_json(&self) -> Json {
        let kinds: Map<String, Json> =
            self.others.iter().map(|(kind, others)| (kind.clone(), others.count.into())).collect();
        let workload = |workload: &Workload| {
            let mut facts = workload.facts();
            let lists = [
                ("taken", &workload.notes.taken),
                ("assumed", &workload.notes.assumed),
                ("ignored", &workload.notes.ignored),
            ];
            for (key, notes) in lists {
                facts.insert(key.to_owned(), notes.iter().map(Note::to_json).collect());
            }
            Json::Object(facts)
        };
        json!({
            "file": self.file.display().to_string(),
            "status": self.status(),
            "problem": self.problem.as_ref().map(|problem| problem.in_file(&self.file).to_string()),
            "documents": self.documents,
            "other_kinds": kinds,
            "ignored": self.ignored.iter().map(Note::to_json).collect::<Vec<_>>(),
            "workloads": self.workloads.iter().map(workload).collect::<Vec<_>>(),
        })
    }
}

/// How many names or notes a message lists.
const MOST_LISTED: usize = 20;

fn listed(workloads: &[&Workload]) -> String {
    let name = |workload: &&Workload| format!("{} (line {})", workload.title(), workload.line);
    let mut names: Vec<String> = workloads.iter().take(MOST_LISTED).map(name).collect();
    if workloads.len() > MOST_LISTED {
        names.push(format!("and {} more", workloads.len() - MOST_LISTED));
    }
    names.join(", ")
}

impl Workload {
    /// Whether it is something that new versions of are rolled out.
    fn is_rolled_out(&self) -> bool {
        !matches!(self.spec, Spec::Autoscaler(_) | Spec::DisruptionBudget(_))
    }

    fn is_named(&self, name: &str) -> bool {
        let Some(own) = &self.name else { return false };
        own == name || name.strip_prefix(&self.kind).and_then(|rest| rest.strip_prefix('/')) == Some(own)
    }

    /// Its kind and name.
    pub fn title(&self) -> String {
        let name = self.name.as_deref().unwrap_or("without a name");
        super::place::on_one_line(&format!("{} {name}", self.kind))
    }

    /// The orchestrator's settings, where the orchestrator is simulated.
    ///
    /// # Errors
    /// When it is not.
    pub fn supported(&self, file: &Path) -> Result<Supported<'_>, InputError> {
        let unsupported_at = |line: usize, what: &str| {
            let problem = format!("must be of an orchestrator that is simulated: {what} are not supported yet");
            Err(at(file, line, problem))
        };
        let unsupported = |what: &str| unsupported_at(self.line, what);
        match &self.spec {
            Spec::Deployment(deployment) => Ok(Supported::Kubernetes(deployment)),
            Spec::SwarmService(service) => match service.mode.effective {
                Some("replicated" | "global") => Ok(Supported::Swarm(service)),
                _ => unsupported("jobs of Docker Swarm"),
            },
            Spec::StatefulSet(_) => unsupported("StatefulSets"),
            Spec::DaemonSet(_) => unsupported("DaemonSets"),
            Spec::Autoscaler(_) | Spec::DisruptionBudget(_) => unsupported("autoscalers and disruption budgets"),
            Spec::Rollout(rollout) => match rollout.unknown_step() {
                None => Ok(Supported::Argo(rollout)),
                Some((key, line)) => {
                    let problem = format!("must be without a step `{key}`, which is not supported yet");
                    Err(at(file, line, problem))
                }
            },
            Spec::Canary(_) => unsupported("Flagger Canaries"),
            Spec::NomadGroup(group) => match group.job_type.effective {
                Some("service") => Ok(Supported::Nomad(group)),
                _ => unsupported("batch and system jobs of Nomad"),
            },
            Spec::EcsService(service) => match service.unsupported() {
                None => Ok(Supported::Ecs(service)),
                Some((line, what)) => unsupported_at(line, what),
            },
            Spec::TaskDefinition(_) => unsupported("task definitions without a service"),
        }
    }

    /// What was read of it: for each setting `NAME_written` (null: absent), `NAME_effective` or plain `NAME` after the
    /// orchestrator's defaults, and `NAME_count` against the replicas; times in seconds.
    pub fn facts(&self) -> Map<String, Json> {
        let mut facts = Map::new();
        facts.insert("workload".to_owned(), json!(self.name));
        facts.insert("kind".to_owned(), json!(self.kind));
        facts.insert("line".to_owned(), self.line.into());
        for (key, value) in [("api_version", &self.api_version), ("namespace", &self.namespace)] {
            if let Some(value) = value {
                facts.insert(key.to_owned(), json!(value));
            }
        }
        facts.extend(match &self.spec {
            Spec::Deployment(deployment) => deployment.facts(),
            Spec::StatefulSet(set) => set.facts(),
            Spec::DaemonSet(set) => set.facts(),
            Spec::Autoscaler(autoscaler) => autoscaler.facts(),
            Spec::DisruptionBudget(budget) => budget.facts(),
            Spec::Rollout(rollout) => rollout.facts(),
            Spec::Canary(canary) => canary.facts(),
            Spec::SwarmService(service) => service.facts(),
            Spec::NomadGroup(group) => group.facts(),
            Spec::EcsService(service) => service.facts(),
            Spec::TaskDefinition(definition) => definition.facts(),
        });
        if let Some(problem) = &self.notes.problem {
            let Problem { line, field, problem, .. } = problem;
            facts.insert("problem".to_owned(), json!({ "line": line, "field": field, "problem": problem }));
        }
        facts
    }
}

impl Note {
    fn to_json(&self) -> Json {
        json!({ "line": self.line, "field": self.field, "value": self.value })
    }
}
