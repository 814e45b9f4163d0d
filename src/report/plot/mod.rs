//! Pictures of a study in SVG and PNG, for papers, wikis and reports. Nothing is computed here that a reader could
//! quote: all figures come from [`Results`].

mod availability;
mod axis;
mod canvas;
mod fleet;
mod font;
mod format;
mod instances;
mod latency;
mod losses;
mod overview;
mod palette;
mod panel;
#[cfg(test)]
mod sample;
mod series;
mod tradeoff;

use crate::study::Results;
use rayon::prelude::*;

/// A finished picture in both formats. The same results give the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What it shows, fit for a file name: ASCII letters, digits, `-`, `_` and `.`; no other picture of the study has
    /// it.
    pub name: String,
    /// A complete SVG document.
    pub svg: String,
    /// A complete PNG file.
    pub png: Vec<u8>,
}

/// All pictures of a study: the overview first, the instances of each strategy last. None without a strategy.
pub fn draw(results: &Results) -> Vec<Picture> {
    if results.strategies.is_empty() {
        return Vec::new();
    }
    let of_all: [fn(&Results) -> Picture; 6] =
        [overview::draw, availability::draw, latency::draw, fleet::draw, losses::draw, tradeoff::draw];
    let mut pictures: Vec<Picture> = of_all.into_par_iter().map(|draw| draw(results)).collect();
    let names = file_names(results.strategies.iter().map(|strategy| strategy.name.as_str()));
    let instances = results.strategies.par_iter().zip(names);
    pictures.par_extend(instances.map(|(one, name)| instances::draw(results, one, &format!("instances-{name}"))));
    pictures
}

/// Names that any file system takes, each once.
fn file_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    for name in names {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }
        };
        let plain: String = name.chars().map(plain).collect();
        let numbered = (2_u32..).map(|number| format!("{plain}-{number}"));
        let mut candidates = std::iter::once(plain.clone()).chain(numbered);
        let free = candidates.find(|candidate| !taken.iter().any(|name| name.eq_ignore_ascii_case(candidate)));
        taken.push(free.expect("numbers do not run out"));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::sample::{self, study};
    use super::*;

    /// Both formats are whole, of the promised width, and the SVG is small and closes what it opens.
    #[track_caller]
    fn check(picture: &Picture) {
        assert_eq!(&picture.png[..8], b"\x89PNG\r\n\x1a\n", "{}", picture.name);
        let number = |at: usize| u32::from_be_bytes(picture.png[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(number(16), 1_200, "{}", picture.name);
        assert!(number(20) >= 700, "{}", picture.name);
        let svg = &picture.svg;
        let size = format!("<svg width=\"1200\" height=\"{}\"", number(20));
        assert!(svg.starts_with(&size) && svg.trim_end().ends_with("</svg>"), "{}", picture.name);
        assert!(svg.len() < 1_000_000, "{}: {} bytes", picture.name, svg.len());
        let (opened, closed) = (svg.matches('<').count(), svg.matches("</").count());
        assert_eq!(opened, 2 * closed + svg.matches("/>").count(), "{}", picture.name);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", picture.name);
        // Saturated coordinates are what becomes of infinite ones.
        assert!(!svg.contains("2147483647") && !svg.contains("-2147483648"), "{}", picture.name);
    }

    #[test]
    fn a_study_gives_one_picture_of_each_kind_and_one_a_strategy() {
        let pictures = draw(&study(8));
        let names: Vec<&str> = pictures.iter().map(|picture| picture.name.as_str()).collect();
        assert_eq!(names[..6], ["overview", "availability", "latency", "fleet", "losses", "tradeoff"]);
        assert_eq!(names[6], "instances-k8s-default");
        assert_eq!(names.len(), 6 + 8);
        pictures.iter().for_each(check);
    }

    #[test]
    fn the_same_results_give_the_same_bytes() {
        assert_eq!(draw(&study(3)), draw(&study(3)));
    }

    #[test]
    fn odd_studies_are_drawn_too() {
        for results in sample::odd() {
            draw(&results).iter().for_each(check);
        }
    }

    #[test]
    fn as_many_strategies_as_a_file_may_hold_are_drawn() {
        let results = study(40);
        for draw in
            [overview::draw as fn(&Results) -> Picture, availability::draw, fleet::draw, losses::draw, tradeoff::draw]
        {
            check(&draw(&results));
        }
    }

    #[test]
    fn a_long_study_stays_a_small_picture() {
        let mut results = study(12);
        sample::lengthen(&mut results, 600);
        draw(&results).iter().for_each(check);
    }

    #[test]
    fn names_are_escaped_and_fit_for_files() {
        let mut results = study(2);
        results.strategies[0].name = "<&\" a/b".into();
        results.strategies[1].name = "<&\" a:b".into();
        let pictures = draw(&results);
        pictures.iter().for_each(check);
        assert_eq!(pictures[6].name, "instances-----a-b");
        assert_eq!(pictures[7].name, "instances-----a-b-2");
        for picture in pictures.iter().filter(|picture| !picture.name.ends_with("-2")) {
            assert!(picture.svg.contains("&lt;&amp;&quot; a/b"), "{}", picture.name);
        }
    }

    #[test]
    fn no_strategy_is_no_picture() {
        assert_eq!(draw(&study(0)), []);
    }
}
