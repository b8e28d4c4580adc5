//! On which lines of a configuration file its settings stand.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{Key, Part, SITE};

/// The lines of all settings.
#[derive(Debug, Default)]
pub(super) struct Lines {
    values: BTreeMap<(Part, Key), Vec<u32>>,
    /// On which each site begins.
    sites: Vec<u32>,
}

impl Lines {
    /// Those of a file that is valid TOML.
    pub(super) fn of(text: &str) -> Lines {
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        let line = |at: usize| {
            let before = ends.partition_point(|&end| end < at);
            u32::try_from(before + 1).unwrap_or(u32::MAX)
        };
        let mut lines = Lines::default();
        // It was parsed before.
        let Ok(tree) = DeTable::parse(text) else { return lines };
        lines.add(Part::Outside, tree.get_ref(), &line);
        let sites = tree.get_ref().get(SITE).and_then(|sites| sites.get_ref().as_array());
        for (number, site) in sites.into_iter().flatten().enumerate() {
            lines.sites.push(line(site.span().start));
            if let Some(table) = site.get_ref().as_table() {
                lines.add(Part::Site(number), table, &line);
            }
        }
        lines
    }

    fn add(&mut self, part: Part, tables: &DeTable<'_>, line: &impl Fn(usize) -> u32) {
        let mut note = |table: Option<&str>, name: &str, value: &Spanned<DeValue<'_>>| {
            let key = Key { table: table.map(str::to_owned), name: name.to_owned() };
            let of = |value: &Spanned<DeValue<'_>>| line(value.span().start);
            let lines = match value.get_ref() {
                DeValue::Array(values) => values.iter().map(of).collect(),
                _ => vec![of(value)],
            };
            self.values.insert((part, key), lines);
        };
        for (name, value) in tables {
            note(None, name.get_ref(), value);
            for (key, value) in value.get_ref().as_table().into_iter().flatten() {
                note(Some(name.get_ref()), key.get_ref(), value);
            }
        }
    }

    /// Those of the values of a setting; none if the part does not have it.
    pub(super) fn of_values(&self, part: Part, key: &Key) -> &[u32] {
        self.values.get(&(part, key.clone())).map_or(&[], Vec::as_slice)
    }

    /// That on which a part begins.
    pub(super) fn of_part(&self, part: Part) -> Option<u32> {
        match part {
            Part::Outside => None,
            Part::Site(number) => self.sites.get(number).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Lines, Part};

    #[test]
    fn lines_of_values_and_sites() {
        let lines = Lines::of(
            "a = 1\n[t]\nb = [\n  'x',\n  'y',\n]\n\n[[site]]\nhosts = ['h']\n[site.t]\nb = 2\n\
             [[site]]\n[[site]]\nname = 'n'\n",
        );
        let check = |part, table: Option<&str>, name: &str, expected: &[u32]| {
            let key = Key { table: table.map(str::to_owned), name: name.to_owned() };
            assert_eq!(lines.of_values(part, &key), expected, "{key}");
        };
        check(Part::Outside, None, "a", &[1]);
        check(Part::Outside, Some("t"), "b", &[4, 5]);
        check(Part::Site(0), None, "hosts", &[9]);
        check(Part::Site(0), Some("t"), "b", &[11]);
        check(Part::Site(0), None, "a", &[]);
        check(Part::Site(2), None, "name", &[14]);
        let sites = [0, 1, 2, 3].map(|number| lines.of_part(Part::Site(number)));
        assert_eq!(sites, [Some(8), Some(12), Some(13), None]);
    }
}
