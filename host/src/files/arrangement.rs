//! How a listing is asked for: in which form, in which order, and with or without pictures.

use std::cmp::Ordering;

use super::listing::{Entry, Kind};
use super::natural_order;

/// The form of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A page for people.
    Html,
    /// JSON for programs.
    Json,
}

/// A listing as it is asked for: its form, and how its entries are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arrangement {
    /// The form.
    pub form: Form,
    /// What entries are sorted by.
    pub sort: Sort,
    /// Whether the largest, the newest or the last name comes first.
    pub is_descending: bool,
    /// Whether a page shows pictures.
    pub has_pictures: bool,
}

/// What entries are sorted by. Directories come first in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// The name, as people sort names.
    #[default]
    Name,
    /// The size.
    Size,
    /// The time of modification.
    Time,
}

impl Sort {
    /// All of them, in the order of the columns.
    pub(super) const ALL: [Sort; 3] = [Sort::Name, Sort::Size, Sort::Time];

    /// Its name in a query.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::Size => "size",
            Sort::Time => "time",
        }
    }
}

impl Arrangement {
    /// The arrangement that a query asks for: `sort=` a [`Sort`], with `-` before it for descending
    /// order, and `view=pictures`. The query may be for something else, so the rest of it is ignored.
    pub fn of_query(form: Form, query: &str) -> Arrangement {
        let mut arrangement =
            Arrangement { form, sort: Sort::Name, is_descending: false, has_pictures: false };
        for part in query.split('&') {
            if let Some(sort) = part.strip_prefix("sort=") {
                let name = sort.strip_prefix('-').unwrap_or(sort);
                if let Some(known) = Sort::ALL.into_iter().find(|known| known.name() == name) {
                    arrangement.sort = known;
                    arrangement.is_descending = name != sort;
                }
            } else if part == "view=pictures" {
                // JSON is the same with and without.
                arrangement.has_pictures = form == Form::Html;
            }
        }
        arrangement
    }

    /// The order of two entries.
    pub(super) fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        let by_name = || natural_order::compare(&one.name, &other.name);
        let order = match self.sort {
            Sort::Name => by_name(),
            Sort::Size => one.size.cmp(&other.size),
            Sort::Time => one.seconds.cmp(&other.seconds),
        };
        let order = if self.is_descending { order.reverse() } else { order };
        let directories = (other.kind == Kind::Directory).cmp(&(one.kind == Kind::Directory));
        directories.then(order).then_with(by_name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrangement, Form, Sort};

    #[test]
    fn arrangement_is_that_of_the_query() {
        let of = |form, query| {
            let Arrangement { sort, is_descending, has_pictures, .. } =
                Arrangement::of_query(form, query);
            (sort, is_descending, has_pictures)
        };
        assert_eq!(of(Form::Html, ""), (Sort::Name, false, false));
        assert_eq!(of(Form::Html, "view=pictures&sort=-time"), (Sort::Time, true, true));
        assert_eq!(of(Form::Json, "view=pictures"), (Sort::Name, false, false));
        assert_eq!(of(Form::Html, "view=picture&sort=&sort"), (Sort::Name, false, false));
    }
}
