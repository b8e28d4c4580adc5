"""Raw results: CSV, one row a sample."""

import csv


def write(path, samples):
    """Writes samples, which are dictionaries. Columns are all of their names, in the order in
    which they come; a nested name is `outer_inner`, and a list is joined by `; `."""
    rows = [flat(sample) for sample in samples]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(path):
    """The samples of a file, without their empty fields."""
    with open(path, newline="") as file:
        return [
            {name: number(text) for name, text in row.items() if text != ""}
            for row in csv.DictReader(file)
        ]


def flat(sample, before=""):
    row = {}
    for name, value in sample.items():
        if isinstance(value, dict):
            row |= flat(value, f"{before}{name}_")
        elif isinstance(value, (list, tuple)):
            row[before + name] = "; ".join(map(str, value))
        elif isinstance(value, float):
            # Figures beyond the clock's are noise.
            row[before + name] = f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
        else:
            row[before + name] = value
    return row


def number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
