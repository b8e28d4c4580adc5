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
        /// What ends it.
        ends: CircleEnds,
    },
    /// It names no fields.
    NoFields,
    /// It takes away a field that no earlier rule adds.
    RemovesNothing(String),
    /// This many rules, from this one on, were not compared.
    NotCompared(usize),
}

/// What ends a circle of redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircleEnds {
    /// Nothing: clients would be redirected without end.
    Never,
    /// A file of one of its paths.
    AtFile,
    /// That there is no page: otherwise the rule of clean URLs at this place leads back.
    WithoutPage(Place),
    /// That there is no folder: otherwise its URL gets a `/` at its end.
    WithoutFolder,
}

impl Finding {
    /// Whether the rules must not serve: clients would be redirected without end.
    pub fn is_error(&self) -> bool {
        matches!(self.lint, Lint::Circle { ends: CircleEnds::Never, .. })
    }

    /// What was found, in words that follow the rule's place, with the names of the table's
    /// sources.
    pub fn text(&self, sources: &[String]) -> String {
        let place = |place: &Place| place.shown(sources).to_string();
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
            Lint::Circle { through, ends } => {
                let mut text = "the redirect leads back to itself".to_owned();
                for (at, rule) in through.iter().take(NAMED).enumerate() {
                    text += if at == 0 { " through " } else { " and " };
                    text += &place(rule);
                }
                if through.len() > NAMED {
                    text += &format!(" and {} more", through.len() - NAMED);
                }
                match ends {
                    CircleEnds::Never => text += ", without end",
                    CircleEnds::AtFile => text += ", unless a file ends it",
                    CircleEnds::WithoutPage(by) => {
                        text += &format!(
                            " where the page is there: {} leads back; leave this rule out",
                            place(by)
                        );
                    }
                    CircleEnds::WithoutFolder => {
                        text += " where it leads to a folder, whose URL gets a `/` at its end; leave \
                                 it out there";
                    }
                }
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
        fmt::from_fn(move |f| write!(f, "{}: {}", self.place.shown(sources), self.text(sources)))
    }
}
