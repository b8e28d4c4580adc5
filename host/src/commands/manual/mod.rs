//! `innkeeper man [COMMAND]`: the pages of the manual, for `man`.
//!
//! Options come from the definition of the command line, so that none can be missing. What it does
//! not know is written here.
//!
//! - `sections`: signals, files, exit status, environment. `examples`: of each command.

mod examples;
mod sections;

use std::io;
use std::process::ExitCode;

use anyhow::bail;
use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::stdout::print;
use crate::cli::Arguments;

/// Headings whose letters stay as they are.
const ABBREVIATIONS: [&str; 2] = ["TLS", "HTTP2"];

/// Prints the page of a command, or that of the program.
pub(super) fn run(command: Option<&str>) -> anyhow::Result<ExitCode> {
    let page = match command {
        None => whole()?,
        Some(name) => of_command(name)?,
    };
    print(format_args!("{page}"))?;
    Ok(ExitCode::SUCCESS)
}

/// The page of the program.
fn whole() -> anyhow::Result<String> {
    let mut command = Arguments::command();
    command.build();
    let commands: Vec<_> = commands(&command)
        .map(|it| {
            (page_name(it) + "(1)", it.get_about().map(ToString::to_string).unwrap_or_default())
        })
        .collect();
    let man = man(command, "innkeeper");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(&["innkeeper [ROOT] [OPTION...]", "innkeeper COMMAND [ARGUMENT...]"], &mut page)?;
    sections::write(&sections::DESCRIPTION, &mut page)?;
    let list = commands.iter().map(|(name, about)| (&**name, &**about));
    sections::write_list("COMMANDS", "", list, &mut page)?;
    options(&man, &mut page)?;
    for section in sections::OF_THE_PROGRAM {
        sections::write(section, &mut page)?;
    }
    examples(None, &mut page)?;
    see_also(commands.iter().map(|(page, _)| page.as_str()), &mut page)?;
    Ok(String::from_utf8(page)?)
}

/// The page of a command.
fn of_command(name: &str) -> anyhow::Result<String> {
    let mut command = Arguments::command();
    command.build();
    let Some(found) = commands(&command).find(|it| it.get_name() == name).cloned() else {
        let names: Vec<_> = commands(&command).map(clap::Command::get_name).collect();
        bail!("there is no page of a command {name:?}: name one of {}", names.join(", "));
    };
    let page_name = page_name(&found);
    let usage = found.clone().render_usage().to_string();
    let man = man(found.display_name(&page_name), &page_name);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(&[usage.trim_start_matches("Usage: ")], &mut page)?;
    man.render_description_section(&mut page)?;
    options(&man, &mut page)?;
    sections::write(&sections::EXIT_STATUS_OF_A_COMMAND, &mut page)?;
    examples(Some(name), &mut page)?;
    see_also(["innkeeper(1)"].into_iter(), &mut page)?;
    Ok(String::from_utf8(page)?)
}

/// The commands with pages of their own. Help has none.
fn commands(all: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    all.get_subcommands().filter(|it| it.get_name() != "help" && !it.is_hide_set())
}

fn page_name(command: &clap::Command) -> String {
    format!("innkeeper-{}", command.get_name())
}

fn man(command: clap::Command, title: &str) -> Man {
    let version = concat!("innkeeper ", env!("CARGO_PKG_VERSION"));
    Man::new(command).title(title).source(version).manual("The manual of innkeeper")
}

fn synopsis(lines: &[&str], page: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            roff.control("br", []);
        }
        let words = line.split_inclusive(' ');
        roff.text(
            words
                .map(|word| match word.starts_with(|c: char| c.is_ascii_lowercase()) {
                    true => bold(word),
                    false => roman(word),
                })
                .collect::<Vec<_>>(),
        );
    }
    page.extend(roff.render().into_bytes());
    Ok(())
}

/// The options, in one section: each table of the settings would be a section of its own, and
/// that of `[files]` would be taken for the usual one of that name.
fn options(man: &Man, page: &mut Vec<u8>) -> io::Result<()> {
    let mut written = Vec::new();
    man.render_options_section(&mut written)?;
    for line in String::from_utf8_lossy(&written).lines() {
        match line.strip_prefix(".SH ").map(|heading| heading.trim_matches('"')) {
            Some(heading) if heading != "OPTIONS" => {
                page.extend(format!(".SS \"{}\"\n", title_case(heading)).into_bytes());
            }
            _ => page.extend([line.as_bytes(), b"\n"].concat()),
        }
    }
    Ok(())
}

fn title_case(heading: &str) -> String {
    if ABBREVIATIONS.contains(&heading) {
        return heading.to_owned();
    }
    let (first, rest) = heading.split_at(heading.len().min(1));
    first.to_owned() + &rest.to_lowercase()
}

fn examples(command: Option<&str>, page: &mut Vec<u8>) -> io::Result<()> {
    let examples = examples::of(command);
    if examples.is_empty() {
        return Ok(());
    }
    sections::write_list("EXAMPLES", "", examples.iter().copied(), page)
}

fn see_also<'a>(pages: impl Iterator<Item = &'a str>, page: &mut Vec<u8>) -> io::Result<()> {
    let text = format!(
        "{}. The manual is in /usr/share/doc/innkeeper/docs/: rules.md, configuration.md, operating.md and others.",
        pages.collect::<Vec<_>>().join(", ")
    );
    sections::write_list("SEE ALSO", &text, [].into_iter(), page)
}

#[cfg(test)]
mod tests {
    use super::{commands, of_command, whole};
    use crate::cli::Arguments;
    use clap::CommandFactory;

    #[test]
    fn page_has_the_usual_sections_in_their_order() {
        let page = whole().expect("a page");
        let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        assert_eq!(
            sections,
            [
                "NAME",
                "SYNOPSIS",
                "DESCRIPTION",
                "COMMANDS",
                "OPTIONS",
                "\"EXIT STATUS\"",
                "ENVIRONMENT",
                "FILES",
                "SIGNALS",
                "EXAMPLES",
                "\"SEE ALSO\"",
            ]
        );
        assert!(page.contains(".SS \"TLS\"") && page.contains(".SS \"Files\""), "{page}");
    }

    #[test]
    fn each_command_has_a_page_with_an_example() {
        let mut all = Arguments::command();
        all.build();
        for command in commands(&all) {
            let page = of_command(command.get_name()).expect("a page");
            for part in ["SYNOPSIS", "EXIT STATUS", "EXAMPLES", "innkeeper(1)"] {
                assert!(page.contains(part), "{part} of {}: {page}", command.get_name());
            }
        }
        assert!(of_command("nothing").is_err());
    }
}
