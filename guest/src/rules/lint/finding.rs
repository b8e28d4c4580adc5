//! What was found, in words.

use std::fmt;

use crate::rules::table::Place;

/// Rules of a circle that are named.
const NAMED: usize = 5;

/// Something about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where the rule stands.
    pub place: Place,
    /// What was found.
    pub lint: Lint,
}

/// What was found about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lint {
    /// An earlier rule decides on all that it matches.
    Shadowed(Place),
    /// No request matches it.
    NeverMatches,
    /// It leads to the URL that was asked for, and is passed over.
    LeadsToItself,
    /// Its target is no file for any request.
    NamesNothing,
    /// It goes by the client's country, which no field names.
    NoCountryField,
    /// It redirects to where a rule redirects back to it.
    Circle {
        /// The other rules of the circle.
        through: Vec<Place>,
        /// Whether no file can end it.
        is_certain: bool,
    },
    /// It names no fields.
    NoFields,
    /// It takes away a field that no earlier rule adds.
    RemovesNothing(String),
    /// From this rule on so many were not compared.
    NotCompared(usize),
}

impl Finding {
    /// Whether the rules must not serve: clients would be redirected without end.
    pub fn is_error(&self) -> bool {
        matches!(self.lint, Lint::Circle { is_certain: true, .. })
    }

    /// What was found, in words that follow the rule's place, with the names of the table's
    /// sources.
    pub fn text(&self, sources: &[String]) -> String {
        let place = |place: &Place| {
            let source = sources.get(usize::from(place.source)).map_or("rules", String::as_str);
            match place.line {
                0 => source.to_owned(),
                line => format!("{source}:{line}"),
            }
        };
        match &self.lint {
            Lint::Shadowed(by) => {
                format!("the rule is never reached: {} decides before it", place(by))
            }
            Lint::NeverMatches => {
                "the rule never matches: no URL that may be served has this form".to_owned()
            }
            Lint::LeadsToItself => {
                "the rule never does anything: it leads to the URL that was asked for".to_owned()
            }
            Lint::NamesNothing => {
                "the rule never does anything: its target is no page below the root".to_owned()
            }
            Lint::NoCountryField => "the rule never matches: nothing tells the client's country; \
                                     name the field in which a proxy writes it by --country-field"
                .to_owned(),
            Lint::Circle { through, is_certain } => {
                let mut text = "the redirect leads back to itself".to_owned();
                for (at, rule) in through.iter().take(NAMED).enumerate() {
                    text += if at == 0 { " through " } else { " and " };
                    text += &place(rule);
                }
                if through.len() > NAMED {
                    text += &format!(" and {} more", through.len() - NAMED);
                }
                text += if *is_certain { ", without end" } else { ", unless a file ends it" };
                text
            }
            Lint::NoFields => "the rule names no fields, and does nothing".to_owned(),
            Lint::RemovesNothing(name) => {
                let name: String = name.chars().take(80).collect();
                format!("no rule before this one adds `{name}`, so there is nothing to take away")
            }
            Lint::NotCompared(count) => format!(
                "not all rules were compared: {count} from this one on take too long; rules with \
                 wildcards inside, or that overlap, take most"
            ),
        }
    }

    /// The finding as one line: `_redirects:12: …`.
    pub fn shown<'a>(&'a self, sources: &'a [String]) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            let source = sources.get(usize::from(self.place.source));
            let source = source.map_or("rules", String::as_str);
            match self.place.line {
                0 => write!(f, "{source}: {}", self.text(sources)),
                line => write!(f, "{source}:{line}: {}", self.text(sources)),
            }
        })
    }
}
