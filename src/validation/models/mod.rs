//! What a point means: each model reads the points of one family, by their parameters and their quantity, and says which
//! ordinary scenario they are and what is read off its runs, or computes what they say by the function that the program
//! itself uses. None goes by the name of a single point.

mod arithmetic;
mod balancing;
mod capacity;
mod draft;
mod drains;
mod health;
mod metastability;
mod queues;
mod retries;
mod rollouts;
mod rules;
mod station;
mod work;

use super::experiment::{Effort, Experiment};
use super::figures::Figure;
use super::judge::Estimate;
use super::points::{Params, Point};
use crate::scenario::{InputError, LoadError};

/// What is to be done about a point.
#[derive(Clone, Debug)]
pub enum Task {
    /// Run this.
    Simulate(Box<Experiment>),
    /// Nothing any more: its numbers were computed.
    Computed(Vec<Estimate>),
}

/// How a point was understood.
#[derive(Clone, Debug)]
pub struct Understanding {
    /// What is to be done.
    pub task: Task,
    /// Parameters that the model did not look at.
    pub unread: Vec<String>,
}

/// What a model makes of a point: nothing where it is of another family.
type Reading = Result<Option<Task>, InputError>;

/// A point as a model reads it.
struct Reader<'a> {
    /// In small letters.
    quantity: String,
    source: String,
    params: &'a mut Params,
    effort: Effort,
}

impl Reader<'_> {
    /// Whether the quantity names one of these.
    fn asks_for(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.quantity.contains(word))
    }

    /// The experiment that a scenario file and the figures of its runs make.
    fn simulate(&self, text: String, figures: Vec<Figure>) -> Reading {
        let experiment = Experiment::new(text, figures).map_err(|error| {
            let problem = match error {
                LoadError::Input(InputError { field, problem, .. }) => format!("{field} {problem}"),
                LoadError::Io(..) => error.to_string(),
            };
            self.params.mistake("", &format!("must come to a scenario that holds: {problem}"))
        })?;
        Ok(Some(Task::Simulate(Box::new(experiment))))
    }
}

/// The numbers in a text, in order.
fn numbers(text: &str) -> Vec<f64> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|part| part.parse().ok()).collect()
}

/// Numbers that were computed without chance.
fn computed(numbers: impl IntoIterator<Item = f64>) -> Task {
    Task::Computed(numbers.into_iter().map(Estimate::exactly).collect())
}

/// All models, the more special ones first.
const MODELS: [fn(&mut Reader<'_>) -> Reading; 10] = [
    rules::read,
    arithmetic::read,
    metastability::read,
    retries::read,
    health::read,
    drains::read,
    rollouts::read,
    capacity::read,
    balancing::read,
    queues::read,
];

/// What a point means; `None` where no model understands it.
///
/// # Errors
/// When a parameter is not what the model of its family needs.
pub fn understand(point: &Point, effort: Effort) -> Result<Option<Understanding>, InputError> {
    for model in MODELS {
        let mut params = point.params.clone();
        let (quantity, source) = (point.quantity.to_lowercase(), point.source.to_lowercase());
        let task = model(&mut Reader { quantity, source, params: &mut params, effort })?;
        if let Some(task) = task {
            return Ok(Some(Understanding { task, unread: params.left().map(str::to_owned).collect() }));
        }
    }
    Ok(None)
}
